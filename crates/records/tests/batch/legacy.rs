//! Formats 0 and 1: what old clients wrote comes in, what is stored goes out to them.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use raftsman_records::{
    BatchBuilder, Compression, DownConversionError, DownConverter, InvalidRecords, LegacyFormat, Record, RecordBatch,
    RecordErrors, TargetCompression, TimestampType, ValidationLimits, end_transaction_marker,
    patch_base_offset_and_epoch, patch_log_append_time, validate,
};
use raftsman_types::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, WallTime};

const NOW: WallTime = WallTime(1_000_000);
const OLD_CODECS: [Compression; 4] = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];
const ALL_BYTES: usize = 1 << 20;
const FORMATS: [LegacyFormat; 2] = [LegacyFormat::V0, LegacyFormat::V1];

fn limits() -> ValidationLimits {
    ValidationLimits { accept_legacy: true, ..ValidationLimits::at(NOW) }
}

fn message(
    magic: i8,
    offset: i64,
    attributes: u8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = vec![magic as u8, attributes];
    if magic == 1 {
        body.put_i64(timestamp);
    }
    for field in [key, value] {
        body.put_i32(field.map_or(-1, |bytes| bytes.len() as i32));
        body.put_slice(field.unwrap_or_default());
    }
    let mut message = Vec::new();
    message.put_i64(offset);
    message.put_i32(body.len() as i32 + 4);
    message.put_u32(flate2_crc(&body));
    message.put_slice(&body);
    message
}

fn flate2_crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn records(batch: &RecordBatch) -> Vec<Record> {
    batch.records().collect::<Result<_, _>>().expect("records")
}

fn accepted(bytes: impl Into<Bytes>) -> RecordBatch {
    let batch = validate(&bytes.into(), &limits()).expect("an old message set");
    assert!(batch.crc_is_valid());
    batch
}

fn refused(bytes: impl Into<Bytes>) -> InvalidRecords {
    validate(&bytes.into(), &limits()).expect_err("must be refused")
}

/// A stored batch of these values at an offset, timestamps 1000 on.
fn stored(codec: Compression, base_offset: i64, values: &[&str]) -> RecordBatch {
    let mut builder = BatchBuilder::new(codec);
    for (i, value) in values.iter().enumerate() {
        builder.append(1_000 + i as i64, Some(b"key"), Some(value.as_bytes()), &[("header", Some(b"lost"))]);
    }
    RecordBatch::parse(builder.build(base_offset, LeaderEpoch(3))).expect("a batch")
}

fn down(format: LegacyFormat, first_offset: i64, max_bytes: usize, batches: &[RecordBatch]) -> Bytes {
    let mut converter = DownConverter::new(format, first_offset, max_bytes);
    for batch in batches {
        converter.push(batch, ALL_BYTES).expect("a batch that can be converted");
    }
    converter.into_bytes()
}

/// Offsets and sizes of a set's entries, as they stand in the bytes.
fn entries(set: &Bytes) -> Vec<(i64, usize)> {
    let (mut rest, mut entries) = (&set[..], Vec::new());
    while !rest.is_empty() {
        let offset = i64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
        let size = 12 + i32::from_be_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        entries.push((offset, size));
        rest = &rest[size..];
    }
    entries
}

