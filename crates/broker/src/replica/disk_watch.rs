use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_types::MonotonicTime;

use super::disk_writes::{DiskWrites, WriteUnderWay};

/// After a stall, the longest time in which a disk has to show that it is well again.
const PROBATION_MAX: Duration = Duration::from_secs(30);

/// Whether a directory's disk answers: told when a write begins and ends, and when a group commit begins, gets on and
/// ends.
///
/// A disk on which nothing has got on for so long as `patience` counts as stalled: acks wait for it, on a leader and on
/// every in-sync follower, and nobody can say for how long. It counts so until it has been well for as long as it had
/// stalled, lest a disk that stalls again and again takes its replicas along each time.
///
/// Time in which nobody looked does not count: whoever looks does so with every heartbeat, so the process was stopped (or
/// sent no heartbeats, and is fenced for that), and the disk had nobody to answer to.
#[derive(Debug)]
pub(super) struct DiskWatch {
    patience: Duration,
    state: Mutex<State>,
    writes: DiskWrites,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the disk has been waited for, if it is.
    waits_since: Option<MonotonicTime>,
    /// When the oldest write began of those that were found to be stuck, while they are.
    stuck_since: Option<MonotonicTime>,
    /// When somebody looked last.
    looked_at: Option<MonotonicTime>,
    /// When it was found, last, that nobody had looked for long: what was under way then is waited for since then.
    resumed_at: Option<MonotonicTime>,
    /// It has to be well until then.
    on_probation_until: Option<MonotonicTime>,
    was_stalled: bool,
}

impl State {
    /// How long something has been under way while somebody looked.
    fn waited(&self, since: MonotonicTime, now: MonotonicTime) -> Duration {
        now.since(self.resumed_at.map_or(since, |resumed_at| resumed_at.max(since)))
    }
}

impl DiskWatch {
    /// A disk that is well; `patience` is how long one step may take.
    pub fn new(patience: Duration) -> DiskWatch {
        DiskWatch { patience, state: Mutex::default(), writes: DiskWrites::new() }
    }

