//! Topic settings have their effect at once, on the next request. Each test goes through settings that act on the same
//! thing. (What only time brings about, and the room segments set aside, is tested with the log; what the controller
//! judges, with the controller.)

use std::time::Duration;

use bytes::Bytes;
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{ErrorCode, LeaderEpoch};

use super::sole::{AT, SoleBroker, batch, now_ms};

fn stamped(timestamps: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for timestamp in timestamps {
        builder.append(*timestamp, Some(b"k"), Some(b"v"), &[]);
    }
    builder.build(0, LeaderEpoch::NONE)
}

/// Waits for what the broker does by itself, for a while.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "gave up waiting until {what}");
}

#[tokio::test]
async fn compression_type_and_levels() {
    let mut sole = SoleBroker::new(&[]);
    let text: String = (0..5_000u32).map(|i| format!("{} ", i * i % 1_009)).collect();
    let mut expected = Vec::new();
    for (setting, stored) in [
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
        ("uncompressed", Compression::None),
        ("producer", Compression::Snappy),
    ] {
        sole.set(&[("compression.type", setting)]);
        assert_eq!(sole.produce(batch(Compression::Snappy, &[&text]), 9).await.error_code, 0);
        expected.push(stored);
    }
    let batches = sole.batches().await;
    assert_eq!(batches.iter().map(|b| b.compression().unwrap()).collect::<Vec<_>>(), expected);
    assert!(sole.records().await.iter().all(|record| record.value.as_deref() == Some(text.as_bytes())));

    let mut sizes = Vec::new();
    for (codec, key, low, high) in [
        ("gzip", "compression.gzip.level", "1", "9"),
        ("lz4", "compression.lz4.level", "9", "12"),
        ("zstd", "compression.zstd.level", "-50", "19"),
    ] {
        for level in [low, high] {
            sole.set(&[("compression.type", codec), (key, level)]);
            sole.produce(batch(Compression::None, &[&text]), 9).await;
            sizes.push(sole.batches().await.last().unwrap().size_in_bytes());
        }
    }
    assert!(sizes.chunks(2).all(|pair| pair[1] < pair[0]), "the higher level packs tighter: {sizes:?}");
}

#[tokio::test]
async fn compression_type_of_the_broker_holds_for_topics_without_their_own() {
    let mut sole = SoleBroker::new(&[]);
    sole.set_cluster(&[("compression.type", "lz4")]);
    sole.produce(batch(Compression::None, &["a"]), 9).await;
    sole.set(&[("compression.type", "gzip")]);
    sole.produce(batch(Compression::None, &["b"]), 9).await;
    let codecs: Vec<_> = sole.batches().await.iter().map(|b| b.compression().unwrap()).collect();
    assert_eq!(codecs, [Compression::Lz4, Compression::Gzip]);
}

#[tokio::test]
async fn max_decompressed_message_bytes() {
    let mut sole = SoleBroker::new(&[]);
    let large = "x".repeat(4_096);
    let code = async |sole: &SoleBroker, codec| sole.produce(batch(codec, &[&large]), 9).await.error_code;
    assert_eq!(code(&sole, Compression::Gzip).await, 0);
    sole.set_cluster(&[("max.decompressed.message.bytes", "512")]);
    assert_eq!(code(&sole, Compression::Gzip).await, ErrorCode::InvalidRecord.code());
    assert_eq!(code(&sole, Compression::None).await, 0, "it is of compressed records");
    sole.set(&[("max.decompressed.message.bytes", "8192")]);
    assert_eq!(code(&sole, Compression::Gzip).await, 0);
}

/// Kafka's own tests use it to have small segments.
#[tokio::test]
async fn internal_segment_bytes() {
    let mut sole = SoleBroker::new(&[("segment.bytes", "1048576")]);
    let value = "x".repeat(600);
    for _ in 0..3 {
        sole.produce(batch(Compression::None, &[&value]), 9).await;
    }
    assert_eq!(sole.segments(), 1);
    sole.set(&[("internal.segment.bytes", "1000")]);
    for _ in 0..3 {
        sole.produce(batch(Compression::None, &[&value]), 9).await;
    }
    assert_eq!(sole.segments(), 4);
}

