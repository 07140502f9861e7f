use bytes::{Bytes, BytesMut};
use raftsman_records::{
    BatchBuilder, BatchError, Compression, InvalidRecords, RecordBatch, RecordError, RecordFault, TargetCompression,
    TimestampType, ValidationLimits, end_transaction_marker, validate,
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
fn a_record_that_is_too_large_unpacked_is_refused() {
    let batch = |codec, value_bytes: usize| {
        let mut builder = BatchBuilder::new(codec);
        builder.append(NOW.0, None, Some(b"small"), &[]);
        builder.append(NOW.0, None, Some(&vec![b'x'; value_bytes]), &[]);
        builder.build(0, LeaderEpoch(-1))
    };
    // What a record has besides its value: attributes, two deltas, no key, the value's length, no headers.
    let bytes = 4_096 + 7;
    let limited = |max_decompressed_record_bytes| ValidationLimits { max_decompressed_record_bytes, ..limits() };
    for codec in ALL_CODECS.into_iter().filter(|codec| *codec != Compression::None) {
        assert!(validate(&batch(codec, 4_096), &limited(bytes)).is_ok(), "{codec:?}");
        let error = validate(&batch(codec, 4_096), &limited(bytes - 1)).expect_err("too large");
        let expected = BatchError::RecordTooLarge { base_offset: 0, index: 1, bytes, limit: bytes - 1 };
        assert_eq!((error.error_code(), error), (ErrorCode::InvalidRecord, expected.into()), "{codec:?}");
    }
    // What is not compressed has its limit in the batch's.
    assert!(validate(&batch(Compression::None, 4_096), &limited(10)).is_ok());
    let packed = TargetCompression::Codec { codec: Compression::Lz4, level: None };
    assert!(
        validate(&batch(Compression::None, 4_096), &ValidationLimits { target_compression: packed, ..limited(10) })
            .is_ok()
    );
    let repacked = ValidationLimits { target_compression: packed, ..limited(10) };
    assert_eq!(code_of(&batch(Compression::Gzip, 4_096), &repacked), ErrorCode::InvalidRecord);
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
    let Err(InvalidRecords::Records(errors)) = validate(&builder.build(0, LeaderEpoch(-1)), &keyed) else {
        panic!("the second record has no key");
    };
    assert_eq!(errors.named, [RecordError { index: 1, fault: RecordFault::NoKey }]);
    assert!(validate(&builder.build(0, LeaderEpoch(-1)), &limits()).is_ok());
}

#[test]
fn every_bad_record_is_named_and_a_bad_timestamp_decides_the_code() {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    for (key, timestamp) in [(None, NOW.0), (Some(&b"k"[..]), NOW.0), (Some(b"k"), 5), (None, 5)] {
        builder.append(timestamp, key, None, &[]);
    }
    let batch = builder.build(0, LeaderEpoch(-1));
    let errors_of = |limits: &ValidationLimits| match validate(&batch, limits) {
        Err(error @ InvalidRecords::Records(_)) => {
            let code = error.error_code();
            let InvalidRecords::Records(errors) = error else { unreachable!("matched above") };
            (code, errors.count, errors.named.iter().map(|error| error.index).collect::<Vec<_>>())
        }
        other => panic!("records should be refused: {other:?}"),
    };
    let bounded = ValidationLimits { timestamp_before_max_ms: 1_000, ..limits() };
    assert_eq!(errors_of(&bounded), (ErrorCode::InvalidTimestamp, 2, vec![2, 3]));
    let keyed = ValidationLimits { require_keys: true, ..limits() };
    assert_eq!(errors_of(&keyed), (ErrorCode::InvalidRecord, 2, vec![0, 3]));
    let both = ValidationLimits { require_keys: true, ..bounded };
    assert_eq!(errors_of(&both), (ErrorCode::InvalidTimestamp, 3, vec![0, 2, 3]));
    let mut many = BatchBuilder::new(Compression::None);
    for _ in 0..1_000 {
        many.append(NOW.0, None, None, &[]);
    }
    let Err(InvalidRecords::Records(errors)) = validate(&many.build(0, LeaderEpoch(-1)), &keyed) else {
        panic!("no record has a key");
    };
    assert_eq!((errors.count, errors.named.len()), (1_000, 100));
}

#[test]
fn the_topics_codec_holds_whatever_the_producers() {
    let mut builder =
        BatchBuilder::new(Compression::None).producer(ProducerId(4), ProducerEpoch(2), 17).transactional(true);
    for i in 0..200 {
        builder.append(NOW.0 + i, Some(b"key"), Some(b"value value value"), &[("h", Some(b"x")), ("g", None)]);
    }
    let plain = RecordBatch::parse(builder.build(0, LeaderEpoch(-1))).expect("a batch");
    for codec in ALL_CODECS {
        let target_compression = TargetCompression::Codec { codec, level: None };
        let wanted = ValidationLimits { target_compression, ..limits() };
        let packed = validate(plain.bytes(), &wanted).expect("a good batch");
        assert_eq!(packed.compression(), Ok(codec));
        assert!(packed.crc_is_valid());
        let (old, new) = (plain.header(), packed.header());
        assert_eq!(
            (new.producer_id, new.producer_epoch, new.base_sequence, new.is_transactional(), new.max_timestamp),
            (old.producer_id, old.producer_epoch, old.base_sequence, true, old.max_timestamp)
        );
        assert!(packed.records().eq(plain.records()), "{codec:?}");
        let again = validate(packed.bytes(), &wanted).expect("a good batch");
        assert_eq!(again.bytes().as_ptr(), packed.bytes().as_ptr(), "{codec:?}: packed as asked, it stays as it is");
        let producer = validate(packed.bytes(), &limits()).expect("a good batch");
        assert_eq!(producer.compression(), Ok(codec));
    }
}

#[test]
fn the_size_counts_before_and_after_packing_anew() {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.append(NOW.0, None, Some(&[7; 50_000]), &[]);
    let small = builder.build(0, LeaderEpoch(-1));
    let unpacked = TargetCompression::Codec { codec: Compression::None, level: None };
    let limit = ValidationLimits { max_message_bytes: 10_000, ..limits() };
    assert!(validate(&small, &limit).is_ok());
    assert_eq!(
        code_of(&small, &ValidationLimits { target_compression: unpacked, ..limit }),
        ErrorCode::MessageTooLarge,
        "too large once unpacked"
    );
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, None, Some(&[7; 50_000]), &[]);
    let packed = TargetCompression::Codec { codec: Compression::Gzip, level: None };
    assert_eq!(
        code_of(&builder.build(0, LeaderEpoch(-1)), &ValidationLimits { target_compression: packed, ..limit }),
        ErrorCode::MessageTooLarge,
        "too large as it came"
    );
}

#[test]
fn levels_reach_the_codecs() {
    let text: String = (0..20_000u32).map(|i| format!("{} ", i * i % 1_009)).collect();
    let size = |codec, level| {
        let mut builder = BatchBuilder::new(codec).level(level);
        builder.append(0, None, Some(text.as_bytes()), &[]);
        let batch = RecordBatch::parse(builder.build(0, LeaderEpoch(0))).expect("a batch");
        assert!(batch.records().all(|record| record.expect("a record").value.as_deref() == Some(text.as_bytes())));
        batch.size_in_bytes()
    };
    for (codec, low, high) in [(Compression::Gzip, 1, 9), (Compression::Lz4, 9, 12), (Compression::Zstd, -100, 19)] {
        assert!(size(codec, Some(high)) < size(codec, Some(low)), "{codec:?}");
    }
    for (codec, default) in [(Compression::Gzip, -1), (Compression::Lz4, 9), (Compression::Zstd, 3)] {
        assert_eq!(size(codec, Some(default)), size(codec, None), "{codec:?}");
    }
}
