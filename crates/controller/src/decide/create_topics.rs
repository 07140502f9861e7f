//! Topics come to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_metadata::{ConfigResource, MetadataImage, MetadataRecord, Settings, TopicConfig};
use raftsman_types::{BrokerId, ErrorCode, TopicId, Uuid, validate_topic_name};
use rand::Rng;

use super::assignment::{MAX_PARTITIONS_PER_REQUEST, check_by_hand, create};
use super::brokers::refusal;
use super::configs::check_size;
use super::outcome::{Draft, Outcome, check_sender};
use super::placement::Placement;
use super::{CreateTopics, NewTopic, OperationResult, Reply, RequestError, Situation};

/// A topic that was checked and placed.
struct Plan {
    replicas: Vec<Vec<BrokerId>>,
    configs: Settings,
    warning: Option<String>,
}

pub(super) fn create_topics(situation: &Situation<'_>, request: &CreateTopics, rng: &mut impl Rng) -> Outcome {
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
    for topic in &request.topics {
        let planned = if times.get(&*topic.name).is_some_and(|times| *times > 1) {
            Err(refusal(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            plan(situation, draft.image(), topic, &mut room, rng)
        };
        results.push(match planned {
            Ok(plan) => carry_out(&mut draft, topic, plan, rng),
            Err(error) => OperationResult::refused(Some(topic.name.clone()), error),
        });
    }
    if request.validate_only {
        for result in &mut results {
            result.topic_id = TopicId::ZERO;
        }
        return Outcome::unchanged(Reply::Administer(Ok(results)));
    }
    draft.with_reply(Reply::Administer(Ok(results)))
}

fn carry_out(draft: &mut Draft, topic: &NewTopic, plan: Plan, rng: &mut impl Rng) -> OperationResult {
    let topic_id = new_topic_id(draft.image(), rng);
    draft.push(MetadataRecord::CreateTopic { name: topic.name.clone(), topic_id });
    for (key, value) in plan.configs {
        let resource = ConfigResource::topic(topic.name.clone());
        draft.push(MetadataRecord::SetConfig { resource, key, value: Some(value) });
    }
    let partition_count = plan.replicas.len() as i32;
    let replication_factor = plan.replicas.first().map_or(-1, |replicas| replicas.len() as i32);
    for (partition, replicas) in plan.replicas.into_iter().enumerate() {
        create(draft, topic_id, &topic.name, partition as i32, replicas);
    }
    let name = Some(topic.name.clone());
    let message = plan.warning;
    OperationResult { error: ErrorCode::None, message, name, topic_id, partition_count, replication_factor }
}

fn new_topic_id(image: &MetadataImage, rng: &mut impl Rng) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let topic_id = TopicId(Uuid::from_random(bytes));
        if image.topic(topic_id).is_none() {
            return topic_id;
        }
    }
}

