use super::kind::{ConfigKey, InvalidConfig};
use super::throttle::RATES;
use super::topic_keys::KEYS;
use crate::Durability;

/// Whose broker settings are altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerConfigScope {
    /// All brokers of the cluster.
    Cluster,
    /// One broker.
    Broker,
}

/// The broker settings that may change while brokers run (KIP-226): those that are topics' defaults, and the rates of throttled
/// replication (KIP-73). Brokers look them up in the image.
#[derive(Debug, Clone, Copy)]
pub struct DynamicBrokerConfig;

/// What leaders and the controller must agree on cannot differ from broker to broker.
const CLUSTER_WIDE: &[&str] = &["min.insync.replicas", "unclean.leader.election.enable", "log.durability"];

/// What Kafka can change while brokers run and this version cannot.
const NOT_YET: &[&str] = &[
    "advertised.listeners",
    "background.threads",
    "cordoned.log.dirs",
    "group.consumer.assignors",
    "listener.security.protocol.map",
    "listeners",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "max.connection.creation.rate",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "metric.reporters",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "principal.builder.class",
    "producer.id.expiration.ms",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.reader.threads",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "sasl.enabled.mechanisms",
    "sasl.jaas.config",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "transaction.partition.verification.enable",
];

impl DynamicBrokerConfig {
    /// The topic setting that a dynamic broker setting is the default of, with what its value is multiplied with.
    pub fn topic_key(name: &str) -> Option<(&'static ConfigKey, i64)> {
        KEYS.iter().find_map(|key| {
            let synonym = key.synonyms.iter().find(|synonym| synonym.name == name)?;
            Some((key, synonym.factor))
        })
    }

    /// A dynamic setting that is brokers' own, and no topic's default. As in Kafka it can only be set while brokers run, not in
    /// their files.
    pub fn own_key(name: &str) -> Option<&'static ConfigKey> {
        RATES.iter().find(|key| key.name == name)
    }

    /// What values a dynamic broker setting takes.
    pub fn key(name: &str) -> Option<&'static ConfigKey> {
        Self::topic_key(name).map(|(key, _)| key).or_else(|| Self::own_key(name))
    }

    /// The name of every dynamic broker setting that is a topic's default.
    pub fn topic_defaults() -> impl Iterator<Item = &'static str> {
        KEYS.iter().flat_map(|key| key.synonyms.iter().map(|synonym| synonym.name))
    }

    /// Checks that a broker setting may change in that scope at all.
    ///
    /// # Errors
    /// It cannot change while brokers run, or not for one broker.
    pub fn check_scope(name: &str, scope: BrokerConfigScope) -> Result<(), InvalidConfig> {
        if Self::key(name).is_none() {
            let by_listener = name.starts_with("listener.name.");
            return Err(if by_listener || NOT_YET.contains(&name) {
                InvalidConfig::NotDynamicYet(name.to_owned())
            } else {
                InvalidConfig::NotDynamic(name.to_owned())
            });
        }
        if scope == BrokerConfigScope::Broker && CLUSTER_WIDE.contains(&name) {
            return Err(InvalidConfig::ClusterWideOnly(name.to_owned()));
        }
        Ok(())
    }

    /// Checks one dynamic setting of brokers.
    ///
    /// # Errors
    /// It cannot change while brokers run, not for one broker, or its value is none it takes.
    pub fn validate(name: &str, value: &str, scope: BrokerConfigScope) -> Result<(), InvalidConfig> {
        Self::check_scope(name, scope)?;
        match Self::key(name) {
            Some(key) => key.kind.validate(name, value),
            None => Err(InvalidConfig::NotDynamic(name.to_owned())),
        }
    }

    /// The durability that a value of `log.durability` or `durability` names.
    pub fn durability(value: &str) -> Option<Durability> {
        match value.trim() {
            "written" => Some(Durability::Written),
            "flushed" => Some(Durability::Flushed),
            _ => None,
        }
    }
}
