//! DeleteRecords (key 21): moves the starts of logs forward (KIP-107).

use std::time::Duration;

use raftsman_metadata::MetadataImage;
use raftsman_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use raftsman_types::{ErrorCode, Offset, TopicIdPartition, is_internal_topic};
use tokio::time::Instant;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::replica::RecordsDeleted;

/// The low watermark of a partition where nothing was deleted.
const NO_LOW_WATERMARK: Offset = -1;

/// One partition of the request on its way to its answer.
struct Deletion {
    at: TopicIdPartition,
    outcome: Result<RecordsDeleted, ErrorCode>,
}

/// Deletes in every partition first, then waits until the followers have too.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: DeleteRecordsRequest, _: i16) -> Result<DeleteRecordsResponse, Close> {
    let image = ctx.state.metadata.load();
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let mut begun = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut deletions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let found = find(ctx, &image, &topic.name, asked.partition_index);
            let delete = |at| ctx.state.replicas.delete_records(at, asked.offset).map_err(|error| error.error_code());
            let partition = asked.partition_index;
            let at = found.unwrap_or(TopicIdPartition { topic_id: Default::default(), partition });
            deletions.push(Deletion { at, outcome: found.and_then(delete) });
        }
        begun.push((topic.name, deletions));
    }
    let mut topics = Vec::with_capacity(begun.len());
    for (name, deletions) in begun {
        let mut partitions = Vec::with_capacity(deletions.len());
        for deletion in deletions {
            partitions.push(complete(ctx, deletion, deadline).await);
        }
        topics.push(DeleteRecordsTopicResult { name, partitions });
    }
    Ok(DeleteRecordsResponse { throttle_time_ms: 0, topics })
}

fn find(ctx: &Context, image: &MetadataImage, topic: &str, partition: i32) -> Result<TopicIdPartition, ErrorCode> {
    if !ctx.is_authorized(Operation::Delete, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let found = image.topic_by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    found.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if is_internal_topic(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    Ok(TopicIdPartition { topic_id: found.id, partition })
}

async fn complete(ctx: &Context, deletion: Deletion, deadline: Instant) -> DeleteRecordsPartitionResult {
    let done = match deletion.outcome {
        Ok(deleted) => {
            ctx.state.replicas.deleted(deletion.at, deleted, deadline).await.map_err(|error| error.error_code())
        }
        Err(code) => Err(code),
    };
    let partition_index = deletion.at.partition;
    match done {
        Ok(low_watermark) => DeleteRecordsPartitionResult { partition_index, low_watermark, error_code: 0 },
        Err(code) => {
            DeleteRecordsPartitionResult { partition_index, low_watermark: NO_LOW_WATERMARK, error_code: code.code() }
        }
    }
}
