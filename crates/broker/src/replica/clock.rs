use std::time::{Instant, SystemTime, UNIX_EPOCH};

use raftsman_types::{MonotonicTime, WallTime};

/// Tells replicas the time: the system's clocks, or those of a simulation.
pub trait Clock: Send + Sync + 'static {
    /// A clock that never goes back: for lag, sessions and timeouts.
    fn monotonic(&self) -> MonotonicTime;

    /// The time of day: for record timestamps and what is configured in terms of them. May jump either way.
    fn wall(&self) -> WallTime;
}

/// The clocks of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Clocks whose monotonic one starts now.
    pub fn start() -> SystemClock {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime::from_start(self.started.elapsed())
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        WallTime(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}
