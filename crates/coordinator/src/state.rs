use std::collections::{BTreeMap, BTreeSet};

use raftsman_protocol::Str;
use raftsman_protocol::messages::group_metadata_record::GroupMetadataValue;
use raftsman_protocol::messages::offset_commit_record::OffsetCommitValue;
use raftsman_types::Uuid;

use crate::Record;

/// What the records of one `__consumer_offsets` partition add up to. Changed by [`State::replay`] alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    groups: BTreeMap<Str, StoredGroup>,
}

/// What is stored of one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredGroup {
    /// Its membership as last written; `None` for a group that only stores offsets.
    pub metadata: Option<GroupMetadataValue>,
    /// Its committed offsets by topic and partition.
    pub offsets: BTreeMap<Str, BTreeMap<i32, OffsetCommitValue>>,
}

impl State {
    /// Applies a record that is in the log. Total: a tombstone for what is not there changes nothing.
    pub fn replay(&mut self, record: &Record) {
        match record {
            Record::Offset { group, topic, partition, value: Some(value) } => {
                let offsets = &mut self.groups.entry(group.clone()).or_default().offsets;
                offsets.entry(topic.clone()).or_default().insert(*partition, value.clone());
            }
            Record::Offset { group, topic, partition, value: None } => self.remove_offset(group, topic, *partition),
            Record::Group { group, value: Some(value) } => {
                self.groups.entry(group.clone()).or_default().metadata = Some(value.clone());
            }
            Record::Group { group, value: None } => {
                if let Some(stored) = self.groups.get_mut(group) {
                    stored.metadata = None;
                }
                self.drop_if_bare(group);
            }
        }
    }

    fn remove_offset(&mut self, group: &Str, topic: &Str, partition: i32) {
        if let Some(stored) = self.groups.get_mut(group)
            && let Some(partitions) = stored.offsets.get_mut(topic)
        {
            partitions.remove(&partition);
            if partitions.is_empty() {
                stored.offsets.remove(topic);
            }
        }
        self.drop_if_bare(group);
    }

    fn drop_if_bare(&mut self, group: &Str) {
        if self.groups.get(group).is_some_and(|stored| stored.metadata.is_none() && stored.offsets.is_empty()) {
            self.groups.remove(group);
        }
    }

    /// One group, if anything is stored of it.
    pub fn group(&self, group: &str) -> Option<&StoredGroup> {
        self.groups.get(group)
    }

    /// Every group of which something is stored, in the order of names.
    pub fn groups(&self) -> impl Iterator<Item = (&Str, &StoredGroup)> {
        self.groups.iter()
    }

    /// Every topic with a committed offset: its name, and its id where the offset was committed with one (else zero).
    pub fn topics(&self) -> BTreeSet<(Str, Uuid)> {
        let mut topics = BTreeSet::new();
        for stored in self.groups.values() {
            for (topic, partitions) in &stored.offsets {
                topics.extend(partitions.values().map(|value| (topic.clone(), value.topic_id)));
            }
        }
        topics
    }
}

impl StoredGroup {
    /// Whether an offset is stored.
    pub fn has_offsets(&self) -> bool {
        !self.offsets.is_empty()
    }

    /// Every offset with its topic and partition.
    pub fn offsets(&self) -> impl Iterator<Item = (&Str, i32, &OffsetCommitValue)> {
        self.offsets
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |(partition, value)| (topic, *partition, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(topic: &'static str, value: Option<i64>) -> Record {
        let value = value.map(|offset| OffsetCommitValue { offset, ..OffsetCommitValue::default() });
        Record::Offset { group: "g".into(), topic: topic.into(), partition: 0, value }
    }

    #[test]
    fn tombstones_leave_nothing_behind() {
        let mut state = State::default();
        let group = |value| Record::Group { group: "g".into(), value };
        for record in
            [offset("a", Some(1)), offset("a", Some(2)), offset("b", Some(3)), group(Some(Default::default()))]
        {
            state.replay(&record);
        }
        assert_eq!(state.group("g").map(|stored| stored.offsets().count()), Some(2));
        assert_eq!(state.topics().len(), 2);
        for record in [offset("a", None), group(None), offset("c", None), offset("b", None), group(None)] {
            state.replay(&record);
        }
        assert_eq!(state, State::default());
    }
}