/// `legacy_sets.txt`: a line each of format, codec and the set of three messages that kafka-python 3.0.12 writes.
#[test]
fn what_kafka_python_writes_becomes_one_batch() {
    let unhex = |text: &str| -> Bytes {
        let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(digit).collect::<Vec<u8>>().into()
    };
    let mut sets = 0;
    for line in include_str!("legacy_sets.txt").lines() {
        let mut words = line.split(' ');
        let mut number = || words.next().expect("a word").parse::<u8>().expect("a number");
        let (magic, codec) = (number(), number());
        let batch = accepted(unhex(words.next().expect("a set")));
        assert_eq!(batch.compression().expect("a codec").id(), codec, "stored as the producer packed it");
        let timestamp = |i: i64| if magic == 0 { -1 } else { 1_000 + i };
        let expected = [(Some("k0"), Some("value-0")), (None, Some("value-1")), (Some("k2"), None)];
        for (i, (record, (key, value))) in records(&batch).iter().zip(expected).enumerate() {
            assert_eq!((record.offset, record.timestamp), (i as i64, timestamp(i as i64)), "{magic} {codec}");
            assert_eq!(record.key.as_deref(), key.map(str::as_bytes));
            assert_eq!(record.value.as_deref(), value.map(str::as_bytes));
        }
        assert_eq!(batch.header().record_count, 3);
        sets += 1;
    }
    assert_eq!(sets, 8);
}

#[test]
fn the_topics_codec_replaces_the_producers() {
    let set: Bytes = [message(0, 0, 0, -1, None, Some(b"a")), message(0, 7, 0, -1, None, Some(b"b"))].concat().into();
    for codec in super::ALL_CODECS {
        let target_compression = TargetCompression::Codec { codec, level: None };
        let batch = validate(&set, &ValidationLimits { target_compression, ..limits() }).expect("a set");
        assert_eq!(batch.compression(), Ok(codec));
        assert_eq!(records(&batch).iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1], "the broker counts anew");
    }
}

#[test]
fn kafkas_rules_for_sets_hold() {
    let plain = |offset| message(1, offset, 0, 5, None, Some(b"v"));
    let mut wrong_crc = plain(0);
    *wrong_crc.last_mut().expect("bytes") ^= 1;
    let gzip = |inner: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(inner).expect("memory does not fail");
        encoder.finish().expect("memory does not fail")
    };
    let wrapper = |inner: &[u8]| message(1, 0, 1, 5, None, Some(&gzip(inner)));
    let mut mixed = plain(0);
    mixed.extend(message(0, 1, 0, -1, None, Some(b"v")));
    let cases: Vec<(&str, Vec<u8>, ErrorCode)> = vec![
        ("a wrong CRC", wrong_crc.clone(), ErrorCode::CorruptMessage),
        ("a wrong CRC within", wrapper(&wrong_crc), ErrorCode::CorruptMessage),
        ("two wrappers", [wrapper(&plain(0)), wrapper(&plain(0))].concat(), ErrorCode::InvalidRecord),
        ("a wrapper behind a message", [plain(0), wrapper(&plain(0))].concat(), ErrorCode::InvalidRecord),
        ("a wrapper in a wrapper", wrapper(&wrapper(&plain(0))), ErrorCode::InvalidRecord),
        ("a wrapper of nothing", wrapper(&[]), ErrorCode::InvalidRecord),
        ("a wrapper without a value", message(1, 0, 1, 5, None, None), ErrorCode::InvalidRecord),
        ("a wrapper of another format", wrapper(&message(0, 0, 0, -1, None, None)), ErrorCode::InvalidRecord),
        ("two formats", mixed, ErrorCode::InvalidRecord),
        ("zstd", message(1, 0, 4, 5, None, Some(b"v")), ErrorCode::UnsupportedCompressionType),
        ("codec 7", message(1, 0, 7, 5, None, Some(b"v")), ErrorCode::UnsupportedCompressionType),
        ("broken gzip", message(1, 0, 1, 5, None, Some(b"v")), ErrorCode::CorruptMessage),
        ("the broker's time", message(1, 0, 8, 5, None, Some(b"v")), ErrorCode::InvalidTimestamp),
        ("too far ahead", message(1, 0, 0, NOW.0 + 3_600_001, None, Some(b"v")), ErrorCode::InvalidTimestamp),
        ("nothing", Vec::new(), ErrorCode::InvalidRecord),
        ("half a message", plain(0)[..20].to_vec(), ErrorCode::InvalidRecord),
        ("a magic there is not", message(3, 0, 0, 5, None, None), ErrorCode::CorruptMessage),
    ];
    for (what, set, expected) in cases {
        let error = refused(set);
        assert_eq!(error.error_code(), expected, "{what}: {error}");
    }
    let cut_off = [plain(0), plain(1)[..20].to_vec()].concat();
    assert_eq!(accepted(cut_off).header().record_count, 1, "what is cut off is left out");
    let later = ValidationLimits::at(NOW);
    assert_eq!(
        validate(&plain(0).into(), &later),
        Err(InvalidRecords::LegacyMagic { magic: 1 }),
        "Produce 3 and later"
    );
}

