use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use raftsman_broker::replica::Clock;
use raftsman_types::{MonotonicTime, WallTime};

/// A moment of the simulation, in microseconds since it began. No process can see it: each has a clock of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub u64);

impl Add<Duration> for SimTime {
    type Output = SimTime;

    fn add(self, more: Duration) -> SimTime {
        SimTime(self.0 + more.as_micros() as u64)
    }
}

impl Sub for SimTime {
    type Output = Duration;

    fn sub(self, earlier: SimTime) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The present moment, shared by all clocks of a simulation.
#[derive(Debug, Clone, Default)]
pub(super) struct Present(Arc<AtomicU64>);

impl Present {
    pub fn now(&self) -> SimTime {
        SimTime(self.0.load(Ordering::Relaxed))
    }

    pub fn advance(&self, to: SimTime) {
        self.0.store(to.0, Ordering::Relaxed);
    }
}

/// 2026-01-01, where the wall clocks begin.
const WALL_EPOCH_MS: i64 = 1_767_225_600_000;
const PPM: i64 = 1_000_000;

/// The clocks of one node: they run fast or slow, and the wall clock jumps.
#[derive(Debug)]
pub(super) struct NodeClock {
    present: Present,
    /// Parts per million the monotonic clock is fast.
    drift_ppm: AtomicI64,
    /// When the drift was set, and what the monotonic clock showed then, in microseconds.
    since: AtomicU64,
    shown: AtomicI64,
    wall_offset_ms: AtomicI64,
}

impl NodeClock {
    pub fn new(present: &Present, drift_ppm: i64, wall_offset_ms: i64) -> Arc<NodeClock> {
        Arc::new(NodeClock {
            present: present.clone(),
            drift_ppm: AtomicI64::new(drift_ppm),
            since: AtomicU64::new(present.now().0),
            shown: AtomicI64::new(0),
            wall_offset_ms: AtomicI64::new(wall_offset_ms),
        })
    }

    fn shown_us(&self) -> i64 {
        let passed = self.present.now().0.saturating_sub(self.since.load(Ordering::Relaxed)) as i64;
        self.shown.load(Ordering::Relaxed) + passed + passed * self.drift_ppm.load(Ordering::Relaxed) / PPM
    }

    /// From now on the monotonic clock is so much fast.
    pub fn set_drift(&self, ppm: i64) {
        let shown = self.shown_us();
        self.shown.store(shown, Ordering::Relaxed);
        self.since.store(self.present.now().0, Ordering::Relaxed);
        self.drift_ppm.store(ppm, Ordering::Relaxed);
    }

    /// The monotonic clock leaps ahead, as after a machine was suspended.
    pub fn leap(&self, by: Duration) {
        self.shown.fetch_add(by.as_micros() as i64, Ordering::Relaxed);
    }

    /// The wall clock is set, so far from the true time.
    pub fn set_wall(&self, offset_ms: i64) {
        self.wall_offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime::from_start(Duration::from_micros(self.shown_us().max(0) as u64))
    }

    fn wall(&self) -> WallTime {
        let ms = (self.present.now().0 / 1000) as i64;
        WallTime(WALL_EPOCH_MS + ms + self.wall_offset_ms.load(Ordering::Relaxed))
    }
}
