//! Topics get more partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_metadata::{MetadataImage, TopicImage};
use raftsman_types::{BrokerId, ErrorCode, TopicId};
use rand::Rng;

use super::assignment::{MAX_PARTITIONS_PER_REQUEST, check_by_hand, create};
use super::brokers::refusal;
use super::create_topics::check_room;
use super::outcome::{Draft, Outcome, check_sender};
use super::placement::Placement;
use super::{CreatePartitions, MorePartitions, OperationResult, Reply, RequestError, Situation};

pub(super) fn create_partitions(situation: &Situation<'_>, request: &CreatePartitions, rng: &mut impl Rng) -> Outcome {
    if let Err(error) = check_sender(situation.image, request.sender) {
        return Outcome::unchanged(Reply::Administer(Err(error)));
    }
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut draft = Draft::new(situation.image);
    let mut room = MAX_PARTITIONS_PER_REQUEST;
    let mut results = Vec::with_capacity(request.topics.len());
    for more in &request.topics {
        let planned = if times.get(&*more.name).is_some_and(|times| *times > 1) {
            Err(refusal(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            plan(draft.image(), more, &mut room, rng)
        };
        results.push(match planned {
            Ok((topic, added)) => carry_out(&mut draft, &topic, added),
            Err(error) => OperationResult::refused(Some(more.name.clone()), error),
        });
    }
    if request.validate_only {
        return Outcome::unchanged(Reply::Administer(Ok(results)));
    }
    draft.with_reply(Reply::Administer(Ok(results)))
}

fn carry_out(draft: &mut Draft, topic: &TopicImage, added: Vec<Vec<BrokerId>>) -> OperationResult {
    let first = topic.partitions.len() as i32;
    let replication_factor = added.first().map_or(-1, |replicas| replicas.len() as i32);
    let partition_count = first + added.len() as i32;
    for (partition, replicas) in (first..).zip(added) {
        create(draft, topic.id, &topic.name, partition, replicas);
    }
    let (name, topic_id) = (Some(topic.name.clone()), topic.id);
    OperationResult { error: ErrorCode::None, message: None, name, topic_id, partition_count, replication_factor }
}

type Plan = (Arc<TopicImage>, Vec<Vec<BrokerId>>);

fn plan(
    image: &MetadataImage,
    more: &MorePartitions,
    room: &mut usize,
    rng: &mut impl Rng,
) -> Result<Plan, RequestError> {
    let topic = image.topic_by_name(&more.name).ok_or_else(|| {
        refusal(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
    })?;
    let present = topic.partitions.len() as i32;
    if more.partition_count == present {
        let message = format!("Topic already has {present} partition(s).");
        return Err(refusal(ErrorCode::InvalidPartitions, message));
    }
    if more.partition_count < present {
        let message = format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            more.name, more.partition_count
        );
        return Err(refusal(ErrorCode::InvalidPartitions, message));
    }
    let added = (more.partition_count - present) as usize;
    check_room(added, *room)?;
    let replication_factor = topic.partitions.values().next().map_or(1, |partition| partition.replicas.len());
    let replicas = if more.assignments.is_empty() {
        let mut placement = Placement::new(image, rng);
        if let Some(problem) = placement.problem(replication_factor) {
            return Err(refusal(ErrorCode::InvalidReplicationFactor, problem));
        }
        topic.partitions.values().for_each(|partition| placement.count(&partition.replicas));
        (0..added).map(|_| placement.place(replication_factor)).collect()
    } else {
        if more.assignments.len() != added {
            let message = format!(
                "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
                more.assignments.len()
            );
            return Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
        }
        for (partition, replicas) in (present..).zip(&more.assignments) {
            check_by_hand(image, partition, replicas, Some(replication_factor))?;
        }
        more.assignments.clone()
    };
    *room -= added;
    Ok((topic.clone(), replicas))
}

impl OperationResult {
    /// A topic or resource that stays as it is.
    pub(super) fn refused(name: Option<Arc<str>>, error: RequestError) -> OperationResult {
        OperationResult {
            error: error.code,
            message: Some(error.message),
            name,
            topic_id: TopicId::ZERO,
            partition_count: -1,
            replication_factor: -1,
        }
    }
}
