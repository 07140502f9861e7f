//! Dynamic settings change, at once or one by one (KIP-339, KIP-226), and what follows from that for partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_metadata::{
    BrokerConfigScope, ConfigResource, ConfigResourceType, DynamicBrokerConfig, InvalidConfig, MetadataImage,
    MetadataRecord, Settings, TopicConfig,
};
use raftsman_types::{BrokerId, ErrorCode, TopicId};

use super::brokers::{elect_leaderless, refusal};
use super::election::{change_between, partitions_where};
use super::outcome::{Draft, Outcome, check_sender};
use super::{
    AlterConfigs, ConfigOperation, ConfigOperationKind, OperationResult, Reply, RequestError, ResourceConfigs,
    Situation,
};

/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 32 * 1024;

/// The most bytes that one request may change of one resource.
const MAX_RESOURCE_BYTES: usize = 64 * 1024;

pub(super) fn alter_configs(situation: &Situation<'_>, request: &AlterConfigs) -> Outcome {
    if let Err(error) = check_sender(situation.image, request.sender) {
        return Outcome::unchanged(Reply::Administer(Err(error)));
    }
    let mut times: BTreeMap<&ConfigResource, u32> = BTreeMap::new();
    for resource in &request.resources {
        *times.entry(&resource.resource).or_default() += 1;
    }
    let mut draft = Draft::new(situation.image);
    let mut results = Vec::with_capacity(request.resources.len());
    for configs in &request.resources {
        let planned = if times.get(&configs.resource).is_some_and(|times| *times > 1) {
            Err(refusal(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
        } else {
            plan(situation, draft.image(), configs, request.incremental)
        };
        let name = Some(configs.resource.name.clone());
        results.push(match planned {
            Ok(after) => {
                carry_out(situation, &mut draft, &configs.resource, &after);
                OperationResult {
                    error: ErrorCode::None,
                    message: None,
                    name,
                    topic_id: TopicId::ZERO,
                    partition_count: -1,
                    replication_factor: -1,
                }
            }
            Err(error) => OperationResult::refused(name, error),
        });
    }
    if request.validate_only {
        return Outcome::unchanged(Reply::Administer(Ok(results)));
    }
    draft.with_reply(Reply::Administer(Ok(results)))
}

/// That settings fit into the log.
pub(super) fn check_size<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), RequestError> {
    let mut bytes = 0;
    for (key, value) in settings {
        if value.len() > MAX_VALUE_BYTES {
            let message = format!("The value of {key} has {} bytes: {MAX_VALUE_BYTES} is the most.", value.len());
            return Err(refusal(ErrorCode::InvalidConfig, message));
        }
        bytes += key.len() + value.len();
    }
    if bytes > MAX_RESOURCE_BYTES {
        let message = format!("The settings have {bytes} bytes: {MAX_RESOURCE_BYTES} is the most for one resource.");
        return Err(refusal(ErrorCode::InvalidConfig, message));
    }
    Ok(())
}

/// What a resource's settings are to be.
fn plan(
    situation: &Situation<'_>,
    image: &MetadataImage,
    configs: &ResourceConfigs,
    incremental: bool,
) -> Result<Settings, RequestError> {
    check_resource(image, &configs.resource)?;
    check_duplicates(&configs.operations)?;
    let before = image.configs.get(&configs.resource).map(|settings| (**settings).clone()).unwrap_or_default();
    let mut after = if incremental { before.clone() } else { Settings::new() };
    for operation in &configs.operations {
        apply(image, &configs.resource, &mut after, operation)?;
    }
    let is_cluster = configs.resource == ConfigResource::cluster();
    if is_cluster && before.contains_key("min.insync.replicas") && !after.contains_key("min.insync.replicas") {
        return Err(invalid(&InvalidConfig::MinInsyncReplicasNeeded));
    }
    if configs.resource.resource_type == ConfigResourceType::Topic {
        // Not those of brokers: as in Kafka they may contradict each other until a topic is to have them.
        image.check_topic_settings(&after, &situation.settings.file).map_err(|error| invalid(&error))?;
    }
    check_size(after.iter().map(|(key, value)| (&**key, &**value)))?;
    Ok(after)
}

fn invalid(error: &InvalidConfig) -> RequestError {
    refusal(ErrorCode::InvalidConfig, error.to_string())
}

fn check_resource(image: &MetadataImage, resource: &ConfigResource) -> Result<(), RequestError> {
    match resource.resource_type {
        ConfigResourceType::Topic if image.topic_by_name(&resource.name).is_none() => {
            let message = format!("The topic '{}' does not exist.", resource.name);
            Err(refusal(ErrorCode::UnknownTopicOrPartition, message))
        }
        ConfigResourceType::Broker if !resource.name.is_empty() => {
            let Ok(id) = resource.name.parse::<i32>() else {
                let message = format!("Broker resource name '{}' is no node.id.", resource.name);
                return Err(refusal(ErrorCode::InvalidRequest, message));
            };
            if image.broker(BrokerId(id)).is_none() {
                let message = format!("No broker with id {id} found.");
                return Err(refusal(ErrorCode::BrokerIdNotRegistered, message));
            }
            Ok(())
        }
        ConfigResourceType::Topic | ConfigResourceType::Broker => Ok(()),
        other => Err(refusal(ErrorCode::InvalidRequest, format!("Settings of type {other:?} cannot be altered here."))),
    }
}

fn check_duplicates(operations: &[ConfigOperation]) -> Result<(), RequestError> {
    let mut keys: Vec<&str> = operations.iter().map(|operation| &*operation.key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(refusal(ErrorCode::InvalidRequest, format!("Error due to duplicate config keys: {}", pair[0])))
        }
        None => Ok(()),
    }
}

