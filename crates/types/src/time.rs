use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A reading of a clock that never goes back; its zero means nothing. For sessions, timeouts and lag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime {
    since_start: Duration,
}

impl MonotonicTime {
    /// A reading `since_start` after the clock's zero.
    pub const fn from_start(since_start: Duration) -> MonotonicTime {
        MonotonicTime { since_start }
    }

    /// A reading so many milliseconds after the clock's zero.
    pub const fn from_millis(ms: u64) -> MonotonicTime {
        MonotonicTime { since_start: Duration::from_millis(ms) }
    }

    /// Milliseconds since the clock's zero.
    pub fn as_millis(self) -> u64 {
        self.since_start.as_millis() as u64
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: MonotonicTime) -> Duration {
        self.since_start.saturating_sub(earlier.since_start)
    }
}

impl Add<Duration> for MonotonicTime {
    type Output = MonotonicTime;

    fn add(self, more: Duration) -> MonotonicTime {
        MonotonicTime { since_start: self.since_start.saturating_add(more) }
    }
}

impl Sub<Duration> for MonotonicTime {
    type Output = MonotonicTime;

    /// The reading so long before; the clock's zero if that lies before it.
    fn sub(self, less: Duration) -> MonotonicTime {
        MonotonicTime { since_start: self.since_start.saturating_sub(less) }
    }
}

/// Milliseconds since 1970, as in record timestamps. May jump either way: never for sessions or timeouts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime(pub i64);
