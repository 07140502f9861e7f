//! CreateTopics (key 19): forwarded to the active controller.

use std::collections::HashMap;

use raftsman_metadata::{MetadataImage, TopicConfig};
use raftsman_protocol::Str;
use raftsman_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use raftsman_rpc::controller::{self as pb, OperationResult, administer_request::Operation as Change};
use raftsman_types::{ErrorCode, Uuid};

use super::authorize::{Operation, Resource};
use super::forward::{Outcome, administer};
use super::{Close, Context};

/// From this version on the answer carries the topic's settings (KIP-525).
const CONFIGS_FROM: i16 = 5;

/// Answers once this broker's own metadata has the topics.
pub async fn handle(ctx: &Context, request: CreateTopicsRequest, version: i16) -> Result<CreateTopicsResponse, Close> {
    let mut counts: HashMap<Str, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name.clone()).or_default() += 1;
    }
    let refusals: Vec<Option<Outcome>> = request.topics.iter().map(|topic| refusal(ctx, topic, &counts)).collect();
    let valid = request.topics.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
    let topics: Vec<pb::NewTopic> = valid.map(|(topic, _)| new_topic(topic)).collect();
    let parts = topics.len();
    let change = Change::CreateTopics(pb::CreateTopics { topics, validate_only: request.validate_only });
    let mut results = administer(ctx, change, parts, request.timeout_ms).await.map(Vec::into_iter);
    let image = ctx.state.metadata.load();
    let topics = request.topics.into_iter().zip(refusals).map(|(topic, refusal)| {
        if let Some(outcome) = refusal {
            return refused(topic.name, outcome);
        }
        match &mut results {
            Err(outcome) => refused(topic.name, outcome.clone()),
            Ok(results) => created(ctx, &image, topic.name, results.next(), version),
        }
    });
    Ok(CreateTopicsResponse { topics: topics.collect(), ..Default::default() })
}

fn refusal(ctx: &Context, topic: &CreatableTopic, counts: &HashMap<Str, usize>) -> Option<Outcome> {
    let may = ctx.is_authorized(Operation::Create, Resource::Cluster)
        || ctx.is_authorized(Operation::Create, Resource::Topic(&topic.name));
    if !may {
        return Some(Outcome::of(ErrorCode::TopicAuthorizationFailed, "Authorization failed."));
    }
    if counts.get(&topic.name).is_some_and(|count| *count > 1) {
        return Some(Outcome::of(ErrorCode::InvalidRequest, "Duplicate topic name."));
    }
    if &*topic.name == "__cluster_metadata" {
        let message = "Creation of internal topic __cluster_metadata is prohibited.";
        return Some(Outcome::of(ErrorCode::InvalidRequest, message));
    }
    None
}

fn new_topic(topic: &CreatableTopic) -> pb::NewTopic {
    pb::NewTopic {
        name: topic.name.to_string(),
        partition_count: topic.num_partitions,
        replication_factor: i32::from(topic.replication_factor),
        assignments: topic
            .assignments
            .iter()
            .map(|a| pb::ReplicaAssignment { partition: a.partition_index, broker_ids: a.broker_ids.clone() })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|c| pb::ConfigEntry { key: c.name.to_string(), value: c.value.as_ref().map(|v| v.to_string()) })
            .collect(),
    }
}

fn refused(name: Str, outcome: Outcome) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: outcome.code.code(),
        error_message: outcome.message,
        configs: None,
        ..Default::default()
    }
}

fn created(
    ctx: &Context,
    image: &MetadataImage,
    name: Str,
    result: Option<OperationResult>,
    version: i16,
) -> CreatableTopicResult {
    let result = result.unwrap_or_default();
    let outcome = Outcome::of_result(&result);
    if outcome.code != ErrorCode::None {
        return refused(name, outcome);
    }
    let configs = (version >= CONFIGS_FROM).then(|| topic_configs(ctx, image, &name));
    CreatableTopicResult {
        name,
        topic_id: result.topic_id[..].try_into().map(Uuid).unwrap_or_default(),
        num_partitions: result.partition_count,
        replication_factor: i16::try_from(result.replication_factor).unwrap_or(-1),
        configs,
        ..Default::default()
    }
}

fn topic_configs(ctx: &Context, image: &MetadataImage, name: &str) -> Vec<CreatableTopicConfigs> {
    let config = &ctx.state.config;
    let keys = TopicConfig::KEYS.iter();
    let in_force = keys.filter_map(|key| {
        let layers = image.topic_setting_layers(name, key, Some(config.node_id), &config.raw);
        let layer = layers.first()?;
        Some(CreatableTopicConfigs {
            name: Str::from(key.name),
            value: Some(Str::copy_from(&layer.topic_value())),
            read_only: false,
            config_source: layer.source.code(),
            is_sensitive: false,
        })
    });
    in_force.collect()
}
