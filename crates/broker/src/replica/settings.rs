use bytes::Bytes;
use raftsman_log::LogConfig;
use raftsman_metadata::{MetadataImage, TimestampType, TopicConfig};
use raftsman_records::{Compression, InvalidRecords, TargetCompression, ValidationLimits, validate};
use raftsman_types::WallTime;

use super::{AppendError, AppendOrigin, FetchTerms, ReplicaConfig};

/// A topic's settings as its replicas here need them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TopicSettings {
    pub log: LogConfig,
    pub fetch_terms: FetchTerms,
    /// Whether clients may delete its records: not where compaction alone decides what goes.
    pub deletes_records: bool,
    target_compression: TargetCompression,
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
            fetch_terms: FetchTerms {
                down_conversion: settings.message_downconversion_enable,
                is_zstd: &*settings.compression_type == Compression::Zstd.name(),
            },
            deletes_records: settings.cleanup_policy.delete || !settings.cleanup_policy.compact,
            target_compression: target_compression(&settings),
            log: LogConfig {
                producer_id_expiration_ms: config.producer_id_expiration_ms,
                defer_from_bytes: config.defer_from_bytes,
                ..log_config(&settings)
            },
        }
    }

    /// Checks a client's records, and returns the one batch of them that counts, converted where the topic asks for it.
    pub fn validate(&self, records: Bytes, origin: AppendOrigin, now: WallTime) -> Result<Bytes, AppendError> {
        let limits = ValidationLimits {
            max_message_bytes: self.log.max_message_bytes,
            timestamp_type: self.log.message_timestamp_type,
            timestamp_before_max_ms: self.timestamp_before_max_ms,
            timestamp_after_max_ms: self.timestamp_after_max_ms,
            require_keys: self.log.compact,
            accept_legacy: origin == AppendOrigin::LegacyClient,
            target_compression: self.target_compression,
            ..ValidationLimits::at(now)
        };
        match validate(&records, &limits) {
            Ok(batch) => Ok(batch.into_bytes()),
            Err(error) => {
                let (code, message) = (error.error_code(), error.to_string());
                let records = if let InvalidRecords::Records(errors) = error { errors.named } else { Vec::new() };
                Err(AppendError::Invalid { code, message, records })
            }
        }
    }
}

fn target_compression(settings: &TopicConfig) -> TargetCompression {
    let codec = match &*settings.compression_type {
        "uncompressed" => Some(Compression::None),
        name => Compression::from_name(name),
    };
    let level = match codec {
        Some(Compression::Gzip) => Some(settings.compression_gzip_level),
        Some(Compression::Lz4) => Some(settings.compression_lz4_level),
        Some(Compression::Zstd) => Some(settings.compression_zstd_level),
        _ => None,
    };
    codec.map_or(TargetCompression::Producer, |codec| TargetCompression::Codec { codec, level })
}

fn log_config(settings: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: settings.segment_bytes.max(1) as u64,
        // A record cannot be compacted while it is in the newest segment.
        segment_ms: match settings.cleanup_policy.compact {
            true => settings.segment_ms.min(settings.max_compaction_lag_ms),
            false => settings.segment_ms,
        },
        segment_jitter_ms: settings.segment_jitter_ms,
        preallocate: settings.preallocate,
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
        min_cleanable_dirty_ratio: settings.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: settings.min_compaction_lag_ms,
        max_compaction_lag_ms: settings.max_compaction_lag_ms,
        delete_retention_ms: settings.delete_retention_ms,
        file_delete_delay_ms: settings.file_delete_delay_ms,
        ..LogConfig::default()
    }
}
