//! From the bytes of a Fetch answer to records.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_protocol::messages::fetch::AbortedTransaction;
use raftsman_records::{BatchError, ControlRecordType, RecordBatch, split_batches};
use raftsman_types::TopicPartition;

use crate::{ClientError, ConsumerRecord};

/// The records at or after `from`, and where reading goes on. Batches are checked against their CRC; control batches,
/// records before `from` (a batch is sent whole) and those of `aborted` transactions are left out but move the position on.
pub(super) fn records_of(
    at: &TopicPartition,
    bytes: Bytes,
    from: i64,
    aborted: Vec<AbortedTransaction>,
) -> Result<(Vec<ConsumerRecord>, i64), ClientError> {
    let mut records = Vec::new();
    let mut next = from;
    let mut aborted = Aborted::new(aborted);
    for batch in split_batches(bytes, true) {
        let unreadable = |error| ClientError::Batch { partition: at.to_string(), offset: next, error };
        let batch = batch.map_err(unreadable)?;
        batch.check_crc().map_err(unreadable)?;
        let is_aborted = aborted.takes(&batch).map_err(unreadable)?;
        if !batch.is_control() && !is_aborted {
            read_batch(at, &batch, from, &mut records).map_err(unreadable)?;
        }
        next = next.max(batch.last_offset() + 1);
    }
    Ok((records, next))
}

/// The producers whose transaction is an aborted one, at a place in the log (as Kafka's consumer keeps them, KIP-98).
struct Aborted {
    /// Those that begin further on, the first one last.
    ahead: Vec<AbortedTransaction>,
    producers: HashSet<i64>,
}

impl Aborted {
    fn new(mut ahead: Vec<AbortedTransaction>) -> Aborted {
        ahead.sort_unstable_by_key(|transaction| Reverse(transaction.first_offset));
        Aborted { ahead, producers: HashSet::new() }
    }

    /// Moves on over a batch; whether it was aborted.
    fn takes(&mut self, batch: &RecordBatch) -> Result<bool, BatchError> {
        let begun = |transaction: &mut AbortedTransaction| transaction.first_offset <= batch.last_offset();
        while let Some(transaction) = self.ahead.pop_if(begun) {
            self.producers.insert(transaction.producer_id);
        }
        let producer = batch.header().producer_id.0;
        if self.producers.contains(&producer)
            && let Some(control) = batch.control_record()?
        {
            if control.control_type == ControlRecordType::Abort {
                self.producers.remove(&producer);
            }
            return Ok(false);
        }
        Ok(batch.is_transactional() && self.producers.contains(&producer))
    }
}

fn read_batch(
    at: &TopicPartition,
    batch: &RecordBatch,
    from: i64,
    records: &mut Vec<ConsumerRecord>,
) -> Result<(), BatchError> {
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
    use raftsman_records::{BatchBuilder, Compression, end_transaction_marker, patch_base_offset_and_epoch};
    use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId};

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
        let (records, next) = records_of(&at(), Bytes::from(bytes), 1, Vec::new()).unwrap();
        let values: Vec<_> = records.iter().map(|r| (r.offset, r.value.clone().unwrap())).collect();
        assert_eq!(values, [(1, "b".into()), (2, "c".into()), (3, "d".into())]);
        assert_eq!((next, records[0].leader_epoch, records[0].partition), (4, 3, 2));
    }

    #[test]
    fn what_was_aborted_is_left_out_until_its_marker() {
        let of_producer = |base_offset: i64, id: i64, value: &str| {
            let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), 0);
            let mut builder = builder.transactional(true);
            builder.append(7, None, Some(value.as_bytes()), &[]);
            builder.build(base_offset, LeaderEpoch(3)).to_vec()
        };
        let marker = |base_offset: i64, id: i64, commit: bool| {
            let mut marker = end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 0, 7).to_vec();
            patch_base_offset_and_epoch(&mut marker, base_offset, LeaderEpoch(3));
            marker
        };
        let log = [
            of_producer(0, 1, "committed before"),
            marker(1, 1, true),
            of_producer(2, 1, "aborted"),
            of_producer(3, 2, "another's"),
            batch(4, &["nobody's"]),
            marker(5, 1, false),
            of_producer(6, 1, "committed after"),
            of_producer(7, 2, "another's again"),
            marker(8, 1, true),
            marker(9, 2, true),
        ];
        let aborted = || vec![AbortedTransaction { producer_id: 1, first_offset: 2 }];
        let read = |first: usize, aborted| {
            let bytes = Bytes::from(log[first..].concat());
            let (records, next) = records_of(&at(), bytes, first as i64, aborted).unwrap();
            assert_eq!(next, 10);
            records.into_iter().map(|record| record.offset).collect::<Vec<_>>()
        };
        assert_eq!(read(0, aborted()), [0, 3, 4, 6, 7]);
        assert_eq!(read(3, aborted()), [3, 4, 6, 7], "it began before what was read");
        assert_eq!(read(0, Vec::new()), [0, 2, 3, 4, 6, 7], "read_uncommitted is told of none");
    }

    #[test]
    fn a_batch_cut_off_is_left_for_the_next_fetch_and_a_broken_one_is_an_error() {
        let whole = batch(0, &["a"]);
        let cut = [whole.clone(), batch(1, &["b"])].concat();
        let (records, next) = records_of(&at(), Bytes::from(cut[..cut.len() - 1].to_vec()), 0, Vec::new()).unwrap();
        assert_eq!((records.len(), next), (1, 1));
        let mut broken = whole;
        *broken.last_mut().unwrap() ^= 1;
        assert!(records_of(&at(), Bytes::from(broken), 0, Vec::new()).is_err());
    }
}
