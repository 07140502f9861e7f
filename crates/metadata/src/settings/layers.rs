use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_types::BrokerId;

use super::kind::{ConfigKey, InvalidConfig, Synonym};
use super::topic_config::TopicConfig;
use crate::{ConfigResource, MetadataImage, Settings};

/// The settings in a node's `server.properties`, by Kafka's key.
pub type StaticSettings = BTreeMap<String, String>;

/// Where a value comes from, with DescribeConfigs' codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// The topic's own dynamic setting.
    TopicConfig = 1,
    /// One broker's dynamic setting.
    DynamicBrokerConfig = 2,
    /// The dynamic setting of all brokers.
    DynamicDefaultBrokerConfig = 3,
    /// The node's file.
    StaticBrokerConfig = 4,
    /// Nobody set it.
    DefaultConfig = 5,
}

impl ConfigSource {
    /// The number on the wire.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A value one layer gives a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedConfig {
    /// The key under which the layer has it: the topic's, or a broker synonym.
    pub name: Arc<str>,
    /// The value, in the unit of that key.
    pub value: Arc<str>,
    /// The layer.
    pub source: ConfigSource,
    /// What the value is multiplied with to be the topic setting's.
    factor: i64,
}

impl ResolvedConfig {
    /// The value in the topic setting's own unit.
    pub fn topic_value(&self) -> Arc<str> {
        if self.factor == 1 {
            return self.value.clone();
        }
        match self.value.trim().parse::<i64>() {
            // -1 stands for "no limit" whatever the unit.
            Ok(number) if number >= 0 => number.saturating_mul(self.factor).to_string().into(),
            _ => self.value.clone(),
        }
    }
}

impl MetadataImage {
    /// Every layer that gives a topic setting a value, the one in force first; the last is the default. `broker` is whose settings count.
    pub fn topic_setting_layers(
        &self,
        topic: &str,
        key: &ConfigKey,
        broker: Option<BrokerId>,
        file: &StaticSettings,
    ) -> Vec<ResolvedConfig> {
        let mut layers = Vec::new();
        if let Some(value) = self.config(&ConfigResource::topic(topic), key.name) {
            let (name, source) = (key.name.into(), ConfigSource::TopicConfig);
            layers.push(ResolvedConfig { name, value: value.clone(), source, factor: 1 });
        }
        layers.extend(self.inherited_layers(key, broker, file));
        layers
    }

    /// The layers of a topic setting but the topic's own.
    fn inherited_layers(
        &self,
        key: &ConfigKey,
        broker: Option<BrokerId>,
        file: &StaticSettings,
    ) -> Vec<ResolvedConfig> {
        let mut layers = Vec::new();
        let mut push = |synonym: &Synonym, value: Arc<str>, source| {
            layers.push(ResolvedConfig { name: synonym.name.into(), value, source, factor: synonym.factor });
        };
        if let Some(broker) = broker {
            self.each_synonym(key, &ConfigResource::broker(broker), |s, v| {
                push(s, v, ConfigSource::DynamicBrokerConfig);
            });
        }
        self.each_synonym(key, &ConfigResource::cluster(), |s, v| {
            push(s, v, ConfigSource::DynamicDefaultBrokerConfig);
        });
        for synonym in key.synonyms {
            // Only the image counts for this one: a file may differ from node to node.
            if let Some(value) = file.get(synonym.name)
                && key.name != "min.insync.replicas"
            {
                push(synonym, value.as_str().into(), ConfigSource::StaticBrokerConfig);
            }
        }
        layers.push(ResolvedConfig {
            name: key.synonyms.first().map_or(key.name, |synonym| synonym.name).into(),
            value: key.default.into(),
            source: ConfigSource::DefaultConfig,
            factor: 1,
        });
        layers
    }

    fn each_synonym(&self, key: &ConfigKey, of: &ConfigResource, mut push: impl FnMut(&Synonym, Arc<str>)) {
        for synonym in key.synonyms {
            if let Some(value) = self.config(of, synonym.name) {
                push(synonym, value.clone());
            }
        }
    }

    /// Checks that a topic's settings can be together, with those that hold where it has none: Kafka's
    /// `LogConfig.validateValues`. `file` is the controller's own.
    ///
    /// # Errors
    /// They contradict each other.
    pub fn check_topic_settings(&self, settings: &Settings, file: &StaticSettings) -> Result<(), InvalidConfig> {
        TopicConfig::check_together(|key| match settings.get(key.name) {
            Some(value) => value.clone(),
            None => in_force(&self.inherited_layers(key, None, file)),
        })
    }

    /// What holds for a topic on a broker, all layers looked at.
    ///
    /// # Errors
    /// A value in the file is not one the setting takes. (Dynamic values were checked when they were set.)
    pub fn topic_config(
        &self,
        topic: &str,
        broker: Option<BrokerId>,
        file: &StaticSettings,
    ) -> Result<TopicConfig, InvalidConfig> {
        TopicConfig::from_values(|key| in_force(&self.topic_setting_layers(topic, key, broker, file)))
    }
}

fn in_force(layers: &[ResolvedConfig]) -> Arc<str> {
    layers.first().map(ResolvedConfig::topic_value).unwrap_or_default()
}
