//! From the bytes of a Fetch answer to records.

use std::sync::Arc;

use bytes::Bytes;
use raftsman_records::{RecordBatch, split_batches};
use raftsman_types::TopicPartition;

use crate::{ClientError, ConsumerRecord};

/// The records at or after `from`, and where reading goes on. Batches are checked against their CRC; control batches
/// and records before `from` (a batch is sent whole) are left out but move the position on.
pub(super) fn records_of(
    at: &TopicPartition,
    bytes: Bytes,
    from: i64,
) -> Result<(Vec<ConsumerRecord>, i64), ClientError> {
    let mut records = Vec::new();
    let mut next = from;
    for batch in split_batches(bytes, true) {
        let unreadable = |error| ClientError::Batch { partition: at.to_string(), offset: next, error };
        let batch = batch.map_err(unreadable)?;
        batch.check_crc().map_err(unreadable)?;
        if !batch.is_control() {
            read_batch(at, &batch, from, &mut records).map_err(unreadable)?;
        }
        next = next.max(batch.last_offset() + 1);
    }
    Ok((records, next))
}

fn read_batch(
    at: &TopicPartition,
    batch: &RecordBatch,
    from: i64,
    records: &mut Vec<ConsumerRecord>,
) -> Result<(), raftsman_records::BatchError> {
    let (leader_epoch, is_log_append_time) =
        (batch.header().partition_leader_epoch.0, batch.header().is_log_append_time());
    for record in batch.records() {
        let record = record?;
        if record.offset < from {
            continue;
        }
        let headers = record.headers.into_iter();
        records.push(ConsumerRecord {
            topic: Arc::clone(&at.topic),
            partition: at.partition,
            offset: record.offset,
            leader_epoch,
            timestamp_ms: record.timestamp,
            is_log_append_time,
            key: record.key,
            value: record.value,
            headers: headers.map(|h| (String::from_utf8_lossy(&h.key).into_owned(), h.value)).collect(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use raftsman_records::{BatchBuilder, Compression};
    use raftsman_types::LeaderEpoch;

    use super::*;

    fn batch(base_offset: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        for value in values {
            builder.append(7, None, Some(value.as_bytes()), &[("h", None)]);
        }
        builder.build(base_offset, LeaderEpoch(3)).to_vec()
    }

    fn at() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 2 }
    }

    #[test]
    fn a_position_inside_a_batch_skips_what_was_read() {
        let bytes = [batch(0, &["a", "b", "c"]), batch(3, &["d"])].concat();
        let (records, next) = records_of(&at(), Bytes::from(bytes), 1).unwrap();
        let values: Vec<_> = records.iter().map(|r| (r.offset, r.value.clone().unwrap())).collect();
        assert_eq!(values, [(1, "b".into()), (2, "c".into()), (3, "d".into())]);
        assert_eq!((next, records[0].leader_epoch, records[0].partition), (4, 3, 2));
    }

    #[test]
    fn a_batch_cut_off_is_left_for_the_next_fetch_and_a_broken_one_is_an_error() {
        let whole = batch(0, &["a"]);
        let cut = [whole.clone(), batch(1, &["b"])].concat();
        let (records, next) = records_of(&at(), Bytes::from(cut[..cut.len() - 1].to_vec()), 0).unwrap();
        assert_eq!((records.len(), next), (1, 1));
        let mut broken = whole;
        *broken.last_mut().unwrap() ^= 1;
        assert!(records_of(&at(), Bytes::from(broken), 0).is_err());
    }
}
