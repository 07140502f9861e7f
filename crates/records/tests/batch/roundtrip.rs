use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use raftsman_records::{
    BatchBuilder, BatchError, BatchHeader, Compression, ControlRecordType, RecordBatch, end_transaction_marker,
    patch_base_offset_and_epoch, patch_log_append_time, split_batches,
};
use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId};

use super::{ALL_CODECS, batch_of};

type Data = Vec<u8>;
type Written = (i64, Option<Data>, Option<Data>, Vec<(String, Option<Data>)>);

fn data() -> impl Strategy<Value = Option<Data>> {
    option::of(vec(any::<u8>(), 0..200))
}

fn records() -> impl Strategy<Value = Vec<Written>> {
    let headers = vec(("[a-zé]{0,8}", option::of(vec(any::<u8>(), 0..20))), 0..4);
    vec((0i64..4_000_000_000_000, data(), data(), headers), 1..20)
}

fn codec() -> impl Strategy<Value = Compression> {
    (0usize..ALL_CODECS.len()).prop_map(|i| ALL_CODECS[i])
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(written in records(), codec in codec(), base in 0i64..1 << 40, epoch in 0i32..100) {
        let mut builder = BatchBuilder::new(codec);
        for (timestamp, key, value, headers) in &written {
            let headers: Vec<(&str, Option<&[u8]>)> =
                headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
        }
        let batch = RecordBatch::parse(builder.build(base, LeaderEpoch(epoch))).expect("a batch");
        prop_assert!(batch.crc_is_valid());
        prop_assert_eq!(&batch.header().to_bytes()[..], &batch.bytes()[..61]);
        prop_assert_eq!(batch.last_offset(), base + written.len() as i64 - 1);
        prop_assert_eq!(batch.header().max_timestamp, written.iter().map(|w| w.0).max().expect("records"));
        let read: Vec<_> = batch.records().collect::<Result<_, _>>().expect("records");
        prop_assert_eq!(read.len(), written.len());
        for (i, (record, (timestamp, key, value, headers))) in read.iter().zip(&written).enumerate() {
            prop_assert_eq!(record.offset, base + i as i64);
            prop_assert_eq!(record.timestamp, *timestamp);
            prop_assert_eq!(record.key.as_deref(), key.as_deref());
            prop_assert_eq!(record.value.as_deref(), value.as_deref());
            let read: Vec<_> = record.headers.iter().map(|h| (h.key.to_vec(), h.value.as_deref())).collect();
            let wrote: Vec<_> = headers.iter().map(|(k, v)| (k.clone().into_bytes(), v.as_deref())).collect();
            prop_assert_eq!(read, wrote);
        }
    }

    #[test]
    fn one_wrong_bit_is_always_noticed(codec in codec(), bit in 0usize..100_000) {
        let good = batch_of(5, codec);
        let mut bytes = BytesMut::from(&good[..]);
        // Base offset and leader epoch lie outside the CRC on purpose.
        let covered = 16 * 8..bytes.len() * 8;
        let bit = covered.start + bit % covered.len();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let noticed = RecordBatch::parse(bytes.freeze()).map(|batch| batch.crc_is_valid());
        prop_assert!(!matches!(noticed, Ok(true)));
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400), attributes in any::<u8>()) {
        let _no_panic = split_batches(Bytes::from(bytes.clone()), true).count();
        // As the body of a batch that is otherwise sound, under every codec.
        let mut batch = BytesMut::from(&batch_of(3, Compression::None)[..61]);
        batch.extend_from_slice(&bytes);
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[22] = attributes;
        let batch = RecordBatch::parse(batch.freeze()).expect("the header is sound");
        for record in batch.records_within(1 << 16).flatten() {
            prop_assert!(record.offset <= batch.last_offset());
        }
        let _no_panic = batch.control_record();
    }
}

