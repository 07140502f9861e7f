//! CreatePartitions (key 37): forwarded to the active controller.

use std::collections::HashMap;

use raftsman_protocol::Str;
use raftsman_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use raftsman_rpc::controller::{self as pb, administer_request::Operation as Change};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::forward::{Outcome, administer};
use super::{Close, Context};

/// Answers once this broker's own metadata has the partitions.
pub async fn handle(
    ctx: &Context,
    request: CreatePartitionsRequest,
    _version: i16,
) -> Result<CreatePartitionsResponse, Close> {
    let mut counts: HashMap<Str, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name.clone()).or_default() += 1;
    }
    let refusals: Vec<Option<Outcome>> = request.topics.iter().map(|topic| refusal(ctx, topic, &counts)).collect();
    let valid = request.topics.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
    let topics: Vec<pb::MorePartitions> = valid.map(|(topic, _)| more_partitions(ctx, topic)).collect();
    let parts = topics.len();
    let change = Change::CreatePartitions(pb::CreatePartitions { topics, validate_only: request.validate_only });
    let mut results = administer(ctx, change, parts, request.timeout_ms).await.map(Vec::into_iter);
    let results = request.topics.into_iter().zip(refusals).map(|(topic, refusal)| {
        let outcome = match (refusal, &mut results) {
            (Some(outcome), _) => outcome,
            (None, Err(outcome)) => outcome.clone(),
            (None, Ok(results)) => Outcome::of_result(&results.next().unwrap_or_default()),
        };
        CreatePartitionsTopicResult {
            name: topic.name,
            error_code: outcome.code.code(),
            error_message: outcome.message,
        }
    });
    Ok(CreatePartitionsResponse { results: results.collect(), ..Default::default() })
}

fn refusal(ctx: &Context, topic: &CreatePartitionsTopic, counts: &HashMap<Str, usize>) -> Option<Outcome> {
    if !ctx.is_authorized(Operation::Alter, Resource::Topic(&topic.name)) {
        return Some(Outcome::of(ErrorCode::TopicAuthorizationFailed, "Authorization failed."));
    }
    let repeated = counts.get(&topic.name).is_some_and(|count| *count > 1);
    repeated.then(|| Outcome::of(ErrorCode::InvalidRequest, "Duplicate topic in request."))
}

fn more_partitions(ctx: &Context, topic: &CreatePartitionsTopic) -> pb::MorePartitions {
    // Assignments are for the new partitions, in order; the indexes only tell the controller that order.
    let image = ctx.state.metadata.load();
    let existing = image.topic_by_name(&topic.name).map_or(0, |known| known.partitions.len());
    let assignments = topic.assignments.iter().flatten().enumerate().map(|(i, assignment)| pb::ReplicaAssignment {
        partition: i32::try_from(existing + i).unwrap_or(i32::MAX),
        broker_ids: assignment.broker_ids.clone(),
    });
    pb::MorePartitions {
        name: topic.name.to_string(),
        partition_count: topic.count,
        assignments: assignments.collect(),
    }
}
