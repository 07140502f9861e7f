use std::sync::Arc;

use raftsman_types::TopicIdPartition;

use super::kind::{ConfigKey, InvalidConfig, elements};
use super::throttle::ThrottledReplicas;
use super::topic_keys::{INTERNAL_KEYS, INTERNAL_SEGMENT_BYTES, KEYS};
use crate::{BrokerRegistration, ConfigResource, Durability, MetadataImage, PartitionImage, TopicImage};

/// What becomes of old records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// The last value of each key stays.
    pub compact: bool,
    /// What is too old or too much goes.
    pub delete: bool,
}

/// Whose clock stamps records (KIP-32).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's.
    LogAppendTime,
}

/// The settings in force for a topic; durations in milliseconds, sizes in bytes, as their Kafka keys say.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is Kafka's topic setting of that name, which documents it")]
pub struct TopicConfig {
    pub cleanup_policy: CleanupPolicy,
    pub compression_type: Arc<str>,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub durability: Durability,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub follower_throttled_replicas: ThrottledReplicas,
    pub index_interval_bytes: i32,
    pub leader_throttled_replicas: ThrottledReplicas,
    pub max_compaction_lag_ms: i64,
    pub max_decompressed_message_bytes: i32,
    pub max_message_bytes: i32,
    pub message_downconversion_enable: bool,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl TopicConfig {
    /// Every topic setting, in the order of their names.
    pub const KEYS: &'static [ConfigKey] = KEYS;

    /// Kafka's settings for its own tests, which are described only where they are set.
    pub const INTERNAL_KEYS: &'static [ConfigKey] = INTERNAL_KEYS;

    /// The setting of a name.
    pub fn key(name: &str) -> Option<&'static ConfigKey> {
        KEYS.iter().chain(INTERNAL_KEYS).find(|key| key.name == name)
    }

    /// Checks one setting of a topic.
    ///
    /// # Errors
    /// The setting is unknown, or its value none it takes.
    pub fn validate(name: &str, value: &str) -> Result<(), InvalidConfig> {
        let key = Self::key(name).ok_or_else(|| InvalidConfig::UnknownTopicConfig(name.to_owned()))?;
        if name == "remote.storage.enable" && value.trim().eq_ignore_ascii_case("true") {
            return Err(InvalidConfig::Conflict(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
                    .to_owned(),
            ));
        }
        key.validate(value)
    }