fn scope_of(resource: &ConfigResource) -> BrokerConfigScope {
    if resource.name.is_empty() { BrokerConfigScope::Cluster } else { BrokerConfigScope::Broker }
}

fn validate(resource: &ConfigResource, key: &str, value: &str) -> Result<(), RequestError> {
    match resource.resource_type {
        ConfigResourceType::Topic => TopicConfig::validate(key, value),
        _ => DynamicBrokerConfig::validate(key, value, scope_of(resource)),
    }
    .map_err(|error| invalid(&error))
}

fn apply(
    image: &MetadataImage,
    resource: &ConfigResource,
    settings: &mut Settings,
    operation: &ConfigOperation,
) -> Result<(), RequestError> {
    let key = &operation.key;
    let is_topic = resource.resource_type == ConfigResourceType::Topic;
    let known = if is_topic { TopicConfig::key(key) } else { DynamicBrokerConfig::key(key) };
    let Some(known) = known else {
        let error = if is_topic {
            InvalidConfig::UnknownTopicConfig(key.to_string())
        } else {
            DynamicBrokerConfig::check_scope(key, scope_of(resource))
                .err()
                .unwrap_or_else(|| InvalidConfig::NotDynamic(key.to_string()))
        };
        return Err(invalid(&error));
    };
    if operation.kind == ConfigOperationKind::Delete {
        settings.remove(key);
        return Ok(());
    }
    let Some(value) = &operation.value else {
        return Err(refusal(ErrorCode::InvalidRequest, format!("Null value not supported for : {key}")));
    };
    let is_list_operation = operation.kind != ConfigOperationKind::Set;
    if is_list_operation && !known.kind.is_list() {
        let (verb, preposition) =
            if operation.kind == ConfigOperationKind::Append { ("APPEND", "to") } else { ("SUBTRACT", "from") };
        let message = format!("Can't {verb} {preposition} key {key} because its type is not LIST.");
        return Err(refusal(ErrorCode::InvalidConfig, message));
    }
    let value: Arc<str> = if is_list_operation {
        let inherited = || known.synonyms.iter().find_map(|s| image.config(&ConfigResource::cluster(), s.name));
        let present = settings.get(key).or_else(|| inherited().filter(|_| is_topic));
        changed_list(present.map_or(known.default, |present| present), value, operation.kind).into()
    } else {
        value.clone()
    };
    validate(resource, key, &value)?;
    settings.insert(key.clone(), value);
    Ok(())
}

fn changed_list(present: &str, value: &str, kind: ConfigOperationKind) -> String {
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect()
    };
    let (mut list, named) = (split(present), split(value));
    if kind == ConfigOperationKind::Append {
        for element in named {
            if !list.contains(&element) {
                list.push(element);
            }
        }
    } else {
        list.retain(|element| !named.contains(element));
    }
    list.join(",")
}

fn carry_out(situation: &Situation<'_>, draft: &mut Draft, resource: &ConfigResource, after: &Settings) {
    let before = draft.image().configs.get(resource).cloned().unwrap_or_default();
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let changes: Vec<(Arc<str>, Option<Arc<str>>)> =
        removed.chain(set.map(|(key, value)| (key.clone(), Some(value.clone())))).collect();
    let settings = changes.iter().map(|(key, value)| MetadataRecord::SetConfig {
        resource: resource.clone(),
        key: key.clone(),
        value: value.clone(),
    });
    let settings: Vec<MetadataRecord> = settings.collect();
    let changed = |keys: &[&str]| changes.iter().any(|(key, _)| keys.contains(&&**key));
    // The partitions first: what follows from a setting may take several entries, and a controller that dies between them
    // must not leave leaders that acknowledge by a weaker rule than elections count with.
    if changed(&["min.insync.replicas"]) {
        clear_elr(draft, resource);
    }
    if changed(&["durability", "log.durability"]) {
        let mut after = draft.image().clone();
        settings.iter().for_each(|setting| after.replay_record(setting));
        record_durability(draft, resource, &after);
    }
    settings.into_iter().for_each(|setting| draft.push(setting));
    if changed(&["unclean.leader.election.enable"]) {
        elect_leaderless(situation, draft, |_| true);
    }
    draft.may_split();
}

/// Whether a resource's settings count for a topic.
fn concerns(resource: &ConfigResource, topic: &str) -> bool {
    resource.resource_type != ConfigResourceType::Topic || &*resource.name == topic
}

/// What was eligible under another minimum need not be now (KIP-966). Nothing is committed in a leaderless partition,
/// whatever the minimum: there everybody stays eligible, or nobody could ever lead it.
fn clear_elr(draft: &mut Draft, resource: &ConfigResource) {
    for (topic, partition) in partitions_where(draft.image(), |p| !p.elr.is_empty() && p.leader.is_some()) {
        let Some(before) = topic.partition(partition).filter(|_| concerns(resource, &topic.name)) else { continue };
        let mut after = (**before).clone();
        after.elr.clear();
        if let Some(change) = change_between(&topic, partition, before, &after) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
}

/// A weaker durability decides from now on for what it may have acknowledged. A stronger one does not make good what was
/// acknowledged before, so the recorded one stays.
fn record_durability(draft: &mut Draft, resource: &ConfigResource, settings: &MetadataImage) {
    for (topic, partition) in partitions_where(draft.image(), |_| true) {
        let Some(before) = topic.partition(partition).filter(|_| concerns(resource, &topic.name)) else { continue };
        let mut after = (**before).clone();
        after.durability = before.durability.min(settings.durability_of(&topic.name, &before.replicas));
        if let Some(change) = change_between(&topic, partition, before, &after) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
}