#[tokio::test]
async fn message_timestamp_type() {
    let mut sole = SoleBroker::new(&[("retention.ms", "-1")]);
    let answer = sole.produce(stamped(&[5, 6]), 9).await;
    assert_eq!((answer.error_code, answer.log_append_time_ms), (0, -1));
    sole.set(&[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    let answer = sole.produce(stamped(&[5, 6]), 9).await;
    assert!((before..=now_ms()).contains(&answer.log_append_time_ms));
    sole.set(&[("message.timestamp.type", "CreateTime")]);
    sole.set_cluster(&[("log.message.timestamp.type", "LogAppendTime")]);
    sole.produce(stamped(&[7]), 9).await;
    let timestamps: Vec<i64> = sole.records().await.iter().map(|record| record.timestamp).collect();
    let appended = answer.log_append_time_ms;
    assert_eq!(timestamps, [5, 6, appended, appended, 7]);
}

#[tokio::test]
async fn message_timestamp_bounds() {
    let mut sole = SoleBroker::new(&[]);
    let (hour, now) = (3_600_000, now_ms());
    let code = async |sole: &SoleBroker, timestamp: i64| sole.produce(stamped(&[now, timestamp]), 9).await;
    assert_eq!(code(&sole, 5).await.error_code, 0, "as old as it likes");
    let refused = code(&sole, now + 3 * hour).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidTimestamp.code());
    assert_eq!(refused.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);
    assert!(refused.record_errors[0].batch_index_error_message.as_ref().unwrap().contains("out of range"));
    sole.set(&[("message.timestamp.after.max.ms", "36000000"), ("message.timestamp.before.max.ms", "3600000")]);
    assert_eq!(code(&sole, now + 3 * hour).await.error_code, 0);
    assert_eq!(code(&sole, now - 3 * hour).await.error_code, ErrorCode::InvalidTimestamp.code());
    sole.set(&[("message.timestamp.before.max.ms", "36000000")]);
    assert_eq!(code(&sole, now - 3 * hour).await.error_code, 0);
    sole.set(&[("message.timestamp.type", "LogAppendTime"), ("message.timestamp.before.max.ms", "0")]);
    assert_eq!(code(&sole, 5).await.error_code, 0, "the broker's time needs no bounds");

    let mut other = SoleBroker::new(&[("message.timestamp.difference.max.ms", "3600000")]);
    assert_eq!(code(&other, now - 3 * hour).await.error_code, ErrorCode::InvalidTimestamp.code(), "the deprecated key");
    other.set(&[("message.timestamp.before.max.ms", "36000000")]);
    assert_eq!(code(&other, now - 3 * hour).await.error_code, 0);
    other.set_cluster(&[("log.message.timestamp.after.max.ms", "7200000")]);
    assert_eq!(code(&other, now + hour + hour / 2).await.error_code, 0, "the broker's bound");
}

#[tokio::test]
async fn max_message_bytes() {
    let mut sole = SoleBroker::new(&[]);
    let large = "0123456789".repeat(200);
    assert_eq!(sole.produce(batch(Compression::None, &[&large]), 9).await.error_code, 0);
    sole.set(&[("max.message.bytes", "1000")]);
    let refused = sole.produce(batch(Compression::None, &[&large]), 9).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
    assert_eq!(sole.produce(batch(Compression::Gzip, &[&large]), 9).await.error_code, 0, "packed it is small enough");
    sole.set(&[("compression.type", "uncompressed")]);
    let refused = sole.produce(batch(Compression::Gzip, &[&large]), 9).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code(), "not once it is unpacked");
    sole.set(&[("max.message.bytes", "10000")]);
    assert_eq!(sole.produce(batch(Compression::Gzip, &[&large]), 9).await.error_code, 0);
}

