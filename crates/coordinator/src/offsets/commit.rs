use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use raftsman_protocol::messages::offset_commit_record::OffsetCommitValue;
use raftsman_types::{ErrorCode, Uuid, WallTime};

use super::Outcome;
use crate::{CoordinatorConfig, Record};

/// "As the broker is configured", for a retention and for a commit's time.
const UNSET: i64 = -1;

/// Decides a commit of a sender that may commit: a record for each offset, and an error for each whose metadata is
/// too large.
pub(crate) fn decide_commit(
    config: &CoordinatorConfig,
    now: WallTime,
    request: &OffsetCommitRequest,
) -> Outcome<OffsetCommitResponse> {
    let group = request.group_id.detached();
    let mut records = Vec::new();
    let reply = answer(request, |topic, partition| {
        let metadata = partition.committed_metadata.as_ref();
        if metadata.is_some_and(|text| text.len() > config.offset_metadata_max_bytes) {
            return ErrorCode::OffsetMetadataTooLarge;
        }
        records.push(Record::Offset {
            group: group.clone(),
            topic: topic.name.detached(),
            partition: partition.partition_index,
            value: Some(committed(now, request.retention_time_ms, topic, partition)),
        });
        ErrorCode::None
    });
    Outcome { records, reply }
}

fn committed(
    now: WallTime,
    retention_time_ms: i64,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> OffsetCommitValue {
    let mut value = OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_ref().map(Str::detached).unwrap_or_default(),
        // Version 1 lets the client say when the offset was committed.
        commit_timestamp: if partition.commit_timestamp == UNSET { now.0 } else { partition.commit_timestamp },
        expire_timestamp: UNSET,
        topic_id: topic.topic_id,
    };
    if retention_time_ms >= 0 {
        // The one record version with an expiry of its own has neither a leader epoch nor a topic id.
        value.expire_timestamp = now.0.saturating_add(retention_time_ms);
        value.leader_epoch = -1;
        value.topic_id = Uuid::ZERO;
    }
    value
}

/// The answer to a commit that failed as a whole.
pub(crate) fn refused_commit(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    answer(request, |_, _| error)
}

fn answer(
    request: &OffsetCommitRequest,
    mut each: impl FnMut(&OffsetCommitRequestTopic, &OffsetCommitRequestPartition) -> ErrorCode,
) -> OffsetCommitResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partition = |partition: &OffsetCommitRequestPartition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: each(topic, partition).code(),
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        topics.push(OffsetCommitResponseTopic { topic_id: topic.topic_id, name: topic.name.clone(), partitions });
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}
