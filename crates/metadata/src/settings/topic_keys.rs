//! Every topic setting of Kafka 4.4, two of 3.9 that still mean something here, and `durability`, our own.
//!
//! Taken and kept, but without effect: those of tiered storage (`remote.*`, `local.*`) and of share groups
//! (`errors.deadletterqueue.group.enable`, KIP-1191), which are not served.

use super::kind::{ConfigKey, ConfigKind, Synonym};

const MAX: i64 = i64::MAX;
const INT_MAX: i64 = i32::MAX as i64;
const HOUR_MS: i64 = 3_600_000;

const BOOLEAN: ConfigKind = ConfigKind::Boolean;

const fn long(min: i64) -> ConfigKind {
    ConfigKind::Long { min, max: MAX }
}

const fn int(min: i64) -> ConfigKind {
    ConfigKind::Int { min, max: INT_MAX }
}

const fn key(name: &'static str, kind: ConfigKind, default: &'static str, synonyms: &'static [Synonym]) -> ConfigKey {
    ConfigKey { name, kind, default, synonyms }
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn scaled(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
}

const LONG_MAX: &str = "9223372036854775807";

/// In the order of their names.
pub(super) const KEYS: &[ConfigKey] = &[
    key("cleanup.policy", ConfigKind::ListOf(&["compact", "delete"]), "delete", &[same("log.cleanup.policy")]),
    key(
        "compression.gzip.level",
        ConfigKind::IntOr { min: 1, max: 9, or: -1 },
        "-1",
        &[same("compression.gzip.level")],
    ),
    key("compression.lz4.level", ConfigKind::Int { min: 1, max: 17 }, "9", &[same("compression.lz4.level")]),
    key(
        "compression.type",
        ConfigKind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        &[same("compression.type")],
    ),
    key("compression.zstd.level", ConfigKind::Int { min: -131_072, max: 22 }, "3", &[same("compression.zstd.level")]),
    key("delete.retention.ms", long(0), "86400000", &[same("log.cleaner.delete.retention.ms")]),
    key("durability", ConfigKind::OneOf(&["flushed", "written"]), "flushed", &[same("log.durability")]),
    key("errors.deadletterqueue.group.enable", BOOLEAN, "false", &[]),
    key("file.delete.delay.ms", long(0), "60000", &[same("log.segment.delete.delay.ms")]),
    key("flush.messages", long(1), LONG_MAX, &[same("log.flush.interval.messages")]),
    key("flush.ms", long(0), LONG_MAX, &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]),
    key("follower.replication.throttled.replicas", ConfigKind::ThrottledReplicas, "", &[]),
    key("index.interval.bytes", int(0), "4096", &[same("log.index.interval.bytes")]),
    key("leader.replication.throttled.replicas", ConfigKind::ThrottledReplicas, "", &[]),
    key("local.retention.bytes", long(-2), "-2", &[same("log.local.retention.bytes")]),
    key("local.retention.ms", long(-2), "-2", &[same("log.local.retention.ms")]),
    key("max.compaction.lag.ms", long(1), LONG_MAX, &[same("log.cleaner.max.compaction.lag.ms")]),
    // Of one record in a compressed batch; what a batch may have in all is bounded beside this.
    key("max.decompressed.message.bytes", int(0), "2147483639", &[same("max.decompressed.message.bytes")]),
    key("max.message.bytes", int(0), "1048588", &[same("message.max.bytes")]),
    // Kafka 4 has dropped this one with what it switches off; here old fetchers are still served.
    key("message.downconversion.enable", BOOLEAN, "true", &[same("log.message.downconversion.enable")]),
    key("message.timestamp.after.max.ms", long(0), "3600000", &[same("log.message.timestamp.after.max.ms")]),
    key("message.timestamp.before.max.ms", long(0), LONG_MAX, &[same("log.message.timestamp.before.max.ms")]),
    // Deprecated: stands in for the two above where they have their defaults (KIP-937).
    key("message.timestamp.difference.max.ms", long(0), LONG_MAX, &[same("log.message.timestamp.difference.max.ms")]),
    key(
        "message.timestamp.type",
        ConfigKind::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        &[same("log.message.timestamp.type")],
    ),
    key(
        "min.cleanable.dirty.ratio",
        ConfigKind::Double { min: 0.0, max: 1.0 },
        "0.5",
        &[same("log.cleaner.min.cleanable.ratio")],
    ),
    key("min.compaction.lag.ms", long(0), "0", &[same("log.cleaner.min.compaction.lag.ms")]),
    key("min.insync.replicas", int(1), "1", &[same("min.insync.replicas")]),
    key("preallocate", BOOLEAN, "false", &[same("log.preallocate")]),
    key("remote.copy.lag.bytes", long(-2), "0", &[]),
    key("remote.copy.lag.ms", long(-2), "0", &[]),
    key("remote.log.copy.disable", BOOLEAN, "false", &[]),
    key("remote.log.delete.on.disable", BOOLEAN, "false", &[]),
    key("remote.storage.enable", BOOLEAN, "false", &[]),
    key("retention.bytes", long(-1), "-1", &[same("log.retention.bytes")]),
    key(
        "retention.ms",
        long(-1),
        "604800000",
        &[same("log.retention.ms"), scaled("log.retention.minutes", 60_000), scaled("log.retention.hours", HOUR_MS)],
    ),
    key("segment.bytes", int(1_048_576), "1073741824", &[same("log.segment.bytes")]),
    key("segment.index.bytes", int(4), "10485760", &[same("log.index.size.max.bytes")]),
    key("segment.jitter.ms", long(0), "0", &[same("log.roll.jitter.ms"), scaled("log.roll.jitter.hours", HOUR_MS)]),
    key("segment.ms", long(1), "604800000", &[same("log.roll.ms"), scaled("log.roll.hours", HOUR_MS)]),
    key("unclean.leader.election.enable", BOOLEAN, "false", &[same("unclean.leader.election.enable")]),
];

/// Kafka's settings for its own tests, which are described only where they are set. Nobody has a default: an empty value is none.
pub(super) const INTERNAL_KEYS: &[ConfigKey] = &[INTERNAL_SEGMENT_BYTES];

/// Stands in for `segment.bytes`, and may be as small as a test needs.
pub(super) const INTERNAL_SEGMENT_BYTES: ConfigKey =
    key("internal.segment.bytes", ConfigKind::Int { min: i32::MIN as i64, max: INT_MAX }, "", &[]);
