use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use raftsman_types::{BrokerEpoch, BrokerId, IncarnationId};
use tokio::sync::watch;

/// Who this broker is in the cluster, shared by everything that speaks for it.
pub struct BrokerIdentity {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// This start of the process.
    pub incarnation: IncarnationId,
    cluster_id: OnceLock<Arc<str>>,
    broker_epoch: AtomicI64,
    in_contact: watch::Sender<bool>,
    stopping: AtomicBool,
}

impl BrokerIdentity {
    /// A broker that has not registered yet. `cluster_id` is what its `meta.properties` says, if it says.
    pub fn new(node_id: BrokerId, incarnation: IncarnationId, cluster_id: Option<Arc<str>>) -> BrokerIdentity {
        BrokerIdentity {
            node_id,
            incarnation,
            cluster_id: cluster_id.map(OnceLock::from).unwrap_or_default(),
            broker_epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            in_contact: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// The cluster's id, once known.
    pub fn cluster_id(&self) -> Option<Arc<str>> {
        self.cluster_id.get().cloned()
    }

    /// The epoch of the present registration; `BrokerEpoch::NONE` before the first.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Acquire))
    }

    /// Takes what a registration answered. A broker learns its cluster once and never changes it.
    pub fn registered(&self, cluster_id: &str, epoch: BrokerEpoch) {
        self.cluster_id.get_or_init(|| cluster_id.into());
        self.broker_epoch.store(epoch.0, Ordering::Release);
    }

    /// Whether the active controller was heard of within a session. A broker out of contact is a zombie: it may have
    /// been replaced, so it leads nothing and sends clients elsewhere.
    pub fn is_in_contact(&self) -> bool {
        *self.in_contact.borrow()
    }

    /// Sees every change of [`BrokerIdentity::is_in_contact`].
    pub fn contact_changes(&self) -> watch::Receiver<bool> {
        self.in_contact.subscribe()
    }

    /// Says whether the controller has been heard of; wakes watchers only if that changed.
    pub fn set_in_contact(&self, in_contact: bool) {
        self.in_contact.send_if_modified(|before| std::mem::replace(before, in_contact) != in_contact);
    }

    /// Whether this broker is on its way out.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Says that this broker is on its way out.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}