    /// Checks that settings of a topic can be together, by a text for each key.
    ///
    /// # Errors
    /// They contradict each other, or a text is not a value its setting takes.
    pub(super) fn check_together(value_of: impl Fn(&ConfigKey) -> Arc<str>) -> Result<(), InvalidConfig> {
        const MIN: &str = "min.compaction.lag.ms";
        const MAX: &str = "max.compaction.lag.ms";
        let lag = |name: &'static str| -> Result<i64, InvalidConfig> {
            let key = Self::key(name).ok_or_else(|| InvalidConfig::UnknownTopicConfig(name.to_owned()))?;
            number(name, value_of(key).trim())
        };
        let (min, max) = (lag(MIN)?, lag(MAX)?);
        if min > max {
            let message = format!("conflict topic config setting {MIN} ({min}) > {MAX} ({max})");
            return Err(InvalidConfig::Conflict(message));
        }
        Ok(())
    }

    /// Typed settings from a text for each key.
    ///
    /// # Errors
    /// A text is not a value its setting takes.
    pub fn from_values(value_of: impl Fn(&ConfigKey) -> Arc<str>) -> Result<TopicConfig, InvalidConfig> {
        let text = |name: &'static str| -> Result<Arc<str>, InvalidConfig> {
            let key = Self::key(name).ok_or_else(|| InvalidConfig::UnknownTopicConfig(name.to_owned()))?;
            let value = value_of(key);
            key.validate(&value)?;
            Ok(value.trim().into())
        };
        // Each text was validated, so a parse fails only if table and field disagree; that is reported, not guessed over.
        let long = |name| text(name).and_then(|value| number::<i64>(name, &value));
        let int = |name| text(name).and_then(|value| number::<i32>(name, &value));
        let throttled = |name| text(name).map(|value| ThrottledReplicas::parse(&value));
        let flag = |name| text(name).map(|value| value.eq_ignore_ascii_case("true"));
        // A bound nobody changed gives way to the deprecated setting, if somebody set that.
        let timestamp_bound = |name| {
            const DEPRECATED: &str = "message.timestamp.difference.max.ms";
            let is_default = |name, value: &str| Self::key(name).is_some_and(|key| key.default == value);
            let (bound, deprecated) = (text(name)?, text(DEPRECATED)?);
            let gives_way = is_default(name, &bound) && !is_default(DEPRECATED, &deprecated);
            long(if gives_way { DEPRECATED } else { name })
        };
        let policy = text("cleanup.policy")?;
        let has = |word| elements(&policy).any(|element| element == word);
        Ok(TopicConfig {
            cleanup_policy: CleanupPolicy { compact: has("compact"), delete: has("delete") },
            compression_type: text("compression.type")?,
            compression_gzip_level: int("compression.gzip.level")?,
            compression_lz4_level: int("compression.lz4.level")?,
            compression_zstd_level: int("compression.zstd.level")?,
            delete_retention_ms: long("delete.retention.ms")?,
            durability: durability_of(&text("durability")?),
            file_delete_delay_ms: long("file.delete.delay.ms")?,
            flush_messages: long("flush.messages")?,
            flush_ms: long("flush.ms")?,
            follower_throttled_replicas: throttled("follower.replication.throttled.replicas")?,
            index_interval_bytes: int("index.interval.bytes")?,
            leader_throttled_replicas: throttled("leader.replication.throttled.replicas")?,
            max_compaction_lag_ms: long("max.compaction.lag.ms")?,
            max_decompressed_message_bytes: int("max.decompressed.message.bytes")?,
            max_message_bytes: int("max.message.bytes")?,
            message_downconversion_enable: flag("message.downconversion.enable")?,
            message_timestamp_after_max_ms: timestamp_bound("message.timestamp.after.max.ms")?,
            message_timestamp_before_max_ms: timestamp_bound("message.timestamp.before.max.ms")?,
            message_timestamp_type: match &*text("message.timestamp.type")? {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: number("min.cleanable.dirty.ratio", &text("min.cleanable.dirty.ratio")?)?,
            min_compaction_lag_ms: long("min.compaction.lag.ms")?,
            min_insync_replicas: int("min.insync.replicas")?,
            preallocate: flag("preallocate")?,
            retention_bytes: long("retention.bytes")?,
            retention_ms: long("retention.ms")?,
            segment_bytes: match value_of(&INTERNAL_SEGMENT_BYTES).trim() {
                "" => int("segment.bytes")?,
                bytes => number(INTERNAL_SEGMENT_BYTES.name, bytes)?,
            },
            segment_index_bytes: int("segment.index.bytes")?,
            segment_jitter_ms: long("segment.jitter.ms")?,
            segment_ms: long("segment.ms")?,
            unclean_leader_election_enable: flag("unclean.leader.election.enable")?,
        })
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, InvalidConfig> {
    let (name, value, reason) = (name.to_owned(), value.to_owned(), "Not a number".to_owned());
    value.parse().map_err(|_| InvalidConfig::InvalidValue { name, value, reason })
}

fn durability_of(value: &str) -> Durability {
    if value.trim() == "written" { Durability::Written } else { Durability::Flushed }
}

/// What leaders and controllers must agree on is taken from the image alone, never from a node's own file.
impl MetadataImage {
    /// `min.insync.replicas` in force for a partition, at most the number of its replicas, as in Kafka.
    pub fn min_insync_replicas(&self, topic: &TopicImage, partition: &PartitionImage) -> usize {
        let configured = self
            .topic_or_cluster(&topic.name, "min.insync.replicas", "min.insync.replicas")
            .and_then(|value| value.trim().parse::<usize>().ok())
            .unwrap_or(1);
        configured.clamp(1, partition.replicas.len().max(1))
    }

    /// What an acks=all acknowledgement means for a partition from now on: its topic's `durability`, else the cluster's dynamic
    /// `log.durability`, else the weakest `log.durability` among the brokers that hold its replicas.
    pub fn durability(&self, at: TopicIdPartition) -> Durability {
        match (self.topic(at.topic_id), self.partition(at)) {
            (Some(topic), Some(partition)) => self.durability_of(&topic.name, &partition.replicas),
            _ => Durability::default(),
        }
    }

    /// The same for a partition that need not exist yet: by its topic's name and its replicas.
    pub fn durability_of(&self, topic: &str, replicas: &[raftsman_types::BrokerId]) -> Durability {
        if let Some(value) = self.topic_or_cluster(topic, "durability", "log.durability") {
            return durability_of(value);
        }
        let of_broker = |registration: &Arc<BrokerRegistration>| registration.log_durability;
        replicas.iter().filter_map(|id| self.broker(*id).map(of_broker)).min().unwrap_or_default()
    }

    /// Whether a partition of the topic may be led by a replica that misses acknowledged data; `file` is the controller's own setting.
    pub fn unclean_leader_election(&self, topic: &str, file: bool) -> bool {
        const KEY: &str = "unclean.leader.election.enable";
        self.topic_or_cluster(topic, KEY, KEY).map_or(file, |value| value.trim().eq_ignore_ascii_case("true"))
    }

    fn topic_or_cluster(&self, topic: &str, key: &str, broker_key: &str) -> Option<&Arc<str>> {
        self.config(&ConfigResource::topic(topic), key).or_else(|| self.config(&ConfigResource::cluster(), broker_key))
    }
}
