use bytes::Bytes;
use raftsman_log::LogConfig;
use raftsman_metadata::{MetadataImage, TimestampType, TopicConfig};
use raftsman_records::{ValidationLimits, validate};
use raftsman_types::WallTime;

use super::{AppendError, ReplicaConfig};

/// A topic's settings as its replicas here need them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TopicSettings {
    pub log: LogConfig,
    timestamp_before_max_ms: i64,
    timestamp_after_max_ms: i64,
}

impl TopicSettings {
    /// What holds for a topic on this broker. A broken value in the node's file is reported and its default taken:
    /// a replica must not be lost to a setting.
    pub fn of(topic: &str, image: &MetadataImage, config: &ReplicaConfig) -> TopicSettings {
        let settings = image.topic_config(topic, Some(config.broker_id), &config.file).unwrap_or_else(|error| {
            tracing::error!(topic, "a setting of the topic is ignored, Kafka's defaults hold: {error}");
            TopicConfig::from_values(|key| key.default.into()).expect("the table's defaults are valid: it tests them")
        });
        TopicSettings {
            timestamp_before_max_ms: settings.message_timestamp_before_max_ms,
            timestamp_after_max_ms: settings.message_timestamp_after_max_ms,
            log: log_config(&settings),
        }
    }

    /// Checks a client's records, and returns the one batch of them that counts.
    pub fn validate(&self, records: Bytes, now: WallTime) -> Result<Bytes, AppendError> {
        let limits = ValidationLimits {
            max_message_bytes: self.log.max_message_bytes,
            timestamp_type: self.log.message_timestamp_type,
            timestamp_before_max_ms: self.timestamp_before_max_ms,
            timestamp_after_max_ms: self.timestamp_after_max_ms,
            require_keys: self.log.compact,
            ..ValidationLimits::at(now)
        };
        match validate(&records, &limits) {
            Ok(batch) => Ok(batch.into_bytes()),
            Err(error) => Err(AppendError::Invalid { code: error.error_code(), message: error.to_string() }),
        }
    }
}

fn log_config(settings: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: settings.segment_bytes.max(1) as u64,
        segment_ms: settings.segment_ms,
        index_interval_bytes: settings.index_interval_bytes.max(0) as u64,
        segment_index_bytes: settings.segment_index_bytes.max(0) as u64,
        max_message_bytes: settings.max_message_bytes.max(0) as usize,
        // Only "delete" lets go of records by age or size.
        retention_ms: if settings.cleanup_policy.delete { settings.retention_ms } else { -1 },
        retention_bytes: if settings.cleanup_policy.delete { settings.retention_bytes } else { -1 },
        flush_messages: settings.flush_messages.max(1) as u64,
        flush_ms: settings.flush_ms,
        message_timestamp_type: match settings.message_timestamp_type {
            TimestampType::CreateTime => raftsman_records::TimestampType::CreateTime,
            TimestampType::LogAppendTime => raftsman_records::TimestampType::LogAppendTime,
        },
        compact: settings.cleanup_policy.compact,
        ..LogConfig::default()
    }
}
