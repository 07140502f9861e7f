//! OffsetCommit (key 8): stores a group's offsets.

use raftsman_coordinator::{Reply, Request};
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use raftsman_types::{ErrorCode, TopicId};

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;

/// Answers once the offsets are committed on the in-sync replicas.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: OffsetCommitRequest, version: i16) -> Result<OffsetCommitResponse, Close> {
    if !ctx.is_authorized(Operation::Read, Resource::Group(&request.group_id)) {
        let refusal = Request::OffsetCommit(request).refusal(version, ErrorCode::GroupAuthorizationFailed);
        return response(refusal);
    }
    let image = ctx.state.metadata.load();
    let mut known = OffsetCommitRequest { topics: Vec::new(), ..request.clone() };
    let mut answer = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let (refused, accepted) = check(ctx, &image, topic, version);
        answer.push(refused);
        known.topics.extend(accepted);
    }
    if known.topics.is_empty() {
        return Ok(OffsetCommitResponse { topics: answer, ..Default::default() });
    }
    let asked = Request::OffsetCommit(known);
    let stored = response(ctx.state.coordinator.ask(&Asker::of(ctx, version), &asked).await)?;
    Ok(OffsetCommitResponse { topics: merge(answer, stored.topics), ..stored })
}

fn response(reply: Reply) -> Result<OffsetCommitResponse, Close> {
    match reply {
        Reply::OffsetCommit(response) => Ok(response),
        other => Err(Close::because(format!("the coordinator answered an OffsetCommit with {other:?}"))),
    }
}

/// The answer so far, every partition that does not exist refused in it, and what is left to ask the coordinator.
fn check(
    ctx: &Context,
    image: &MetadataImage,
    topic: OffsetCommitRequestTopic,
    version: i16,
) -> (OffsetCommitResponseTopic, Option<OffsetCommitRequestTopic>) {
    let found = if version >= TOPIC_IDS_FROM {
        image.topic(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
    } else {
        image.topic_by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
    };
    let found = found.and_then(|found| {
        let is_allowed = ctx.is_authorized(Operation::Read, Resource::Topic(&found.name));
        if is_allowed { Ok(found) } else { Err(ErrorCode::TopicAuthorizationFailed) }
    });
    let error_of = |partition: i32| match found {
        Err(error) => error,
        Ok(found) if found.partition(partition).is_none() => ErrorCode::UnknownTopicOrPartition,
        Ok(_) => ErrorCode::None,
    };
    let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
    let partitions = indexes.map(|partition_index| OffsetCommitResponsePartition {
        partition_index,
        error_code: error_of(partition_index).code(),
    });
    let answer = OffsetCommitResponseTopic {
        topic_id: topic.topic_id,
        name: topic.name.clone(),
        partitions: partitions.collect(),
    };
    let accepted = found.ok().map(|found| OffsetCommitRequestTopic {
        topic_id: found.id.0,
        name: Str::copy_from(&found.name),
        partitions: topic
            .partitions
            .into_iter()
            .filter(|partition| error_of(partition.partition_index) == ErrorCode::None)
            .collect(),
    });
    (answer, accepted)
}

/// Puts the coordinator's results, which come in the order asked, into the places not refused before.
fn merge(
    mut answer: Vec<OffsetCommitResponseTopic>,
    stored: Vec<OffsetCommitResponseTopic>,
) -> Vec<OffsetCommitResponseTopic> {
    let mut results = stored.into_iter().flat_map(|topic| topic.partitions);
    let open = answer.iter_mut().flat_map(|topic| &mut topic.partitions).filter(|partition| partition.error_code == 0);
    for partition in open {
        // One result for each partition asked for; were one missing, nothing could be said of it.
        partition.error_code = results.next().map_or(ErrorCode::UnknownServerError.code(), |result| result.error_code);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(errors: &[ErrorCode]) -> OffsetCommitResponseTopic {
        let partition = |(index, error): (usize, &ErrorCode)| OffsetCommitResponsePartition {
            partition_index: index as i32,
            error_code: error.code(),
        };
        OffsetCommitResponseTopic {
            partitions: errors.iter().enumerate().map(partition).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn results_go_where_nothing_was_refused() {
        use ErrorCode::{
            None, OffsetMetadataTooLarge as TooLarge, UnknownServerError, UnknownTopicOrPartition as Unknown,
        };
        let answer = vec![topic(&[Unknown]), topic(&[None, Unknown, None]), topic(&[None])];
        let merged = merge(answer.clone(), vec![topic(&[]), topic(&[TooLarge, None]), topic(&[None])]);
        assert_eq!(merged, [topic(&[Unknown]), topic(&[TooLarge, Unknown, None]), topic(&[None])]);
        let merged = merge(answer, vec![topic(&[None, None])]);
        assert_eq!(merged[2], topic(&[UnknownServerError]), "a missing result is no success");
    }
}
