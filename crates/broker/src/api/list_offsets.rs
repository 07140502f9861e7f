//! ListOffsets (key 2): the offset at an end of a log or at a time.

use raftsman_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::replica::{Isolation, ListedOffset};

/// From this version on an answer tells the epoch of what it found (KIP-320).
const LEADER_EPOCH_FROM: i16 = 4;

/// Below this version an answer is a list of offsets at which segments start (before Kafka 0.10.1).
const TIMESTAMPS_FROM: i16 = 1;
/// The most offsets of such a list that are given, whatever is asked for.
const OLD_STYLE_OFFSETS_MAX: usize = 10_000;

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
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(answer(ctx, &topic.name, asked, isolation, version).await);
        }
        topics.push(ListOffsetsTopicResponse { partitions, name: topic.name });
    }
    Ok(ListOffsetsResponse { topics, ..Default::default() })
}

async fn answer(
    ctx: &Context,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let partition_index = asked.partition_index;
    if version < TIMESTAMPS_FROM {
        let (error_code, old_style_offsets) = match list_segments(ctx, topic, asked) {
            Ok(offsets) => (ErrorCode::None.code(), offsets),
            Err(error) => (error.code(), Vec::new()),
        };
        return ListOffsetsPartitionResponse { partition_index, error_code, old_style_offsets, ..Default::default() };
    }
    match list(ctx, topic, asked, isolation, version).await {
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

async fn list(
    ctx: &Context,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> Result<ListedOffset, ErrorCode> {
    if version < lowest_version(asked.timestamp) || asked.timestamp < -6 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let at = find(ctx, topic, asked)?;
    let known = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
    let listed = ctx.state.replicas.listed(at, asked.timestamp, isolation, known).await;
    listed.map_err(|error| as_known_in(version, error.error_code()))
}

/// Answers as before Kafka 0.10.1: which segments were last written to before a time.
fn list_segments(ctx: &Context, topic: &str, asked: &ListOffsetsPartition) -> Result<Vec<Offset>, ErrorCode> {
    if asked.timestamp < -2 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let at = find(ctx, topic, asked)?;
    let offsets_max = usize::try_from(asked.max_num_offsets).unwrap_or(0).min(OLD_STYLE_OFFSETS_MAX);
    let listed = ctx.state.replicas.list_segment_offsets(at, asked.timestamp, offsets_max);
    listed.map_err(|error| as_known_in(0, error.error_code()))
}

fn find(ctx: &Context, topic: &str, asked: &ListOffsetsPartition) -> Result<TopicIdPartition, ErrorCode> {
    if !ctx.is_authorized(Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let image = ctx.state.metadata.load();
    let topic = image.topic_by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(asked.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok(TopicIdPartition { topic_id: topic.id, partition: asked.partition_index })
}

/// The code, or what an older client knows in its place.
fn as_known_in(version: i16, code: ErrorCode) -> ErrorCode {
    match code {
        // KIP-207.
        ErrorCode::OffsetNotAvailable if version < 5 => ErrorCode::LeaderNotAvailable,
        code => code,
    }
}
