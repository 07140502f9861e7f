use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};
use tokio::sync::watch;
use tokio::time::Instant;

/// Who this broker is in the cluster, shared by everything that speaks for it.
pub struct BrokerIdentity {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// This start of the process.
    pub incarnation: IncarnationId,
    cluster_id: OnceLock<Arc<str>>,
    broker_epoch: AtomicI64,
    in_contact: watch::Sender<bool>,
    contact_until: watch::Sender<Option<Instant>>,
    admitted: AtomicBool,
    stopping: AtomicBool,
    offline_directories: watch::Sender<BTreeSet<DirectoryId>>,
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
            contact_until: watch::Sender::new(None),
            admitted: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            offline_directories: watch::Sender::default(),
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
    ///
    /// Looks at the clock: after a process was stopped for a while, its first request must already see it.
    pub fn is_in_contact(&self) -> bool {
        let lasts = self.contact_until.borrow().is_none_or(|until| Instant::now() < until);
        lasts && *self.in_contact.borrow()
    }

    /// Sees every change of [`BrokerIdentity::is_in_contact`].
    pub fn contact_changes(&self) -> watch::Receiver<bool> {
        self.in_contact.subscribe()
    }

    /// Notes that the controller answered, which makes this broker sure of its session until then.
    pub(crate) fn heard(&self, until: Instant) {
        self.contact_until.send_if_modified(|before| {
            let later = before.is_none_or(|before| until > before);
            if later {
                *before = Some(until);
            }
            later
        });
        self.set_in_contact(Instant::now() < until);
    }

    /// Ends the contact whenever a session passes without an answer. Runs for ever.
    pub(crate) async fn watch_contact(&self) {
        let mut heard = self.contact_until.subscribe();
        loop {
            let until = *heard.borrow_and_update();
            match until {
                Some(until) if Instant::now() < until => tokio::time::sleep_until(until).await,
                _ => {
                    if *self.in_contact.borrow() {
                        tracing::warn!(
                            broker = %self.node_id,
                            "no controller has answered within a session: this broker leads nothing until one does"
                        );
                        self.set_in_contact(false);
                    }
                    // The sender lives in `self`, so this only waits.
                    if heard.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Says whether the controller has been heard of; wakes watchers only if that changed.
    pub fn set_in_contact(&self, in_contact: bool) {
        self.in_contact.send_if_modified(|before| std::mem::replace(before, in_contact) != in_contact);
    }

    /// The log directories that failed since the start.
    pub fn offline_directories(&self) -> BTreeSet<DirectoryId> {
        self.offline_directories.borrow().clone()
    }

    /// Notes that a log directory failed; the controller hears of it at once.
    pub fn directory_offline(&self, directory: DirectoryId) {
        self.offline_directories.send_if_modified(|offline| offline.insert(directory));
    }

    pub(super) fn offline_directory_changes(&self) -> watch::Receiver<BTreeSet<DirectoryId>> {
        self.offline_directories.subscribe()
    }

    /// Whether the cluster has counted on this broker since it started: before that it knows nothing to tell clients.
    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
    }

    /// The controller has unfenced this broker.
    pub(crate) fn set_admitted(&self) {
        self.admitted.store(true, Ordering::Release);
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
