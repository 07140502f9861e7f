use bytes::{Bytes, BytesMut};

use crate::batch::RecordBatch;
use crate::builder::{put_record, seal_batch};
use crate::compression::{Compression, compress};
use crate::error::BatchError;
use crate::header::{BatchHeader, NO_TIMESTAMP};
use crate::record::Record;

/// The batch with only `retained` of its records, compressed as it was: what compaction leaves of it. Offsets,
/// producer, sequence and the offset of the last record that once was stay, so that neither a reader nor a
/// producer's state notices a gap. `delete_horizon_ms` (ms since 1970) is noted if it is given; one that the batch
/// has already stays (KIP-534).
///
/// # Errors
/// `UnknownCodec`; `Inconsistent` if `retained` is empty or a record lies outside of the batch.
pub fn rewrite_batch(
    batch: &RecordBatch,
    retained: &[Record],
    delete_horizon_ms: Option<i64>,
) -> Result<Bytes, BatchError> {
    let mut header = *batch.header();
    let base_offset = header.base_offset;
    let inconsistent = |what| BatchError::Inconsistent { base_offset, what };
    let first = retained.first().ok_or_else(|| inconsistent("nothing of it is left"))?;
    match delete_horizon_ms.or(header.delete_horizon_ms()) {
        Some(horizon) => header.set_delete_horizon(horizon),
        None => header.base_timestamp = first.timestamp,
    }
    if !header.is_log_append_time() {
        header.max_timestamp = retained.iter().map(|record| record.timestamp).max().unwrap_or(NO_TIMESTAMP);
    }
    header.record_count = retained.len() as i32;

    let mut records = BytesMut::new();
    for record in retained {
        let offset_delta = record.offset.checked_sub(base_offset).and_then(|delta| i32::try_from(delta).ok());
        let offset_delta = offset_delta.filter(|delta| (0..=header.last_offset_delta).contains(delta));
        let offset_delta = offset_delta.ok_or_else(|| inconsistent("a record lies outside of it"))?;
        let deltas = (record.timestamp.wrapping_sub(header.base_timestamp), offset_delta);
        let headers = record.headers.iter().map(|header| (&header.key[..], header.value.as_deref()));
        put_record(&mut records, deltas, record.key.as_deref(), record.value.as_deref(), headers);
    }
    Ok(match header.compression()? {
        Compression::None => seal_batch(header, &records),
        codec => seal_batch(header, &compress(codec, None, &records)),
    })
}

/// The batch without any record: it still says where its producer's sequence and the log's offsets are.
pub fn empty_batch(header: &BatchHeader) -> Bytes {
    let attributes = header.attributes_without_records();
    seal_batch(BatchHeader { attributes, base_timestamp: NO_TIMESTAMP, record_count: 0, ..*header }, &[])
}

#[cfg(test)]
mod tests {
    use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId};

    use super::*;
    use crate::BatchBuilder;
    use crate::patch_log_append_time;

    fn built(compression: Compression) -> Bytes {
        let builder = BatchBuilder::new(compression).producer(ProducerId(7), ProducerEpoch(1), 40);
        let mut builder = builder.transactional(true);
        builder.append(1_000, Some(b"a"), Some(b"1"), &[("h", Some(b"x")), ("n", None)]);
        builder.append(3_000, Some(b"b"), None, &[]);
        builder.append(2_000, Some(b"c"), Some(b"3"), &[]);
        builder.build(100, LeaderEpoch(5))
    }

    fn parsed(bytes: Bytes) -> RecordBatch {
        let batch = RecordBatch::parse(bytes).expect("whole");
        batch.check_crc().expect("a CRC of its own");
        batch
    }

    fn all(batch: &RecordBatch) -> Vec<Record> {
        batch.records().map(|record| record.expect("readable")).collect()
    }

    #[test]
    fn what_is_retained_stays_as_it_was_in_every_codec() {
        for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            let batch = parsed(built(codec));
            let records = all(&batch);
            let kept = [records[0].clone(), records[2].clone()];
            let left = parsed(rewrite_batch(&batch, &kept, None).expect("rewritten"));
            assert_eq!(all(&left), kept);
            let header = left.header();
            assert_eq!(left.compression(), Ok(codec));
            assert_eq!((header.base_offset, header.last_offset(), header.record_count), (100, 102, 2));
            assert_eq!((header.max_timestamp, header.base_sequence, header.last_sequence()), (2_000, 40, 42));
            assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(7), ProducerEpoch(1)));
            assert_eq!(header.partition_leader_epoch, LeaderEpoch(5));
            assert!(header.is_transactional() && !header.has_delete_horizon());
        }
    }

    #[test]
    fn a_delete_horizon_changes_no_timestamp_and_is_set_once() {
        let batch = parsed(built(Compression::None));
        let marked = parsed(rewrite_batch(&batch, &all(&batch), Some(900_000)).expect("rewritten"));
        assert_eq!(all(&marked), all(&batch));
        assert_eq!(marked.header().delete_horizon_ms(), Some(900_000));
        assert_eq!(marked.header().max_timestamp, 3_000);
        let again = parsed(rewrite_batch(&marked, &all(&marked)[..1], None).expect("rewritten"));
        assert_eq!(again.header().delete_horizon_ms(), Some(900_000));
        assert_eq!(all(&again), &all(&batch)[..1]);
    }

    #[test]
    fn an_append_time_stays_with_the_batch() {
        let mut bytes = built(Compression::None).to_vec();
        patch_log_append_time(&mut bytes, 77_000);
        let batch = parsed(bytes.into());
        let left = parsed(rewrite_batch(&batch, &all(&batch)[1..2], None).expect("rewritten"));
        assert_eq!(left.header().max_timestamp, 77_000);
        assert_eq!(all(&left), &all(&batch)[1..2]);
    }

    #[test]
    fn an_emptied_batch_still_says_whose_it_was() {
        let batch = parsed(built(Compression::Zstd));
        let empty = parsed(empty_batch(batch.header()));
        let header = empty.header();
        assert_eq!(empty.size_in_bytes(), crate::BATCH_HEADER_BYTES);
        assert_eq!((header.base_offset, header.last_offset(), header.record_count), (100, 102, 0));
        assert_eq!((header.last_sequence(), header.max_timestamp), (42, 3_000));
        assert_eq!(empty.compression(), Ok(Compression::None));
        assert!(all(&empty).is_empty());
    }

    #[test]
    fn an_emptied_control_batch_says_nothing() {
        let marker = crate::end_transaction_marker(ProducerId(1), ProducerEpoch(0), false, 3, 500);
        let empty = parsed(empty_batch(parsed(marker).header()));
        assert!(empty.is_control());
        assert_eq!(empty.control_record(), Ok(None));
    }

    #[test]
    fn what_never_was_in_the_batch_is_refused() {
        let batch = parsed(built(Compression::None));
        let outside = Record { offset: 103, ..all(&batch)[0].clone() };
        assert!(rewrite_batch(&batch, &[outside], None).is_err());
        assert!(rewrite_batch(&batch, &[], None).is_err());
    }
}
