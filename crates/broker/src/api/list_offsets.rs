//! ListOffsets (key 2): the offset at an end of a log or at a time.

use raftsman_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use raftsman_types::{ErrorCode, LeaderEpoch, TopicIdPartition};

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::replica::{Isolation, ListedOffset};

/// From this version on an answer tells the epoch of what it found (KIP-320).
const LEADER_EPOCH_FROM: i16 = 4;

/// The lowest version that knows each special timestamp; below it Kafka answers UNSUPPORTED_VERSION.
fn lowest_version(timestamp: i64) -> i16 {
    match timestamp {
        -3 => 7,
        -4 => 8,
        -5 => 9,
        -6 => 11,
        _ => 0,
    }
}

/// Answers for every partition on its own.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: ListOffsetsRequest, version: i16) -> Result<ListOffsetsResponse, Close> {
    let isolation = if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let topics = request
        .topics
        .into_iter()
        .map(|topic| ListOffsetsTopicResponse {
            partitions: topic.partitions.iter().map(|p| answer(ctx, &topic.name, p, isolation, version)).collect(),
            name: topic.name,
        })
        .collect();
    Ok(ListOffsetsResponse { topics, ..Default::default() })
}

fn answer(
    ctx: &Context,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let partition_index = asked.partition_index;
    match list(ctx, topic, asked, isolation, version) {
        Ok(listed) => ListOffsetsPartitionResponse {
            partition_index,
            timestamp: listed.timestamp_ms,
            offset: listed.offset,
            leader_epoch: if version >= LEADER_EPOCH_FROM { listed.leader_epoch.0 } else { -1 },
            ..Default::default()
        },
        Err(error) => ListOffsetsPartitionResponse {
            partition_index,
            error_code: error.code(),
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
            ..Default::default()
        },
    }
}

fn list(
    ctx: &Context,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> Result<ListedOffset, ErrorCode> {
    if version < lowest_version(asked.timestamp) || asked.timestamp < -6 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if !ctx.is_authorized(Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let image = ctx.state.metadata.load();
    let topic = image.topic_by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(asked.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let at = TopicIdPartition { topic_id: topic.id, partition: asked.partition_index };
    let known = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
    ctx.state.replicas.list_offset(at, asked.timestamp, isolation, known).map_err(|error| match error.error_code() {
        // Before version 5 clients do not know OFFSET_NOT_AVAILABLE (KIP-207).
        ErrorCode::OffsetNotAvailable if version < 5 => ErrorCode::LeaderNotAvailable,
        code => code,
    })
}
