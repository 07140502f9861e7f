use raftsman_protocol::Str;

use crate::shard::DeletedTopic;
use crate::{Record, State};

/// Tombstones for everything that is stored of a group.
pub(crate) fn decide_delete_group(state: &State, group_id: &Str) -> Vec<Record> {
    let Some(stored) = state.group(group_id) else { return Vec::new() };
    let tombstone = |(topic, partition, _): (&Str, i32, _)| offset_tombstone(group_id, topic, partition);
    let mut records: Vec<Record> = stored.offsets().map(tombstone).collect();
    if stored.metadata.is_some() {
        records.push(group_tombstone(group_id));
    }
    records
}

/// Tombstones for the offsets of topics that are gone. An offset that names its topic's id stays unless it is that
/// one: it may belong to a later topic of the same name.
pub(crate) fn decide_delete_topics(state: &State, deleted: &[DeletedTopic]) -> Vec<Record> {
    let mut records = Vec::new();
    for (group_id, stored) in state.groups() {
        for topic in deleted {
            let Some(partitions) = stored.offsets.get(&topic.name) else { continue };
            let gone = partitions.iter().filter(|(_, value)| value.topic_id.is_zero() || value.topic_id == topic.id);
            records.extend(gone.map(|(partition, _)| offset_tombstone(group_id, &topic.name, *partition)));
        }
    }
    records
}

pub(super) fn offset_tombstone(group: &Str, topic: &Str, partition: i32) -> Record {
    Record::Offset { group: group.clone(), topic: topic.clone(), partition, value: None }
}

pub(super) fn group_tombstone(group: &Str) -> Record {
    Record::Group { group: group.clone(), value: None }
}