#[test]
fn records_without_keys_and_sets_too_large_are_refused() {
    let set = Bytes::from([message(0, 0, 0, -1, Some(b"k"), None), message(0, 1, 0, -1, None, Some(b"v"))].concat());
    let compacted = ValidationLimits { require_keys: true, ..limits() };
    let Err(InvalidRecords::Records(RecordErrors { count: 1, named, .. })) = validate(&set, &compacted) else {
        panic!("one record has no key");
    };
    assert_eq!(named[0].index, 1);
    // Each message is small enough, the one batch of them is not.
    let many = Bytes::from((0..100).flat_map(|i| message(0, i, 0, -1, None, Some(&[0; 50]))).collect::<Vec<u8>>());
    for (limit, fits) in [(60, false), (3_000, false), (10_000, true)] {
        let outcome = validate(&many, &ValidationLimits { max_message_bytes: limit, ..limits() });
        assert_eq!(outcome.is_ok(), fits, "{limit}");
        assert!(fits || outcome.expect_err("too large").error_code() == ErrorCode::MessageTooLarge);
    }
    let broker_time = ValidationLimits { timestamp_type: TimestampType::LogAppendTime, ..limits() };
    assert!(validate(&message(1, 0, 0, i64::MAX, None, None).into(), &broker_time).is_ok(), "the broker sets its own");
}

#[test]
fn what_goes_out_starts_where_it_was_asked_for_and_ends_at_the_limit() {
    for format in FORMATS {
        let plain = stored(Compression::None, 10, &["a", "b", "c", "d"]);
        let set = down(format, 12, ALL_BYTES, std::slice::from_ref(&plain));
        let found = entries(&set);
        assert_eq!(found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [12, 13], "{format:?}");
        let one = found[0].1;
        assert_eq!(down(format, 10, 3 * one, std::slice::from_ref(&plain)).len(), 3 * one);
        assert_eq!(down(format, 10, 3 * one + one / 2, std::slice::from_ref(&plain)).len(), 3 * one);
        assert_eq!(down(format, 10, 0, std::slice::from_ref(&plain)).len(), one, "one, or nobody gets on");
        let next = stored(Compression::Gzip, 14, &["e"]);
        assert_eq!(
            entries(&down(format, 10, 3 * one, &[plain.clone(), next.clone()])).len(),
            3,
            "nothing behind a gap"
        );
        assert_eq!(entries(&down(format, 10, 1, &[next.clone(), plain.clone()])).len(), 1, "a wrapper is whole");
        let wrapped = entries(&down(format, 10, ALL_BYTES, &[plain, next]));
        assert_eq!(wrapped.last().map(|(offset, _)| *offset), Some(14), "the wrapper has its last offset");
    }
}

