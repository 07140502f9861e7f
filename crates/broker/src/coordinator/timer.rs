use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use raftsman_types::MonotonicTime;
use tokio::sync::Notify;

use super::service::Shared;

/// Wakes one task for the earliest deadline of all shards.
pub(super) struct Timer {
    /// When the task wakes next, in milliseconds of the service's clock.
    wakes_at_ms: AtomicU64,
    earlier: Notify,
}

/// The longest the task sleeps, so that it notices when the service is dropped.
const IDLE: Duration = Duration::from_secs(60);

impl Timer {
    pub fn new() -> Timer {
        Timer { wakes_at_ms: AtomicU64::new(u64::MAX), earlier: Notify::new() }
    }

    /// A shard has something to do at this time.
    pub fn expect(&self, at: Option<MonotonicTime>) {
        if self.lower_to(at) {
            self.earlier.notify_one();
        }
    }

    /// Whether the task has to wake earlier than it meant to.
    fn lower_to(&self, at: Option<MonotonicTime>) -> bool {
        // Rounded up: a deadline is never looked at before it has come.
        let Some(at_ms) = at.map(|at| at.as_millis().saturating_add(1)) else { return false };
        self.wakes_at_ms.fetch_min(at_ms, Ordering::AcqRel) > at_ms
    }
}

/// Ticks shards until the service is gone.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(live) = shared.upgrade() else { return };
        let timer = &live.timer;
        // Awake: nobody need wake the task, and least of all its own ticks.
        timer.wakes_at_ms.store(0, Ordering::Release);
        let (now, drivers) = (live.now().monotonic, live.drivers());
        drivers.iter().for_each(|driver| driver.tick(now));
        // From here on an earlier deadline wakes it; those that came up during the ticks are seen now.
        timer.wakes_at_ms.store(u64::MAX, Ordering::Release);
        for driver in drivers {
            timer.lower_to(driver.next_deadline());
        }
        let next = MonotonicTime::from_millis(timer.wakes_at_ms.load(Ordering::Acquire));
        let wait = next.since(live.now().monotonic).clamp(Duration::from_millis(1), IDLE);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = timer.earlier.notified() => {}
            () = live.stopped.notified() => return,
        }
    }
}
