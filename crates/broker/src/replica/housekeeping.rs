//! What only time brings about: one thread, which sleeps while nothing is due.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::core::Core;
use super::manager::Inner;
use super::partition::Partition;
use super::startup::write_checkpoints;

/// Between two looks at leaders that have something left to do, and at followers to be told of watermarks.
const TICK: Duration = Duration::from_millis(100);

/// Runs until the replicas are shut down or dropped.
pub(super) fn drive(core: &Core, inner: &Weak<Inner>) {
    let mut checkpoint_at = Instant::now() + core.config.checkpoint_interval;
    let mut retention_at = Instant::now() + core.config.retention_check_interval;
    loop {
        let wanted = core.attention.wait(TICK, checkpoint_at.min(retention_at));
        if wanted.stop {
            return;
        }
        let Some(inner) = inner.upgrade() else { return };
        for directory in wanted.failed {
            for partition in replicas(&inner) {
                if Arc::ptr_eq(&partition.directory, &directory) {
                    partition.go_offline();
                }
            }
        }
        for session in wanted.sessions {
            session.tell_watermarks();
        }
        for leader in wanted.leaders {
            leader.tick();
        }
        let now = Instant::now();
        if now >= checkpoint_at {
            checkpoint_at = now + core.config.checkpoint_interval;
            let replicas = replicas(&inner);
            for directory in &inner.directories {
                write_checkpoints(directory, &replicas, core);
            }
        }
        if now >= retention_at {
            retention_at = now + core.config.retention_check_interval;
            for partition in replicas(&inner) {
                partition.clean_up();
            }
        }
    }
}

fn replicas(inner: &Inner) -> Vec<Arc<Partition>> {
    inner.partitions.read().values().cloned().collect()
}