#[test]
fn control_batches_are_left_out_and_zstd_is_refused() {
    for format in FORMATS {
        let marker = end_transaction_marker(ProducerId(1), ProducerEpoch(0), true, 0, 5);
        let marker = RecordBatch::parse(marker).expect("a batch");
        assert!(down(format, 0, ALL_BYTES, std::slice::from_ref(&marker)).is_empty());
        let mut converter = DownConverter::new(format, 0, ALL_BYTES);
        converter.push(&stored(Compression::Gzip, 0, &["a"]), ALL_BYTES).expect("gzip is fine");
        let refused = converter.push(&stored(Compression::Zstd, 1, &["b"]), ALL_BYTES).expect_err("zstd is not");
        assert_eq!(refused, DownConversionError::Zstd { base_offset: 1 });
        assert_eq!(refused.error_code(), ErrorCode::UnsupportedCompressionType);
        assert!(!converter.into_bytes().is_empty(), "what came before it stays");
        let bomb = stored(Compression::Gzip, 0, &["0".repeat(100_000).as_str()]);
        let refused = DownConverter::new(format, 0, ALL_BYTES).push(&bomb, 1_000).expect_err("it is bounded");
        assert_eq!(refused.error_code(), ErrorCode::MessageTooLarge);
    }
}

#[test]
fn the_brokers_time_is_told_in_format_1() {
    for codec in OLD_CODECS {
        let mut bytes = BytesMut::from(&stored(codec, 5, &["a", "b"]).bytes()[..]);
        patch_log_append_time(&mut bytes, 77);
        let batch = RecordBatch::parse(bytes.freeze()).expect("a batch");
        let set = down(LegacyFormat::V1, 5, ALL_BYTES, std::slice::from_ref(&batch));
        assert_eq!(set[17] & 8, 8, "{codec:?}");
        assert_eq!(set[18..26], 77i64.to_be_bytes(), "{codec:?}");
        let old = down(LegacyFormat::V0, 5, ALL_BYTES, std::slice::from_ref(&batch));
        assert_eq!(old[17] & 8, 0, "{codec:?}: format 0 knows no times");
    }
}

proptest! {
    /// Out and in again: the same records, but for what the old formats cannot carry.
    #[test]
    fn what_goes_out_comes_in_again(
        written in vec((0i64..NOW.0, option::of(vec(any::<u8>(), 0..50)), option::of(vec(any::<u8>(), 0..200))), 1..20),
        codec in 0usize..OLD_CODECS.len(),
        base_offset in 0i64..1 << 40,
        from in 0usize..20,
    ) {
        let from = from.min(written.len() - 1);
        let mut builder = BatchBuilder::new(OLD_CODECS[codec]);
        for (timestamp, key, value) in &written {
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &[]);
        }
        let mut bytes = BytesMut::from(&builder.build(0, LeaderEpoch(0))[..]);
        patch_base_offset_and_epoch(&mut bytes, base_offset, LeaderEpoch(9));
        let batch = RecordBatch::parse(bytes.freeze()).expect("a batch");
        for format in FORMATS {
            let set = down(format, base_offset + from as i64, ALL_BYTES, std::slice::from_ref(&batch));
            let back = records(&accepted(set));
            prop_assert_eq!(back.len(), written.len() - from);
            for (record, (timestamp, key, value)) in back.iter().zip(&written[from..]) {
                let timestamp = if format == LegacyFormat::V0 { -1 } else { *timestamp };
                prop_assert_eq!(record.timestamp, timestamp);
                prop_assert_eq!(record.key.as_deref(), key.as_deref());
                prop_assert_eq!(record.value.as_deref(), value.as_deref());
            }
        }
    }

    /// Whatever the bytes: an answer, no panic.
    #[test]
    fn any_bytes_have_an_answer(mut bytes in vec(any::<u8>(), 0..200), magic in 0u8..2, length in 0u8..200) {
        if bytes.len() > 17 {
            bytes[8..12].copy_from_slice(&[0, 0, 0, length]);
            bytes[16] = magic;
            let end = (12 + usize::from(length)).min(bytes.len());
            if end > 16 {
                let crc = flate2_crc(&bytes[16..end]);
                bytes[12..16].copy_from_slice(&crc.to_be_bytes());
            }
        }
        if let Ok(batch) = validate(&bytes.into(), &limits()) {
            prop_assert!(batch.crc_is_valid());
        }
    }
}
