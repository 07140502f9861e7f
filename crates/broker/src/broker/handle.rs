use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raftsman_types::{BrokerEpoch, BrokerId};
use tokio::sync::watch;

use super::parts::Parts;
use crate::api::BrokerState;
use crate::lifecycle::LifecycleStatus;

/// How long a controlled shutdown goes on without a controller: it may be stopping too.
const WITHOUT_CONTROLLER: Duration = Duration::from_secs(2);

/// How a broker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// The cluster it belongs to, once known.
    pub cluster_id: Option<Arc<str>>,
    /// The epoch of its registration; `BrokerEpoch::NONE` before the first.
    pub broker_epoch: BrokerEpoch,
    /// Whether it may lead and follow.
    pub unfenced: bool,
    /// Whether the active controller was heard of within a session.
    pub in_contact: bool,
    /// The version of its metadata.
    pub metadata_version: u64,
    /// Why it can never be part of the cluster, if so: the process should say this and exit.
    pub failure: Option<String>,
}

/// A running broker. Dropping it stops it without telling the controller before.
pub struct BrokerHandle {
    parts: Option<Parts>,
    state: Arc<BrokerState>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    statuses: watch::Receiver<LifecycleStatus>,
    ready: watch::Receiver<bool>,
    wants_shutdown: watch::Sender<bool>,
}

impl BrokerHandle {
    pub(super) fn new(
        parts: Parts,
        addresses: Vec<(Arc<str>, SocketAddr)>,
        statuses: watch::Receiver<LifecycleStatus>,
        ready: watch::Receiver<bool>,
        wants_shutdown: watch::Sender<bool>,
    ) -> BrokerHandle {
        let state = parts.state.clone();
        BrokerHandle { parts: Some(parts), state, addresses, statuses, ready, wants_shutdown }
    }

    /// Where a listener is bound.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| &**name == listener).map(|(_, address)| *address)
    }

    /// The parts that requests are answered from.
    pub fn state(&self) -> &Arc<BrokerState> {
        &self.state
    }

    /// Waits until the broker takes connections.
    ///
    /// # Errors
    /// Why it never will.
    pub async fn wait_ready(&self) -> Result<(), String> {
        let (mut ready, mut statuses) = (self.ready.clone(), self.statuses.clone());
        tokio::select! {
            opened = ready.wait_for(|ready| *ready) => {
                opened.map(|_| ()).map_err(|_| "the broker was stopped".to_owned())
            }
            failed = statuses.wait_for(|status| status.failure.is_some()) => Err(match failed {
                Ok(status) => status.failure.clone().unwrap_or_default(),
                Err(_) => "the broker was stopped".to_owned(),
            }),
        }
    }

    /// Waits until the broker cannot go on, and answers why. Never ends for a healthy one.
    pub async fn wait_failed(&self) -> String {
        let mut statuses = self.statuses.clone();
        match statuses.wait_for(|status| status.failure.is_some()).await {
            Ok(status) => status.failure.clone().unwrap_or_default(),
            Err(_) => "the broker was stopped".to_owned(),
        }
    }

    /// How it is doing now.
    pub fn health(&self) -> Health {
        let status = self.statuses.borrow().clone();
        let identity = &self.state.identity;
        Health {
            node_id: identity.node_id,
            cluster_id: identity.cluster_id(),
            broker_epoch: identity.broker_epoch(),
            unfenced: status.unfenced,
            in_contact: identity.is_in_contact(),
            metadata_version: self.state.metadata.load().version,
            failure: status.failure,
        }
    }

    /// Stops the broker; `true` if its logs were closed cleanly. A controlled stop first has the controller move its
    /// leaderships away, while it goes on serving, for at most the configured time.
    pub async fn shutdown(mut self, controlled: bool) -> bool {
        self.state.identity.set_stopping();
        if controlled && self.state.config.controlled_shutdown {
            self.hand_over().await;
        }
        let Some(parts) = self.parts.take() else { return false };
        match tokio::task::spawn_blocking(move || parts.stop()).await {
            Ok(clean) => clean,
            Err(error) => {
                tracing::error!("the broker did not stop in order: {error}");
                false
            }
        }
    }

    /// Waits until the controller says that this broker may go, or cannot be waited for any longer.
    async fn hand_over(&self) {
        if !self.statuses.borrow().registered {
            return;
        }
        self.wants_shutdown.send_replace(true);
        let timeout = Duration::from_millis(self.state.config.controlled_shutdown_timeout_ms);
        let mut statuses = self.statuses.clone();
        let done = statuses.wait_for(|status| status.may_shut_down || status.failure.is_some());
        tokio::select! {
            _ = done => {}
            () = tokio::time::sleep(timeout) => {
                tracing::warn!("leaderships could not all be moved in time: stopping all the same");
            }
            () = self.out_of_contact() => {
                tracing::warn!("no controller to move leaderships away: stopping all the same");
            }
        }
    }

    async fn out_of_contact(&self) {
        let mut contact = self.state.identity.contact_changes();
        loop {
            if contact.wait_for(|in_contact| !in_contact).await.is_err() {
                return;
            }
            let back = contact.wait_for(|in_contact| *in_contact);
            if tokio::time::timeout(WITHOUT_CONTROLLER, back).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        // A runtime must not be dropped within another, and this may be one.
        if std::thread::spawn(move || parts.stop()).join().is_err() {
            tracing::error!("the broker did not stop in order");
        }
    }
}