#[tokio::test]
async fn cleanup_policy_compact_asks_for_keys() {
    let mut sole = SoleBroker::new(&[]);
    let keyless = || {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        builder.append(now_ms(), Some(b"k"), None, &[]).append(now_ms(), None, Some(b"v"), &[]);
        builder.build(0, LeaderEpoch::NONE)
    };
    assert_eq!(sole.produce(keyless(), 9).await.error_code, 0);
    sole.set(&[("cleanup.policy", "compact")]);
    let refused = sole.produce(keyless(), 9).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidRecord.code());
    assert_eq!(refused.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);
    let older = sole.produce(keyless(), 7).await;
    assert_eq!((older.error_code, older.record_errors.len()), (ErrorCode::InvalidRecord.code(), 0));
    sole.set(&[("cleanup.policy", "compact,delete")]);
    assert_eq!(sole.produce(keyless(), 9).await.error_code, ErrorCode::InvalidRecord.code());
    sole.set(&[("cleanup.policy", "delete")]);
    assert_eq!(sole.produce(keyless(), 9).await.error_code, 0);
}

#[tokio::test]
async fn segment_bytes_ms_and_index_bytes() {
    let mut sole = SoleBroker::new(&[]);
    let (half, now) = ("x".repeat(600_000), now_ms());
    for _ in 0..3 {
        sole.produce(batch(Compression::None, &[&half]), 9).await;
    }
    assert_eq!(sole.segments(), 1);
    sole.set(&[("segment.bytes", "1048576")]);
    for _ in 0..3 {
        sole.produce(batch(Compression::None, &[&half]), 9).await;
    }
    assert_eq!(sole.segments(), 4);
    sole.set_cluster(&[("log.roll.ms", "3600000")]);
    sole.produce(stamped(&[now + 3_000_000]), 9).await;
    assert_eq!(sole.segments(), 4, "not older than segment.ms");
    sole.set(&[("segment.ms", "1000000")]);
    sole.produce(stamped(&[now + 2_500_000]), 9).await;
    assert_eq!(sole.segments(), 5, "the records span more time");
    sole.set(&[("segment.ms", "604800000"), ("segment.index.bytes", "8"), ("index.interval.bytes", "0")]);
    for _ in 0..4 {
        sole.produce(stamped(&[now]), 9).await;
    }
    assert!(sole.segments() > 5, "an index of one entry is soon full");
}

#[tokio::test]
async fn retention_bytes_and_ms() {
    let mut sole = SoleBroker::new(&[("segment.bytes", "1048576")]);
    let half = "x".repeat(600_000);
    for _ in 0..4 {
        sole.produce(batch(Compression::None, &[&half]), 9).await;
    }
    sole.committed().await;
    let start = || sole.broker.state.replicas.partition_state(AT).unwrap().log_start_offset;
    assert_eq!(start(), 0);
    sole.set(&[("retention.bytes", "1000000")]);
    let start = || sole.broker.state.replicas.partition_state(AT).unwrap().log_start_offset;
    until("the oldest segments are gone", || start() == 2).await;
    sole.set(&[("retention.bytes", "-1"), ("cleanup.policy", "compact"), ("retention.ms", "1")]);
    sole.set(&[("cleanup.policy", "delete")]);
    let start = || sole.broker.state.replicas.partition_state(AT).unwrap().log_start_offset;
    until("all that is too old is gone", || start() == 4).await;
    assert_eq!(sole.fetch(0, 100, 9).await.error_code, ErrorCode::OffsetOutOfRange.code());
}

#[tokio::test]
async fn flush_messages_and_ms() {
    // Then nothing but these settings asks for a flush; checkpoints, which do, are far between in these tests.
    let mut sole = SoleBroker::new(&[("durability", "written")]);
    sole.produce(batch(Compression::None, &["a"]), 9).await;
    let state = |sole: &SoleBroker| sole.broker.state.replicas.partition_state(AT).unwrap();
    sole.set(&[("flush.messages", "3")]);
    sole.produce(batch(Compression::None, &["b"]), 9).await;
    sole.produce(batch(Compression::None, &["c"]), 9).await;
    until("three records are flushed", || state(&sole).flushed_offset == 3).await;
    sole.set(&[("flush.messages", "1000"), ("flush.ms", "0")]);
    sole.produce(batch(Compression::None, &["d"]), 9).await;
    until("what is older than 0 ms is flushed", || state(&sole).flushed_offset == 4).await;
    sole.set(&[("flush.ms", "200")]);
    sole.produce(batch(Compression::None, &["e"]), 9).await;
    sole.produce(batch(Compression::None, &["f"]), 9).await;
    until("time alone has it flushed", || state(&sole).flushed_offset == 6).await;
}
