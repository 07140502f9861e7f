use bytes::{Bytes, BytesMut};
use raftsman_records::{
    BatchBuilder, Compression, InvalidRecords, TimestampType, ValidationLimits, end_transaction_marker, validate,
};
use raftsman_types::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, WallTime};

use super::{ALL_CODECS, altered, batch_of};

const NOW: WallTime = WallTime(1_000_000_000);

fn limits() -> ValidationLimits {
    ValidationLimits::at(NOW)
}

fn code_of(bytes: &Bytes, limits: &ValidationLimits) -> ErrorCode {
    validate(bytes, limits).expect_err("must be refused").error_code()
}

#[test]
fn good_batches_pass_as_they_are() {
    for codec in ALL_CODECS {
        let bytes = batch_of(10, codec);
        let batch = validate(&bytes, &limits()).expect("a good batch");
        assert_eq!(batch.bytes(), &bytes);
        // The very same memory: validation copies nothing.
        assert_eq!(batch.bytes().as_ptr(), bytes.as_ptr());
    }
}

#[test]
fn each_rule_answers_with_kafkas_code() {
    let good = batch_of(3, Compression::None);
    let mut torn = BytesMut::from(&good[..]);
    torn[70] ^= 1;
    let doubled = Bytes::from([&good[..], &good[..]].concat());
    let marker = end_transaction_marker(ProducerId(1), ProducerEpoch(0), true, 0, NOW.0);
    let small = ValidationLimits { max_message_bytes: good.len() - 1, ..limits() };
    let early = ValidationLimits { allow_zstd: false, ..limits() };
    let cases: Vec<(&str, Bytes, ValidationLimits, ErrorCode)> = vec![
        ("no bytes", Bytes::new(), limits(), ErrorCode::InvalidRecord),
        ("half a batch", good.slice(..good.len() - 1), limits(), ErrorCode::InvalidRecord),
        ("two batches", doubled, limits(), ErrorCode::InvalidRecord),
        ("a wrong CRC", torn.freeze(), limits(), ErrorCode::CorruptMessage),
        ("magic 1", altered(&good, 16, &[1]), limits(), ErrorCode::InvalidRecord),
        ("magic 9", altered(&good, 16, &[9]), limits(), ErrorCode::CorruptMessage),
        ("a negative length", altered(&good, 8, &(-5i32).to_be_bytes()), limits(), ErrorCode::CorruptMessage),
        ("codec 7", altered(&good, 21, &7i16.to_be_bytes()), limits(), ErrorCode::UnsupportedCompressionType),
        ("zstd in Produce v6", batch_of(1, Compression::Zstd), early, ErrorCode::UnsupportedCompressionType),
        ("a base offset", altered(&good, 0, &5i64.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("too large", good.clone(), small, ErrorCode::MessageTooLarge),
        ("no records", altered(&good, 57, &0i32.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("count -1", altered(&good, 57, &(-1i32).to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("a count that differs", altered(&good, 57, &4i32.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("a negative delta", altered(&good, 23, &(-1i32).to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("the largest delta", altered(&good, 23, &i32::MAX.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("a control batch", marker, limits(), ErrorCode::InvalidRecord),
        ("LogAppendTime", altered(&good, 21, &8i16.to_be_bytes()), limits(), ErrorCode::InvalidTimestamp),
        ("transactional, no producer", altered(&good, 21, &16i16.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("a producer without sequence", altered(&good, 43, &7i64.to_be_bytes()), limits(), ErrorCode::InvalidRecord),
        ("a negative producer", altered(&good, 43, &(-7i64).to_be_bytes()), limits(), ErrorCode::InvalidRecord),
    ];
    for (what, bytes, limits, expected) in cases {
        let error = validate(&bytes, &limits).expect_err(what);
        assert_eq!(error.error_code(), expected, "{what}: {error}");
    }
}

#[test]
fn old_formats_are_told_apart() {
    for magic in [0i8, 1] {
        let old = altered(&batch_of(1, Compression::None), 16, &[magic as u8]);
        assert_eq!(validate(&old, &limits()), Err(InvalidRecords::LegacyMagic { magic }));
    }
}

#[test]
fn a_cut_off_second_batch_is_left_out_as_kafka_does() {
    let good = batch_of(3, Compression::None);
    for extra in 1..good.len() {
        let bytes = Bytes::from([&good[..], &good[..extra]].concat());
        let batch = validate(&bytes, &limits()).expect("the first batch is whole");
        assert_eq!(batch.bytes(), &good);
    }
}

#[test]
fn timestamps_have_their_bounds() {
    let at = |timestamp| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(timestamp, None, Some(b"v"), &[]);
        builder.build(0, LeaderEpoch(-1))
    };
    let bounded = ValidationLimits { timestamp_before_max_ms: 1_000, timestamp_after_max_ms: 500, ..limits() };
    for good in [NOW.0, NOW.0 - 1_000, NOW.0 + 500, -1] {
        assert!(validate(&at(good), &bounded).is_ok(), "{good}");
    }
    for bad in [NOW.0 - 1_001, NOW.0 + 501, i64::MAX] {
        assert_eq!(code_of(&at(bad), &bounded), ErrorCode::InvalidTimestamp, "{bad}");
    }
    let broker_time = ValidationLimits { timestamp_type: TimestampType::LogAppendTime, ..bounded };
    assert!(validate(&at(5), &broker_time).is_ok(), "the broker will set its own");
}

#[test]
fn compacted_topics_ask_for_keys() {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    builder.append(0, Some(b"k"), Some(b"v"), &[]);
    let keyed = ValidationLimits { require_keys: true, ..limits() };
    assert!(validate(&builder.build(0, LeaderEpoch(-1)), &keyed).is_ok());
    builder.append(0, None, Some(b"v"), &[]);
    assert_eq!(validate(&builder.build(0, LeaderEpoch(-1)), &keyed), Err(InvalidRecords::NoKey { index: 1 }));
    assert!(validate(&builder.build(0, LeaderEpoch(-1)), &limits()).is_ok());
}
