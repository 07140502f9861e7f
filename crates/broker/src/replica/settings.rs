use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::LogConfig;
use raftsman_metadata::{MetadataImage, ThrottledReplicas, TimestampType, TopicConfig};
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
    /// Replicas whose leaders send them no more than the leader's quota while they are not in sync. A list may be long, and many
    /// partitions have it.
    pub throttled_leaders: Arc<ThrottledReplicas>,
    /// Replicas that take in no more than their broker's quota while they are not in sync.
    pub throttled_followers: Arc<ThrottledReplicas>,
    target_compression: TargetCompression,
    max_decompressed_record_bytes: usize,
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
            max_decompressed_record_bytes: settings.max_decompressed_message_bytes.max(0) as usize,
            timestamp_before_max_ms: settings.message_timestamp_before_max_ms,
            timestamp_after_max_ms: settings.message_timestamp_after_max_ms,
            fetch_terms: FetchTerms {
                down_conversion: settings.message_downconversion_enable,
                is_zstd: &*settings.compression_type == Compression::Zstd.name(),
            },
            deletes_records: settings.cleanup_policy.delete || !settings.cleanup_policy.compact,
            target_compression: target_compression(&settings),
            throttled_leaders: Arc::new(settings.leader_throttled_replicas.clone()),
            throttled_followers: Arc::new(settings.follower_throttled_replicas.clone()),
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
            max_decompressed_record_bytes: self.max_decompressed_record_bytes,
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

#[cfg(test)]
mod tests {
    use raftsman_metadata::{ConfigResource, MetadataRecord};
    use raftsman_types::BrokerId;

    use super::*;

    /// What the topic's replicas here go by, with these settings of the topic.
    fn settings_of(settings: &[(&str, &str)]) -> TopicSettings {
        let mut image = MetadataImage::default();
        for (key, value) in settings {
            TopicConfig::validate(key, value).expect("a setting of topics");
            let (resource, key, value) = (ConfigResource::topic("t"), (*key).into(), Some((*value).into()));
            image.replay_record(&MetadataRecord::SetConfig { resource, key, value });
        }
        TopicSettings::of("t", &image, &config())
    }

    fn config() -> ReplicaConfig {
        ReplicaConfig { producer_id_expiration_ms: 1, defer_from_bytes: 2, ..ReplicaConfig::new(BrokerId(1)) }
    }

