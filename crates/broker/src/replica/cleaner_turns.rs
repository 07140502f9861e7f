use std::collections::{HashMap, HashSet};

use raftsman_log::CompactionError;
use raftsman_types::TopicIdPartition;

/// Whose turn it is to be compacted.
#[derive(Debug, Default)]
pub(super) struct CleanerTurns {
    /// Logs under work.
    busy: HashSet<TopicIdPartition>,
    /// Logs with damage, which stay as they are until the broker restarts.
    uncleanable: HashSet<TopicIdPartition>,
    /// Logs whose compaction failed last time, and how many runs had ended then.
    failed: HashMap<TopicIdPartition, u64>,
    ended: u64,
}

/// After so many runs of other logs one that failed is no longer behind them: it may have been the only one that did not get on.
const RUNS_BEHIND: u64 = 20;

/// A log that is due, as it stands in line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    failed_at: u64,
    dirty_ratio: f64,
}

impl CleanerTurns {
    /// Whether somebody is at work on a log, or nobody should be.
    pub fn is_passed_over(&self, at: TopicIdPartition) -> bool {
        self.busy.contains(&at) || self.uncleanable.contains(&at)
    }

    /// The turn of a log so dirty.
    pub fn turn(&self, at: TopicIdPartition, dirty_ratio: f64) -> Turn {
        let failed_at = self.failed.get(&at).copied().filter(|failed_at| self.ended - failed_at < RUNS_BEHIND);
        Turn { failed_at: failed_at.unwrap_or(0), dirty_ratio }
    }

    /// Somebody wants to begin; false if another one did.
    pub fn begin(&mut self, at: TopicIdPartition) -> bool {
        self.busy.insert(at)
    }

    /// A compaction is over. Says whether another log may be looked for at once.
    pub fn end(&mut self, at: TopicIdPartition, outcome: &Result<(), CompactionError>) -> bool {
        self.busy.remove(&at);
        self.ended += 1;
        match outcome {
            Ok(()) => {
                self.failed.remove(&at);
                true
            }
            Err(CompactionError::Damaged { .. }) => {
                self.failed.remove(&at);
                self.uncleanable.insert(at);
                true
            }
            // No room, as a rule. It is tried again, but others may need less, or make some.
            Err(CompactionError::Storage(_)) => self.failed.insert(at, self.ended).is_none(),
            Err(CompactionError::Stopped(_) | CompactionError::Superseded) => false,
        }
    }
}

impl Turn {
    /// The dirtiest comes first, but those that failed come after all others, and whichever failed longest ago first among them.
    pub fn is_before(self, other: Turn) -> bool {
        match self.failed_at.cmp(&other.failed_at) {
            std::cmp::Ordering::Equal => self.dirty_ratio > other.dirty_ratio,
            order => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use raftsman_log::StorageError;
    use raftsman_types::{TopicId, Uuid};

    use super::*;

    fn at(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId(Uuid([7; 16])), partition }
    }

    fn no_room() -> Result<(), CompactionError> {
        let source = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        Err(CompactionError::Storage(StorageError {
            operation: "write",
            path: "/logs/t-0/0.log.cleaned".into(),
            source: source.into(),
        }))
    }

    /// Partitions by number, each a tenth dirtier than the one before; begins whichever is first.
    fn next(turns: &mut CleanerTurns, count: i32) -> Option<i32> {
        let mut first: Option<(i32, Turn)> = None;
        for partition in 0..count {
            let turn = turns.turn(at(partition), f64::from(partition) / 10.0);
            if !turns.is_passed_over(at(partition)) && first.is_none_or(|(_, other)| turn.is_before(other)) {
                first = Some((partition, turn));
            }
        }
        let (partition, _) = first?;
        assert!(turns.begin(at(partition)));
        Some(partition)
    }

    #[test]
    fn the_dirtiest_that_nobody_works_on_is_next() {
        let mut turns = CleanerTurns::default();
        assert_eq!([next(&mut turns, 3), next(&mut turns, 3)], [Some(2), Some(1)]);
        assert!(!turns.begin(at(2)), "another thread is at it");
        assert!(turns.end(at(2), &Ok(())));
        assert_eq!(next(&mut turns, 3), Some(2));
        assert_eq!([next(&mut turns, 3), next(&mut turns, 3)], [Some(0), None]);
    }

    #[test]
    fn a_log_for_which_there_is_no_room_does_not_keep_the_others_from_their_turn() {
        let mut turns = CleanerTurns::default();
        assert_eq!(next(&mut turns, 3), Some(2));
        assert!(turns.end(at(2), &no_room()), "the others are looked at now");
        assert_eq!(next(&mut turns, 3), Some(1));
        assert!(turns.end(at(1), &no_room()));
        assert_eq!(next(&mut turns, 3), Some(0));
        assert!(turns.end(at(0), &Ok(())));
        // What has not failed goes first; whatever failed first is the first to be tried again.
        assert_eq!(next(&mut turns, 3), Some(0));
        assert_eq!(next(&mut turns, 3), Some(2));
        assert!(!turns.end(at(2), &no_room()), "it failed again: time has to pass");
        assert_eq!(next(&mut turns, 3), Some(1));
        assert!(turns.end(at(1), &Ok(())));
        assert_eq!(next(&mut turns, 3), Some(1), "it is well again");
    }

    #[test]
    fn a_log_that_failed_is_not_behind_the_others_for_ever() {
        let mut turns = CleanerTurns::default();
        assert_eq!(next(&mut turns, 2), Some(1));
        assert!(turns.end(at(1), &no_room()));
        // The other one is due all the time.
        let runs = (1..).find(|_| {
            let partition = next(&mut turns, 2).expect("one is due");
            turns.end(at(partition), &Ok(()));
            partition == 1
        });
        assert_eq!(runs, Some(RUNS_BEHIND + 1));
    }

    #[test]
    fn a_damaged_log_has_no_turn() {
        let mut turns = CleanerTurns::default();
        assert_eq!(next(&mut turns, 1), Some(0));
        let (path, source) =
            ("0.log".into(), raftsman_records::BatchError::CrcMismatch { base_offset: 7, stored: 1, computed: 2 });
        assert!(turns.end(at(0), &Err(CompactionError::Damaged { path, offset: 7, source })));
        assert_eq!(next(&mut turns, 1), None);
    }
}
