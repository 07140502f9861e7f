//! How far the opening of a directory's replicas is, for whoever reads the log and wonders.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_types::MonotonicTime;

/// Between two lines of one directory.
const EVERY: Duration = Duration::from_secs(5);

/// When to say again how far something is: not before so long, and never twice to make up for a time when nobody asked.
#[derive(Debug)]
pub(super) struct Cadence {
    every: Duration,
    due: MonotonicTime,
}

impl Cadence {
    fn begin(now: MonotonicTime, every: Duration) -> Cadence {
        Cadence { every, due: now + every }
    }

    /// For something that is said at once when it first happens.
    pub fn at_once(every: Duration) -> Cadence {
        Cadence { every, due: MonotonicTime::from_start(Duration::ZERO) }
    }

    /// Whether it is to be said now. Whoever is told yes says it.
    pub fn is_due(&mut self, now: MonotonicTime) -> bool {
        let due = now >= self.due;
        if due {
            self.due = now + self.every;
        }
        due
    }
}

/// How far one directory is. The threads that open its replicas share it, and say it as they get on.
#[derive(Debug)]
pub(super) struct Progress {
    replicas: usize,
    opened: AtomicUsize,
    checked_bytes: AtomicU64,
    cadence: Mutex<Cadence>,
}

/// How far it was when it was to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SoFar {
    pub opened: usize,
    pub replicas: usize,
    pub checked_bytes: u64,
}

impl Progress {
    pub fn begin(replicas: usize, now: MonotonicTime) -> Progress {
        let cadence = Mutex::new(Cadence::begin(now, EVERY));
        Progress { replicas, opened: AtomicUsize::new(0), checked_bytes: AtomicU64::new(0), cadence }
    }

    /// One more replica is open, or known to be damaged.
    pub fn opened(&self, now: MonotonicTime) -> Option<SoFar> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.so_far_if_due(now)
    }

    /// More batches were checked.
    pub fn checked(&self, bytes: u64, now: MonotonicTime) -> Option<SoFar> {
        self.checked_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.so_far_if_due(now)
    }

    pub fn checked_bytes(&self) -> u64 {
        self.checked_bytes.load(Ordering::Relaxed)
    }

    fn so_far_if_due(&self, now: MonotonicTime) -> Option<SoFar> {
        // Whoever holds it looks at the same time.
        let due = self.cadence.try_lock().is_some_and(|mut cadence| cadence.is_due(now));
        due.then(|| SoFar {
            opened: self.opened.load(Ordering::Relaxed),
            replicas: self.replicas,
            checked_bytes: self.checked_bytes(),
        })
    }
}

impl SoFar {
    pub fn say(self, directory: &Path) {
        let SoFar { opened, replicas, checked_bytes } = self;
        tracing::info!(directory = %directory.display(), checked_bytes, "{opened} of {replicas} replicas are open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::from_millis(millis)
    }

    #[test]
    fn it_is_said_once_in_so_long_and_not_made_up_for() {
        let mut cadence = Cadence::begin(at(1_000), Duration::from_secs(5));
        assert!(!cadence.is_due(at(1_000)) && !cadence.is_due(at(5_999)));
        assert!(cadence.is_due(at(6_000)));
        assert!(!cadence.is_due(at(6_000)) && !cadence.is_due(at(10_999)));
        // Nobody asked for a long time, for one block took it.
        assert!(cadence.is_due(at(60_000)));
        assert!(!cadence.is_due(at(60_001)) && !cadence.is_due(at(64_999)));
        assert!(cadence.is_due(at(65_000)));
    }

    #[test]
    fn a_directory_that_opens_quickly_says_nothing_and_one_that_does_not_says_how_far_it_is() {
        let quick = Progress::begin(2, at(0));
        assert_eq!([quick.checked(70, at(10)), quick.opened(at(20)), quick.opened(at(4_999))], [None; 3]);

        let slow = Progress::begin(3, at(0));
        assert_eq!(slow.opened(at(100)), None);
        // Within one log, too: a single one may be what takes so long.
        let so_far = SoFar { opened: 1, replicas: 3, checked_bytes: 50 };
        assert_eq!([slow.checked(20, at(4_000)), slow.checked(30, at(5_000))], [None, Some(so_far)]);
        assert_eq!(slow.opened(at(5_001)), None);
        let so_far = SoFar { opened: 3, replicas: 3, checked_bytes: 50 };
        assert_eq!(slow.opened(at(10_000)), Some(so_far));
    }
}
