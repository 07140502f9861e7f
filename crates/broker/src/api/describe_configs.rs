//! DescribeConfigs (key 32): settings of topics and brokers with where each value comes from.

use std::collections::HashSet;

use raftsman_metadata::{
    ConfigKey, ConfigResource, ConfigResourceType, ConfigSource, DynamicBrokerConfig, MetadataImage, ResolvedConfig,
    TopicConfig,
};
use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult as Entry, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym as Synonym,
};
use raftsman_types::{ErrorCode, validate_topic_name};

use super::authorize::{Operation, Resource};
use super::forward::Outcome;
use super::{Close, Context};
use crate::config::BrokerKey;

/// Answers from the cached image and this broker's own settings.
pub async fn handle(
    ctx: &Context,
    request: DescribeConfigsRequest,
    version: i16,
) -> Result<DescribeConfigsResponse, Close> {
    let image = ctx.state.metadata.load();
    let synonyms = request.include_synonyms;
    // A broker's settings are some 60 KB, and a resource is named in four bytes: named again it is not described again.
    let mut seen = HashSet::new();
    let once = request.resources.into_iter().filter(|r| seen.insert((r.resource_type, r.resource_name.clone())));
    let results = once.map(|resource| {
        let keys = resource.configuration_keys.as_deref().map(|keys| keys.iter().map(|key| &**key).collect());
        let description = Description { ctx, image: &image, resource: &resource, keys, synonyms, version };
        let (outcome, configs) = match description.entries() {
            Ok(configs) => (Outcome::of(ErrorCode::None, ""), configs),
            Err(outcome) => (outcome, Vec::new()),
        };
        DescribeConfigsResult {
            error_code: outcome.code.code(),
            error_message: outcome.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs,
        }
    });
    Ok(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
}

/// One resource being described.
struct Description<'a> {
    ctx: &'a Context,
    image: &'a MetadataImage,
    resource: &'a DescribeConfigsResource,
    keys: Option<HashSet<&'a str>>,
    synonyms: bool,
    version: i16,
}