    /// Something is about to be written, until what this returns is dropped.
    pub fn write(&self, now: MonotonicTime) -> WriteUnderWay<'_> {
        self.writes.begin(now)
    }

    /// Whether a write was under way for too long when this disk was last looked at: whatever it holds up would hold up the
    /// next, too.
    pub fn is_write_stuck(&self) -> bool {
        self.writes.is_stuck()
    }

    /// The disk is asked to flush.
    pub fn began(&self, now: MonotonicTime) {
        self.state.lock().waits_since = Some(now);
    }

    /// It has done a part of what it was asked for.
    pub fn got_on(&self, now: MonotonicTime) {
        let mut state = self.state.lock();
        let Some(since) = state.waits_since.replace(now) else { return };
        self.notice_gap(&mut state, now);
        let took = state.waited(since, now);
        if took >= self.patience {
            state.on_probation_until = Some(now + self.probation(took));
        }
    }

    /// It has done all of it.
    pub fn ended(&self, now: MonotonicTime) {
        self.got_on(now);
        self.state.lock().waits_since = None;
    }

    /// Notes that nobody has looked for so long that this process must have been stopped.
    fn notice_gap(&self, state: &mut State, now: MonotonicTime) {
        if state.looked_at.is_some_and(|looked_at| now.since(looked_at) >= self.patience) {
            state.resumed_at = Some(now);
        }
    }

    /// For how long it has to be well after a stall.
    fn probation(&self, took: Duration) -> Duration {
        took.clamp(self.patience, PROBATION_MAX.max(self.patience))
    }

    /// Whether no replica on it should be counted upon now; says so in the log when that changes.
    pub fn is_stalled(&self, now: MonotonicTime, directory: &Path) -> bool {
        let mut state = self.state.lock();
        self.notice_gap(&mut state, now);
        state.looked_at = Some(now);
        let waited = state.waits_since.map_or(Duration::ZERO, |since| state.waited(since, now));
        let oldest_write = self.writes.oldest();
        let written_for = oldest_write.map_or(Duration::ZERO, |since| state.waited(since, now));
        let write_is_stuck = written_for >= self.patience;
        if let Some(since) = oldest_write.filter(|_| write_is_stuck) {
            state.stuck_since = Some(since);
        } else if let Some(since) = state.stuck_since.take() {
            let stuck_for = state.waited(since, now);
            state.on_probation_until = state.on_probation_until.max(Some(now + self.probation(stuck_for)));
        }
        self.writes.set_stuck(write_is_stuck);
        let waited = waited.max(written_for);
        let stalls = waited >= self.patience;
        let stalled = stalls || state.on_probation_until.is_some_and(|until| now < until);
        if stalled != std::mem::replace(&mut state.was_stalled, stalled) {
            drop(state);
            let directory = directory.display();
            if stalled {
                tracing::warn!(
                    %directory,
                    "the disk has not answered for {waited:?}: this broker asks to be fenced until it does, so that other \
                     replicas take over"
                );
            } else {
                tracing::info!(%directory, "the disk answers again");
            }
        }
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> MonotonicTime {
        MonotonicTime::from_millis(ms)
    }

    /// Looks with every heartbeat until then.
    fn is_stalled(watch: &DiskWatch, ms: u64) -> bool {
        let looked_at = watch.state.lock().looked_at.unwrap_or_default().as_millis();
        for look in (looked_at..ms).step_by(200).skip(1) {
            watch.is_stalled(at(look), Path::new("data"));
        }
        watch.is_stalled(at(ms), Path::new("data"))
    }

    #[test]
    fn a_step_that_takes_too_long_is_a_stall_and_many_short_ones_are_none() {
        let watch = DiskWatch::new(PATIENCE);
        watch.began(at(0));
        for step in 1..10 {
            assert!(!is_stalled(&watch, step * 1500));
            watch.got_on(at(step * 1500));
        }
        watch.ended(at(15_000));
        assert!(!is_stalled(&watch, 100_000), "it has nothing to do");
        watch.began(at(100_000));
        assert!(!is_stalled(&watch, 101_999));
        assert!(is_stalled(&watch, 102_000));
    }

    #[test]
    fn a_write_that_does_not_return_is_a_stall_like_a_flush() {
        let watch = DiskWatch::new(PATIENCE);
        let write = watch.write(at(0));
        assert!(!is_stalled(&watch, 1999));
        assert!(!watch.is_write_stuck());
        // Others that come and go meanwhile do not hide it.
        drop(watch.write(at(1000)));
        assert!(is_stalled(&watch, 2000));
        assert!(watch.is_write_stuck());
        assert!(is_stalled(&watch, 4900));
        drop(write);
        assert!(is_stalled(&watch, 5000), "on probation, but nothing is held up");
        assert!(!watch.is_write_stuck());
        assert!(is_stalled(&watch, 9999));
        assert!(!is_stalled(&watch, 10_000));
    }

    #[test]
    fn a_disk_is_on_probation_for_as_long_as_it_stalled() {
        let watch = DiskWatch::new(PATIENCE);
        watch.began(at(0));
        assert!(is_stalled(&watch, 4900));
        watch.ended(at(5000));
        assert!(is_stalled(&watch, 5000), "it has not shown yet that it is well");
        watch.began(at(6000));
        watch.ended(at(6100));
        assert!(is_stalled(&watch, 9999));
        assert!(!is_stalled(&watch, 10_000));
        assert!(!is_stalled(&watch, 20_000));
        watch.began(at(20_000));
        assert!(is_stalled(&watch, 119_900));
        watch.ended(at(120_000));
        assert!(is_stalled(&watch, 149_999));
        assert!(!is_stalled(&watch, 150_000), "a long stall is not held against it for long");
    }

    #[test]
    fn the_disk_does_not_answer_for_a_process_that_was_stopped() {
        let watch = DiskWatch::new(PATIENCE);
        assert!(!is_stalled(&watch, 100));
        watch.began(at(110));
        let write = watch.write(at(110));
        // Stopped until 9000: the flush and the write return as it goes on, and then somebody looks.
        watch.ended(at(9000));
        drop(write);
        assert!(!watch.is_stalled(at(9001), Path::new("data")));
        // Again, and this time the disk really has stalled.
        watch.began(at(9100));
        let _write = watch.write(at(9100));
        assert!(!watch.is_stalled(at(20_000), Path::new("data")));
        assert!(!watch.is_write_stuck());
        assert!(!is_stalled(&watch, 21_999));
        assert!(is_stalled(&watch, 22_000));
        assert!(watch.is_write_stuck());
    }
}
