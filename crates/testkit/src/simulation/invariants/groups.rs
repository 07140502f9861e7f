use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_broker::coordinator::stepped::SteppedCoordinator;
use raftsman_coordinator::{Record, State};
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_records::split_batches;
use raftsman_types::{LeaderEpoch, Offset, TopicIdPartition};

use super::{Checked, Violation, generation_fence, group_rebuilt, sole_assignment};

/// The topic that groups and their offsets are kept in.
pub(in crate::simulation) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A commit as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) struct LoggedCommit {
    /// Where in the offsets topic.
    pub place: Offset,
    /// The offset that was committed.
    pub offset: Offset,
}

/// Everything about groups that was ever committed, added up by the shipped replay, and what coordinators make of it.
#[derive(Debug, Default)]
pub(in crate::simulation) struct GroupTruth {
    states: BTreeMap<TopicIdPartition, State>,
    /// By group and partition each commit, under the text that its member sent with it, which no other has.
    commits: BTreeMap<(Str, i32), BTreeMap<Str, LoggedCommit>>,
    /// Epoch and incarnation of the shards that were looked at.
    seen: BTreeMap<(i32, TopicIdPartition), (LeaderEpoch, u64)>,
}

impl GroupTruth {
    /// What is committed of a partition of the offsets topic.
    pub fn state(&self, at: TopicIdPartition) -> Option<&State> {
        self.states.get(&at)
    }

    /// A commit by the text that was sent with it.
    pub fn commit(&self, group: &Str, partition: i32, text: &Str) -> Option<LoggedCommit> {
        self.commits.get(&(group.clone(), partition))?.get(text).copied()
    }

    /// A process is gone: its shards are looked at anew.
    pub fn process_ended(&mut self, node: i32) {
        self.seen.retain(|(of, _), _| *of != node);
    }

    /// Offsets from `from` on and below `upto` of a partition of the offsets topic were committed.
    pub fn committed(&mut self, at: TopicIdPartition, (from, upto): (Offset, Offset), chunks: &[Bytes]) -> Checked {
        let unreadable = |why: String| Violation::new("the offsets topic is readable", format!("{at}: {why}"));
        for batch in chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false)) {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            if batch.base_offset() < from || batch.last_offset() >= upto {
                continue;
            }
            for record in batch.records() {
                let record = record.map_err(|error| unreadable(error.to_string()))?;
                let decoded = Record::decode(record.key.unwrap_or_default(), record.value);
                let decoded = decoded.map_err(|error| unreadable(error.to_string()))?;
                let decoded = decoded.ok_or_else(|| unreadable(format!("{} is of no known kind", record.offset)))?;
                self.replay(at, record.offset, &decoded)?;
            }
        }
        Ok(())
    }

    fn replay(&mut self, at: TopicIdPartition, place: Offset, record: &Record) -> Checked {
        let state = self.states.entry(at).or_default();
        generation_fence::check(state, place, record)?;
        sole_assignment::check(state, place, record)?;
        if let Record::Offset { group, partition, value: Some(value), .. } = record {
            let commits = self.commits.entry((group.clone(), *partition)).or_default();
            commits.insert(value.metadata.clone(), LoggedCommit { place, offset: value.offset });
        }
        state.replay(record);
        Ok(())
    }

    /// A broker's coordinator may have loaded groups. `is_read` says of which partitions all that is committed was read.
    pub fn coordinator_stepped(
        &mut self,
        node: i32,
        coordinator: &SteppedCoordinator,
        image: &MetadataImage,
        is_read: impl Fn(TopicIdPartition) -> bool,
    ) -> Checked {
        let mut checked = Ok(());
        coordinator.inspect(|at, epoch, incarnation, state| {
            let mark = (epoch, incarnation);
            if checked.is_err() || self.seen.insert((node, at), mark) == Some(mark) {
                return;
            }
            let is_newest = image.partition(at).is_some_and(|partition| partition.leader_epoch == epoch);
            if is_newest && is_read(at) {
                checked = group_rebuilt::check(node, at, state, self.states.get(&at));
            }
        });
        checked
    }
}
