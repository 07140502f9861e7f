use std::sync::Arc;

use raftsman_log::{CacheBudget, Log};

use super::ReplicaConfig;

/// What the logs of all replicas may hold in memory together.
#[derive(Debug, Clone)]
pub(super) struct LogMemory {
    tail_caches: Arc<CacheBudget>,
    deferred_writes: Arc<CacheBudget>,
}

impl LogMemory {
    pub fn new(config: &ReplicaConfig) -> LogMemory {
        LogMemory {
            tail_caches: Arc::new(CacheBudget::new(config.tail_cache_bytes)),
            deferred_writes: Arc::new(CacheBudget::new(config.deferred_bytes)),
        }
    }

    /// Has a log share it.
    pub fn grant(&self, log: &mut Log) {
        log.set_cache_budget(Arc::clone(&self.tail_caches));
        log.set_deferral_budget(Arc::clone(&self.deferred_writes));
    }
}