impl Description<'_> {
    fn entries(&self) -> Result<Vec<Entry>, Outcome> {
        let name: &str = &self.resource.resource_name;
        match ConfigResourceType::from_code(self.resource.resource_type) {
            Some(ConfigResourceType::Topic) => {
                self.authorize(Resource::Topic(name), ErrorCode::TopicAuthorizationFailed)?;
                self.topic(name)
            }
            Some(ConfigResourceType::Broker) => {
                self.authorize(Resource::Cluster, ErrorCode::ClusterAuthorizationFailed)?;
                self.broker(name)
            }
            Some(other) => Err(invalid(format!("{other:?} resources have no settings in this version."))),
            None => Err(invalid(format!("Unsupported resource type: {}", self.resource.resource_type))),
        }
    }

    fn authorize(&self, resource: Resource<'_>, denied: ErrorCode) -> Result<(), Outcome> {
        let may = self.ctx.is_authorized(Operation::DescribeConfigs, resource);
        if may { Ok(()) } else { Err(Outcome::of(denied, "Authorization failed.")) }
    }

    /// Whether the client asked for this key; an absent list asks for all.
    fn wants(&self, name: &str) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.contains(name))
    }

    fn topic(&self, name: &str) -> Result<Vec<Entry>, Outcome> {
        if let Err(error) = validate_topic_name(name) {
            return Err(Outcome::of(ErrorCode::InvalidTopicException, error.to_string()));
        }
        if self.image.topic_by_name(name).is_none() {
            let message = format!("Topic {name:?} does not exist.");
            return Err(Outcome::of(ErrorCode::UnknownTopicOrPartition, message));
        }
        let topic = ConfigResource::topic(name);
        let internal = TopicConfig::INTERNAL_KEYS.iter().filter(|key| self.image.config(&topic, key.name).is_some());
        let wanted = TopicConfig::KEYS.iter().chain(internal).filter(|key| self.wants(key.name));
        Ok(wanted.filter_map(|key| self.topic_entry(name, key)).collect())
    }

    fn topic_entry(&self, topic: &str, key: &ConfigKey) -> Option<Entry> {
        let config = &self.ctx.state.config;
        let layers = self.image.topic_setting_layers(topic, key, Some(config.node_id), &config.raw);
        let in_force = layers.first()?;
        Some(Entry {
            name: Str::from(key.name),
            value: Some(Str::copy_from(&in_force.topic_value())),
            read_only: false,
            config_source: in_force.source.code(),
            is_sensitive: false,
            synonyms: if self.synonyms { layers.iter().map(synonym).collect() } else { Vec::new() },
            config_type: key.kind.type_code(),
            is_default: self.is_default(in_force.source),
            documentation: None,
        })
    }

    /// Version 0 says only this of a value's source.
    fn is_default(&self, source: ConfigSource) -> bool {
        self.version == 0 && source == ConfigSource::DefaultConfig
    }

    fn broker(&self, name: &str) -> Result<Vec<Entry>, Outcome> {
        if name.is_empty() {
            return Ok(self.cluster_defaults());
        }
        let own = self.ctx.state.config.node_id;
        if name != own.to_string() {
            let message = format!("Unexpected broker id, expected {own} or empty string, but received {name}");
            return Err(invalid(message));
        }
        let mut keys = self.ctx.state.config.described_keys();
        for dynamic in DynamicBrokerConfig::topic_defaults() {
            keys.entry(dynamic.to_owned()).or_insert_with(|| dynamic_key(dynamic));
        }
        for resource in [ConfigResource::broker(own), ConfigResource::cluster()] {
            // Those that are in no file are described where they are set.
            let set = self.image.configs.get(&resource).into_iter().flat_map(|settings| settings.keys());
            for name in set.filter(|name| DynamicBrokerConfig::own_key(name).is_some()) {
                keys.entry(name.to_string()).or_insert_with(|| dynamic_key(name));
            }
        }
        Ok(keys.values().filter(|key| self.wants(&key.name)).map(|key| self.broker_entry(key)).collect())
    }

    /// The dynamic settings of all brokers alone: what an empty broker name asks for.
    fn cluster_defaults(&self) -> Vec<Entry> {
        let Some(settings) = self.image.configs.get(&ConfigResource::cluster()) else { return Vec::new() };
        let wanted = settings.iter().filter(|(name, _)| self.wants(name));
        wanted
            .map(|(name, value)| {
                let source = ConfigSource::DynamicDefaultBrokerConfig;
                let layers = vec![(source, name.to_string(), Some(value.to_string()))];
                self.entry(&dynamic_key(name), &layers)
            })
            .collect()
    }

    fn broker_entry(&self, key: &BrokerKey) -> Entry {
        let config = &self.ctx.state.config;
        let dynamic = |resource: ConfigResource| self.image.config(&resource, &key.name).map(|value| value.to_string());
        let own = dynamic(ConfigResource::broker(config.node_id));
        let cluster = dynamic(ConfigResource::cluster());
        let file = config.raw.get(&key.name).cloned();
        let set = [
            (ConfigSource::DynamicBrokerConfig, own),
            (ConfigSource::DynamicDefaultBrokerConfig, cluster),
            (ConfigSource::StaticBrokerConfig, file),
        ];
        let mut layers: Vec<Layer> = set
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(source, value)| (source, key.name.clone(), value))
            .collect();
        layers.push((ConfigSource::DefaultConfig, key.name.clone(), key.default.clone()));
        self.entry(key, &layers)
    }

    fn entry(&self, key: &BrokerKey, layers: &[Layer]) -> Entry {
        let sensitive = key.is_sensitive();
        let shown = |value: &Option<String>| value.clone().filter(|_| !sensitive).map(Str::from);
        let (source, value) = match layers.first() {
            Some((source, _, value)) => (*source, shown(value)),
            None => (ConfigSource::DefaultConfig, None),
        };
        let synonyms = layers
            .iter()
            .filter(|(source, _, value)| self.synonyms && (*source != ConfigSource::DefaultConfig || value.is_some()));
        Entry {
            name: Str::copy_from(&key.name),
            value,
            read_only: DynamicBrokerConfig::key(&key.name).is_none(),
            config_source: source.code(),
            is_sensitive: sensitive,
            synonyms: synonyms
                .map(|(source, name, value)| Synonym {
                    name: Str::copy_from(name),
                    value: shown(value),
                    source: source.code(),
                })
                .collect(),
            config_type: key.type_code,
            is_default: self.is_default(source),
            documentation: None,
        }
    }
}

/// One layer that gives a broker setting a value: source, key, value.
type Layer = (ConfigSource, String, Option<String>);

fn invalid(message: String) -> Outcome {
    Outcome::of(ErrorCode::InvalidRequest, message)
}

fn synonym(layer: &ResolvedConfig) -> Synonym {
    Synonym {
        name: Str::copy_from(&layer.name),
        value: Some(Str::copy_from(&layer.value)),
        source: layer.source.code(),
    }
}

/// A broker setting that may change while brokers run.
fn dynamic_key(name: &str) -> BrokerKey {
    const STRING: i8 = 2;
    let topic_key = DynamicBrokerConfig::topic_key(name);
    BrokerKey {
        name: name.to_owned(),
        // Another unit than the topic's has a default only through the synonym that Kafka documents it under.
        default: topic_key.filter(|(_, factor)| *factor == 1).map(|(key, _)| key.default.to_owned()),
        type_code: DynamicBrokerConfig::key(name).map_or(STRING, |key| key.kind.type_code()),
    }
}