#[test]
fn batches_come_apart_where_they_were_put_together() {
    let parts = [batch_of(1, Compression::None), batch_of(7, Compression::Lz4), batch_of(2, Compression::Zstd)];
    let whole = Bytes::from(parts.concat());
    let split: Vec<Bytes> =
        split_batches(whole.clone(), false).map(|batch| batch.expect("a batch").into_bytes()).collect();
    assert_eq!(split, parts);

    for cut in 1..parts[2].len() {
        let torn = whole.slice(..whole.len() - cut);
        assert_eq!(split_batches(torn.clone(), true).filter(Result::is_ok).count(), 2);
        assert_eq!(split_batches(torn.clone(), true).count(), 2);
        let last = split_batches(torn, false).last().expect("an error");
        assert!(matches!(last, Err(BatchError::Truncated { .. })), "{cut}: {last:?}");
    }
}

#[test]
fn what_the_broker_assigns_keeps_the_batch_valid() {
    let mut bytes = BytesMut::from(&batch_of(3, Compression::None)[..]);
    patch_base_offset_and_epoch(&mut bytes, 42, LeaderEpoch(7));
    let batch = RecordBatch::parse(bytes.clone().freeze()).expect("a batch");
    assert!(batch.crc_is_valid());
    assert_eq!((batch.base_offset(), batch.header().partition_leader_epoch), (42, LeaderEpoch(7)));

    patch_log_append_time(&mut bytes, 9_999);
    let batch = RecordBatch::parse(bytes.freeze()).expect("a batch");
    assert!(batch.crc_is_valid());
    assert!(batch.header().is_log_append_time());
    let timestamps: Vec<i64> = batch.records().map(|record| record.expect("a record").timestamp).collect();
    assert_eq!(timestamps, [9_999; 3]);
}

#[test]
fn sequences_wrap_as_kafkas_do() {
    let mut builder = BatchBuilder::new(Compression::None).producer(ProducerId(5), ProducerEpoch(0), i32::MAX - 1);
    for _ in 0..4 {
        builder.append(0, None, Some(b"v"), &[]);
    }
    let header = BatchHeader::parse(&builder.build(0, LeaderEpoch(0))).expect("a header");
    assert_eq!(header.last_sequence(), 1);
}

#[test]
fn markers_say_what_became_of_a_transaction() {
    for (commit, control_type) in [(true, ControlRecordType::Commit), (false, ControlRecordType::Abort)] {
        let bytes = end_transaction_marker(ProducerId(9), ProducerEpoch(3), commit, 17, 1_234);
        let batch = RecordBatch::parse(bytes).expect("a batch");
        assert!(batch.is_control() && batch.is_transactional() && batch.crc_is_valid());
        let record = batch.control_record().expect("readable").expect("a control record");
        assert_eq!((record.control_type, record.coordinator_epoch, record.timestamp), (control_type, 17, 1_234));
    }
    let data = RecordBatch::parse(batch_of(1, Compression::None)).expect("a batch");
    assert_eq!(data.control_record(), Ok(None));
}

#[test]
fn a_batch_written_by_kafka_is_understood() {
    // One record, key "k", value "v", offset 0, timestamp 1 700 000 000 000, no idempotence: laid out by
    // hand after Kafka's specification.
    let mut bytes = vec![];
    bytes.extend_from_slice(&0i64.to_be_bytes());
    bytes.extend_from_slice(&57i32.to_be_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.push(2);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&0i16.to_be_bytes());
    bytes.extend_from_slice(&0i32.to_be_bytes());
    bytes.extend_from_slice(&1_700_000_000_000i64.to_be_bytes());
    bytes.extend_from_slice(&1_700_000_000_000i64.to_be_bytes());
    bytes.extend_from_slice(&(-1i64).to_be_bytes());
    bytes.extend_from_slice(&(-1i16).to_be_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.extend_from_slice(&1i32.to_be_bytes());
    // Length 7 in zig-zag, attributes, both deltas 0, key, value, no headers.
    bytes.extend_from_slice(&[16, 0, 0, 0, 2, b'k', 2, b'v', 0]);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = raftsman_records::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());

    let batch = RecordBatch::parse(bytes.clone().into()).expect("a batch");
    let records: Vec<_> = batch.records().collect::<Result<_, _>>().expect("records");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(records[0].value.as_deref(), Some(&b"v"[..]));
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(1_700_000_000_000, Some(b"k"), Some(b"v"), &[]);
    assert_eq!(builder.build(0, LeaderEpoch(-1)), bytes);
}
