use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit_record::OffsetCommitValue;
use raftsman_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use raftsman_types::{ErrorCode, Uuid};

use crate::{State, StoredGroup};

/// "No offset is committed."
const NO_OFFSET: i64 = -1;

/// The offsets asked for, or all of the group. What is not there is answered as "none", without an error.
pub(crate) fn fetch(state: &State, request: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let stored = state.group(&request.group_id);
    let topics = match &request.topics {
        None => stored.map(all_topics).unwrap_or_default(),
        Some(asked) => asked
            .iter()
            .map(|topic| {
                let found = |partition| find(stored, &topic.name, topic.topic_id, partition);
                let partitions = topic.partition_indexes.iter().map(|index| answer(*index, found(*index))).collect();
                OffsetFetchResponseTopics { topic_id: topic.topic_id, name: topic.name.clone(), partitions }
            })
            .collect(),
    };
    OffsetFetchResponseGroup { group_id: request.group_id.clone(), topics, error_code: ErrorCode::None.code() }
}

/// The answer to a fetch that failed as a whole.
pub(crate) fn refused_fetch(group_id: &Str, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup { group_id: group_id.clone(), topics: Vec::new(), error_code: error.code() }
}

/// An offset, unless it was committed for another topic that had the same name before.
fn find<'a>(
    stored: Option<&'a StoredGroup>,
    topic: &str,
    topic_id: Uuid,
    partition: i32,
) -> Option<&'a OffsetCommitValue> {
    let value = stored?.offsets.get(topic)?.get(&partition)?;
    let other = !topic_id.is_zero() && !value.topic_id.is_zero() && topic_id != value.topic_id;
    if other { None } else { Some(value) }
}

fn all_topics(stored: &StoredGroup) -> Vec<OffsetFetchResponseTopics> {
    let topic =
        |(name, partitions): (&Str, &std::collections::BTreeMap<i32, OffsetCommitValue>)| OffsetFetchResponseTopics {
            topic_id: partitions.values().next().map(|value| value.topic_id).unwrap_or_default(),
            name: name.clone(),
            partitions: partitions.iter().map(|(index, value)| answer(*index, Some(value))).collect(),
        };
    stored.offsets.iter().map(topic).collect()
}

fn answer(partition_index: i32, found: Option<&OffsetCommitValue>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: found.map_or(NO_OFFSET, |value| value.offset),
        committed_leader_epoch: found.map_or(-1, |value| value.leader_epoch),
        metadata: Some(found.map(|value| value.metadata.clone()).unwrap_or_default()),
        error_code: ErrorCode::None.code(),
    }
}
