//! OffsetForLeaderEpoch (key 23): where an epoch ends in the leader's log, for clients that look for truncation (KIP-320).

use raftsman_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use raftsman_types::{ErrorCode, LeaderEpoch, TopicIdPartition};

use super::authorize::{Operation, Resource};
use super::{Close, Context};

/// Answers for every partition on its own.
///
/// # Errors
/// None that end the connection.
pub async fn handle(
    ctx: &Context,
    request: OffsetForLeaderEpochRequest,
    _version: i16,
) -> Result<OffsetForLeaderEpochResponse, Close> {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| OffsetForLeaderTopicResult {
            partitions: topic.partitions.iter().map(|p| answer(ctx, &topic.topic, p)).collect(),
            topic: topic.topic,
        })
        .collect();
    Ok(OffsetForLeaderEpochResponse { topics, ..Default::default() })
}

fn answer(ctx: &Context, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let partition = asked.partition;
    let image = ctx.state.metadata.load();
    let found = image.topic_by_name(topic).filter(|topic| topic.partition(partition).is_some());
    let describable = ctx.is_authorized(Operation::Describe, Resource::Topic(topic));
    let found = if describable {
        found.ok_or(ErrorCode::UnknownTopicOrPartition)
    } else {
        Err(ErrorCode::TopicAuthorizationFailed)
    };
    let result = found.and_then(|topic| {
        let at = TopicIdPartition { topic_id: topic.id, partition };
        let known = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
        let wanted = LeaderEpoch(asked.leader_epoch);
        ctx.state.replicas.offset_for_leader_epoch(at, known, wanted).map_err(|error| error.error_code())
    });
    match result {
        Ok(Some((epoch, end_offset))) => {
            EpochEndOffset { partition, leader_epoch: epoch.0, end_offset, ..Default::default() }
        }
        // No epoch that old is known: Kafka says so with -1 and no error.
        Ok(None) => EpochEndOffset { partition, leader_epoch: -1, end_offset: -1, ..Default::default() },
        Err(error) => EpochEndOffset { partition, error_code: error.code(), leader_epoch: -1, end_offset: -1 },
    }
}
