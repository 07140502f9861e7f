use std::collections::BTreeMap;

use raftsman_broker::replica::stepped::ReplicaInspection;
use raftsman_types::{Offset, TopicIdPartition};

use super::{Checked, Violation};
use crate::simulation::topics::Keeping;

/// Records go when somebody says so, and those that are said to be gone stay gone.
#[derive(Debug, Default)]
pub(in crate::simulation) struct LogStarts {
    /// Below which offset records were asked to be deleted, by the leader that took it.
    asked: BTreeMap<TopicIdPartition, Offset>,
    /// Who has said of which offset that nothing below is there, even after a crash.
    floors: BTreeMap<(i32, TopicIdPartition), Offset>,
    /// The furthest start that any replica was seen with.
    furthest: BTreeMap<TopicIdPartition, Offset>,
}

impl LogStarts {
    /// A leader takes it upon itself to delete what is below an offset.
    pub fn asked(&mut self, at: TopicIdPartition, before: Offset) {
        let asked = self.asked.entry(at).or_default();
        *asked = before.max(*asked);
    }

    /// A leader answers that nothing below `low_watermark` is left on any live replica. `starts` has those that can be looked at.
    pub fn deleted(&mut self, at: TopicIdPartition, low_watermark: Offset, starts: &[(i32, Offset)]) -> Checked {
        for (node, start) in starts {
            if *start < low_watermark {
                let what = format!("{at}: the low watermark is {low_watermark}, broker {node} starts at {start}");
                return Err(Violation::new("DeletedEverywhere", what));
            }
            let floor = self.floors.entry((*node, at)).or_default();
            *floor = low_watermark.max(*floor);
        }
        Ok(())
    }

    /// What a node held is gone with its disk, what it said with it.
    pub fn wiped(&mut self, node: i32) {
        self.floors.retain(|(of, _), _| *of != node);
    }

    /// The furthest start that any replica of a partition was seen with: what is below may be out of range.
    pub fn furthest(&self, at: TopicIdPartition) -> Offset {
        self.furthest.get(&at).copied().unwrap_or_default()
    }

    pub(super) fn check(
        &mut self,
        node: i32,
        at: TopicIdPartition,
        keeping: Keeping,
        now: &ReplicaInspection,
    ) -> Checked {
        let start = now.log_start_offset;
        let furthest = self.furthest.entry(at).or_default();
        *furthest = start.max(*furthest);
        let asked = self.asked.get(&at).copied().unwrap_or_default();
        if keeping != Keeping::Newest && start > asked {
            let what = format!("{at}: broker {node} starts at {start}; records were deleted below {asked}");
            return Err(Violation::new("nothing goes that nobody deleted", what));
        }
        let floor = self.floors.get(&(node, at)).copied().unwrap_or_default();
        if start < floor && now.log_end_offset > start {
            let what = format!("{at}: broker {node} starts at {start}; records below {floor} were said to be deleted");
            return Err(Violation::new("DeletedStaysDeleted", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use raftsman_types::{LeaderEpoch, TopicId, Uuid};

    use super::*;

    const AT: TopicIdPartition = TopicIdPartition { topic_id: TopicId(Uuid([1; 16])), partition: 0 };

    fn replica(log_start_offset: Offset) -> ReplicaInspection {
        ReplicaInspection {
            leader: None,
            follows: None,
            leader_epoch: LeaderEpoch(0),
            log_epoch: LeaderEpoch(0),
            high_watermark: 20,
            log_start_offset,
            flushed_offset: 20,
            log_end_offset: 20,
            cuts: 0,
            swaps: 0,
            is_offline: false,
        }
    }

    #[test]
    fn records_go_where_somebody_asked_or_retention_takes_them() {
        let mut starts = LogStarts::default();
        assert!(starts.check(1, AT, Keeping::All, &replica(5)).is_err(), "nobody asked");
        assert!(starts.check(1, AT, Keeping::Keys, &replica(5)).is_err(), "compaction moves no start");
        assert_eq!(starts.check(1, AT, Keeping::Newest, &replica(5)), Ok(()));
        starts.asked(AT, 5);
        assert_eq!(starts.check(1, AT, Keeping::All, &replica(5)), Ok(()));
        assert!(starts.check(1, AT, Keeping::All, &replica(6)).is_err(), "more than was asked");
        assert_eq!(starts.furthest(AT), 6);
    }

    #[test]
    fn what_is_said_to_be_deleted_is_and_stays_so() {
        let mut starts = LogStarts::default();
        assert!(starts.deleted(AT, 5, &[(1, 5), (2, 4)]).is_err(), "broker 2 has it still");
        assert_eq!(starts.deleted(AT, 5, &[(1, 5), (2, 7)]), Ok(()));
        starts.asked(AT, 7);
        assert!(starts.check(1, AT, Keeping::All, &replica(4)).is_err(), "back after a crash");
        assert_eq!(starts.check(2, AT, Keeping::All, &replica(5)), Ok(()), "it was asked about 5 only");
        let empty = ReplicaInspection { log_end_offset: 0, ..replica(0) };
        assert_eq!(starts.check(1, AT, Keeping::All, &empty), Ok(()), "it has no records to be back");
        starts.wiped(1);
        assert_eq!(starts.check(1, AT, Keeping::All, &replica(4)), Ok(()));
    }
}