    /// Each has a value of its own, so that two that are mixed up do not pass for each other.
    #[test]
    fn every_setting_reaches_what_it_is_for() {
        let settings = settings_of(&[
            ("cleanup.policy", "compact,delete"),
            ("compression.type", "zstd"),
            ("compression.gzip.level", "3"),
            ("compression.lz4.level", "4"),
            ("compression.zstd.level", "5"),
            ("delete.retention.ms", "101"),
            ("file.delete.delay.ms", "102"),
            ("flush.messages", "103"),
            ("flush.ms", "104"),
            ("follower.replication.throttled.replicas", "1:2"),
            ("index.interval.bytes", "105"),
            ("leader.replication.throttled.replicas", "*"),
            ("max.compaction.lag.ms", "106000"),
            ("max.decompressed.message.bytes", "107"),
            ("max.message.bytes", "108"),
            ("message.downconversion.enable", "false"),
            ("message.timestamp.after.max.ms", "109"),
            ("message.timestamp.before.max.ms", "110"),
            ("message.timestamp.type", "LogAppendTime"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("min.compaction.lag.ms", "111"),
            ("preallocate", "true"),
            ("retention.bytes", "112"),
            ("retention.ms", "113"),
            ("segment.bytes", "1140000"),
            ("segment.index.bytes", "115"),
            ("segment.jitter.ms", "116"),
            ("segment.ms", "117"),
        ]);
        let expected = TopicSettings {
            log: LogConfig {
                segment_bytes: 1_140_000,
                segment_ms: 117,
                segment_jitter_ms: 116,
                preallocate: true,
                index_interval_bytes: 105,
                segment_index_bytes: 115,
                max_message_bytes: 108,
                retention_ms: 113,
                retention_bytes: 112,
                flush_messages: 103,
                flush_ms: 104,
                message_timestamp_type: raftsman_records::TimestampType::LogAppendTime,
                producer_id_expiration_ms: 1,
                max_producer_ids: LogConfig::default().max_producer_ids,
                compact: true,
                min_cleanable_dirty_ratio: 0.25,
                min_compaction_lag_ms: 111,
                max_compaction_lag_ms: 106_000,
                delete_retention_ms: 101,
                file_delete_delay_ms: 102,
                tail_cache_bytes: LogConfig::default().tail_cache_bytes,
                defer_from_bytes: 2,
            },
            fetch_terms: FetchTerms { down_conversion: false, is_zstd: true },
            deletes_records: true,
            throttled_leaders: Arc::new(ThrottledReplicas::All),
            throttled_followers: Arc::new(ThrottledReplicas::parse("1:2")),
            target_compression: TargetCompression::Codec { codec: Compression::Zstd, level: Some(5) },
            max_decompressed_record_bytes: 107,
            timestamp_before_max_ms: 110,
            timestamp_after_max_ms: 109,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_topic_without_settings_has_kafkas_defaults() {
        let ours = LogConfig { producer_id_expiration_ms: 1, defer_from_bytes: 2, ..LogConfig::default() };
        let settings = settings_of(&[]);
        let defaults = ValidationLimits::at(WallTime(0));
        assert_eq!(settings.log, LogConfig { flush_messages: i64::MAX as u64, ..ours });
        assert_eq!(settings.fetch_terms, FetchTerms { down_conversion: true, is_zstd: false });
        assert_eq!(settings.target_compression, TargetCompression::Producer);
        assert_eq!(settings.max_decompressed_record_bytes, defaults.max_decompressed_record_bytes);
        assert_eq!(settings.timestamp_after_max_ms, defaults.timestamp_after_max_ms);
        assert_eq!(settings.timestamp_before_max_ms, defaults.timestamp_before_max_ms);
    }

    #[test]
    fn the_cleanup_policy_decides_which_of_them_count() {
        let of = |policy: &str| {
            let settings = settings_of(&[
                ("cleanup.policy", policy),
                ("retention.ms", "11"),
                ("retention.bytes", "12"),
                ("segment.ms", "14"),
                ("max.compaction.lag.ms", "13"),
            ]);
            let log = settings.log;
            (log.compact, log.retention_ms, log.retention_bytes, log.segment_ms, settings.deletes_records)
        };
        assert_eq!(of("delete"), (false, 11, 12, 14, true));
        // A record is not compacted while its segment is the newest, so that may not get older than the lag.
        assert_eq!(of("compact"), (true, -1, -1, 13, false));
        assert_eq!(of("compact,delete"), (true, 11, 12, 13, true));
        assert_eq!(of(""), (false, -1, -1, 14, true));
        let later =
            settings_of(&[("cleanup.policy", "compact"), ("segment.ms", "14"), ("max.compaction.lag.ms", "15")]);
        assert_eq!((later.log.segment_ms, later.log.max_compaction_lag_ms), (14, 15));
    }

    #[test]
    fn each_codec_has_its_own_level() {
        let levels = [("compression.gzip.level", "3"), ("compression.lz4.level", "4"), ("compression.zstd.level", "5")];
        let codec = |codec, level| TargetCompression::Codec { codec, level };
        for (name, expected) in [
            ("producer", TargetCompression::Producer),
            ("uncompressed", codec(Compression::None, None)),
            ("gzip", codec(Compression::Gzip, Some(3))),
            ("snappy", codec(Compression::Snappy, None)),
            ("lz4", codec(Compression::Lz4, Some(4))),
            ("zstd", codec(Compression::Zstd, Some(5))),
        ] {
            let settings = settings_of(&[&levels[..], &[("compression.type", name)]].concat());
            assert_eq!(settings.target_compression, expected, "{name}");
        }
    }

    #[test]
    fn kafkas_setting_for_tests_stands_in_for_the_segment_size() {
        let settings = settings_of(&[("segment.bytes", "1048576"), ("internal.segment.bytes", "1000")]);
        assert_eq!(settings.log.segment_bytes, 1000);
    }
}