fn plan(
    situation: &Situation<'_>,
    image: &MetadataImage,
    topic: &NewTopic,
    room: &mut usize,
    rng: &mut impl Rng,
) -> Result<Plan, RequestError> {
    check_name(image, &topic.name)?;
    let configs = check_configs(situation, image, topic)?;
    let replicas = if topic.assignments.is_empty() {
        place(situation, image, topic, *room, rng)?
    } else {
        by_hand(image, topic, *room)?
    };
    *room -= replicas.len();
    let replication_factor = replicas.first().map_or(0, Vec::len);
    let warning = configs
        .get("min.insync.replicas")
        .filter(|value| value.trim().parse::<usize>().is_ok_and(|value| value > replication_factor))
        .map(|value| {
            format!("min.insync.replicas is {value} with a replication factor of {replication_factor}: it counts as {replication_factor}")
        });
    Ok(Plan { replicas, configs, warning })
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), RequestError> {
    if name == "__cluster_metadata" {
        let message = "Creation of internal topic __cluster_metadata is prohibited.";
        return Err(refusal(ErrorCode::InvalidRequest, message));
    }
    validate_topic_name(name).map_err(|reason| refusal(ErrorCode::InvalidTopicException, reason.to_string()))?;
    if image.topic_ids.contains_key(name) {
        return Err(refusal(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    if name.contains(['.', '_']) {
        // Metric names cannot tell the two apart.
        let folded = name.replace('.', "_");
        let collides = |other: &&Arc<str>| other.len() == name.len() && other.replace('.', "_") == folded;
        if let Some(other) = image.topic_ids.keys().find(collides) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(refusal(ErrorCode::InvalidTopicException, message));
        }
    }
    Ok(())
}

fn check_configs(situation: &Situation<'_>, image: &MetadataImage, topic: &NewTopic) -> Result<Settings, RequestError> {
    let invalid = |message: String| refusal(ErrorCode::InvalidConfig, message);
    let mut configs = Settings::new();
    for (key, value) in &topic.configs {
        let Some(value) = value else {
            return Err(invalid(format!("Null value not supported for topic configs: {key}")));
        };
        TopicConfig::validate(key, value).map_err(|error| invalid(error.to_string()))?;
        if configs.insert(key.clone(), value.clone()).is_some() {
            return Err(refusal(ErrorCode::InvalidRequest, format!("Error due to duplicate config keys: {key}")));
        }
    }
    // As in Kafka a topic without settings of its own is not refused for what the cluster has.
    if !configs.is_empty() {
        image.check_topic_settings(&configs, &situation.settings.file).map_err(|error| invalid(error.to_string()))?;
    }
    check_size(configs.iter().map(|(key, value)| (&**key, &**value)))?;
    Ok(configs)
}

fn place(
    situation: &Situation<'_>,
    image: &MetadataImage,
    topic: &NewTopic,
    room: usize,
    rng: &mut impl Rng,
) -> Result<Vec<Vec<BrokerId>>, RequestError> {
    let partition_count = match topic.partition_count {
        -1 => situation.settings.num_partitions.max(1),
        count if count < 1 => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(refusal(ErrorCode::InvalidPartitions, message));
        }
        count => count,
    };
    let replication_factor = match topic.replication_factor {
        -1 => situation.settings.default_replication_factor.max(1),
        factor if factor < 1 => {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(refusal(ErrorCode::InvalidReplicationFactor, message));
        }
        factor => factor,
    };
    let mut placement = Placement::new(image, rng);
    if let Some(problem) = placement.problem(replication_factor as usize) {
        return Err(refusal(ErrorCode::InvalidReplicationFactor, problem));
    }
    check_room(partition_count as usize, room)?;
    Ok((0..partition_count).map(|_| placement.place(replication_factor as usize)).collect())
}

pub(super) fn check_room(partition_count: usize, room: usize) -> Result<(), RequestError> {
    if partition_count <= room {
        return Ok(());
    }
    let message = format!(
        "Excessively large number of partitions per request: {MAX_PARTITIONS_PER_REQUEST} is the most, spread them over more requests."
    );
    Err(refusal(ErrorCode::PolicyViolation, message))
}

fn by_hand(image: &MetadataImage, topic: &NewTopic, room: usize) -> Result<Vec<Vec<BrokerId>>, RequestError> {
    if topic.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but replication factor was not set to -1.";
        return Err(refusal(ErrorCode::InvalidRequest, message));
    }
    if topic.partition_count != -1 {
        let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
        return Err(refusal(ErrorCode::InvalidRequest, message));
    }
    check_room(topic.assignments.len(), room)?;
    let invalid = |message: String| refusal(ErrorCode::InvalidReplicaAssignment, message);
    let mut by_partition = BTreeMap::new();
    let mut replication_factor = None;
    for (partition, replicas) in &topic.assignments {
        check_by_hand(image, *partition, replicas, replication_factor)?;
        replication_factor = Some(replicas.len());
        if by_partition.insert(*partition, replicas.clone()).is_some() {
            return Err(invalid(format!("Found multiple manual partition assignments for partition {partition}")));
        }
    }
    if by_partition.keys().copied().ne(0..topic.assignments.len() as i32) {
        return Err(invalid("partitions should be a consecutive 0-based integer sequence".to_owned()));
    }
    Ok(by_partition.into_values().collect())
}
