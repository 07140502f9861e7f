use std::sync::Arc;

use tokio::sync::Notify;

use super::partition::Partition;

/// Waits until something new can be read from any of some partitions (a long poll). Made by
/// [`wait_for_data`](super::ReplicaManager::wait_for_data); dropping it ends the waiting.
pub struct DataWaiter {
    id: u64,
    signal: Arc<Notify>,
    partitions: Vec<Arc<Partition>>,
}

impl DataWaiter {
    pub(super) fn register(id: u64, partitions: Vec<Arc<Partition>>) -> DataWaiter {
        let signal = Arc::new(Notify::new());
        for partition in &partitions {
            partition.add_reader(id, &signal);
        }
        DataWaiter { id, signal, partitions }
    }

    /// Completes when anything was committed, or any leader changed, since the last time this completed or the waiter
    /// was made.
    pub async fn woken(&self) {
        self.signal.notified().await;
    }
}

impl Drop for DataWaiter {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.remove_reader(self.id);
        }
    }
}
