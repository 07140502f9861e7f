use std::collections::HashMap;

use bytes::Bytes;
use raftsman_records::{BatchError, Record, RecordBatch, empty_batch, rewrite_batch};
use raftsman_types::{Offset, ProducerId, WallTime};

use super::key_offsets::KeyOffsets;
use crate::producer::LastRecord;

/// The rules by which a record stays, Kafka's.
#[derive(Debug)]
pub(crate) struct RetentionRules<'a> {
    /// The newest record of each key below `keys_end`.
    pub(crate) keys: &'a KeyOffsets,
    pub(crate) keys_end: Offset,
    /// Of each producer that is still known.
    pub(crate) last_records: &'a HashMap<ProducerId, LastRecord>,
    pub(crate) delete_retention_ms: i64,
    pub(crate) now: WallTime,
}

/// What is known of a batch from those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BatchContext {
    /// Data of an aborted transaction, or a marker whose transaction has no data left.
    pub(crate) is_spent: bool,
    /// The last batch of what becomes one segment: it stays at least as a header, so that the segment still says up to
    /// where it goes.
    pub(crate) ends_group: bool,
}

/// What stays of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Retained {
    All,
    /// This batch in its place.
    Part(Bytes),
    Nothing,
}

impl RetentionRules<'_> {
    /// Judges one batch.
    ///
    /// # Errors
    /// A batch that cannot be written anew.
    pub(crate) fn judge(&self, batch: &RecordBatch, context: BatchContext) -> Result<Retained, BatchError> {
        let header = batch.header();
        let is_marker = header.is_control();
        let past_horizon = header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now.0);
        let drop_all = context.is_spent && (!is_marker || past_horizon);
        if header.base_offset >= self.keys_end && !context.is_spent {
            return Ok(Retained::All);
        }
        let (mut retained, mut has_tombstone) = (Vec::new(), false);
        if !drop_all {
            for record in batch.records() {
                // A client's doing, for the CRC was right. Its keys counted for nothing, so all of it stays.
                let Ok(record) = record else { return Ok(Retained::All) };
                if is_marker || self.stays(&record, past_horizon) {
                    has_tombstone |= record.value.is_none();
                    retained.push(record);
                }
            }
        }
        if retained.is_empty() {
            return Ok(match self.keeps_header(batch) || context.ends_group {
                false => Retained::Nothing,
                true if header.record_count == 0 => Retained::All,
                true => Retained::Part(empty_batch(header)),
            });
        }
        let starts_horizon = (has_tombstone || (is_marker && context.is_spent)) && !header.has_delete_horizon();
        if retained.len() == header.record_count as usize && !starts_horizon {
            return Ok(Retained::All);
        }
        let horizon = starts_horizon.then(|| self.now.0.saturating_add(self.delete_retention_ms));
        rewrite_batch(batch, &retained, horizon).map(Retained::Part)
    }

    fn stays(&self, record: &Record, past_horizon: bool) -> bool {
        if record.offset >= self.keys_end {
            return true;
        }
        // No client may write one without a key to a compacted topic; it was not compacted when this one came.
        let Some(key) = &record.key else { return false };
        let is_newest = self.keys.newest(key).is_none_or(|newest| record.offset >= newest);
        is_newest && (record.value.is_some() || !past_horizon)
    }

    /// Whether the batch has the last sequence of a producer that is still known.
    fn keeps_header(&self, batch: &RecordBatch) -> bool {
        let header = batch.header();
        let Some(last) = self.last_records.get(&header.producer_id) else { return false };
        match last.data_offset {
            _ if !header.has_producer_id() => false,
            Some(offset) => header.last_offset() == offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use raftsman_records::{BatchBuilder, Compression, end_transaction_marker, patch_base_offset_and_epoch};
    use raftsman_types::{LeaderEpoch, ProducerEpoch};

    use super::*;

    const RETENTION_MS: i64 = 1_000;

    fn at(offset: Offset, bytes: &[u8]) -> RecordBatch {
        let mut bytes = bytes.to_vec();
        patch_base_offset_and_epoch(&mut bytes, offset, LeaderEpoch(0));
        RecordBatch::parse(bytes.into()).expect("whole")
    }

    fn batch(offset: Offset, records: &[(&str, Option<&str>)]) -> RecordBatch {
        let mut builder = BatchBuilder::new(Compression::Lz4).producer(ProducerId(1), ProducerEpoch(0), 0);
        for (key, value) in records {
            builder.append(5, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        }
        at(offset, &builder.build(0, LeaderEpoch(0)))
    }

    fn keys(newest: &[(&str, Offset)]) -> KeyOffsets {
        let mut keys = KeyOffsets::new(1 << 16, 0.9, 100, &[3; 16]);
        assert!(newest.iter().all(|(key, offset)| keys.put(key.as_bytes(), *offset)));
        keys
    }

    fn judge(
        keys: &KeyOffsets,
        now: i64,
        last: Option<LastRecord>,
        batch: &RecordBatch,
        context: BatchContext,
    ) -> Retained {
        let last_records = last.into_iter().map(|last| (ProducerId(1), last)).collect();
        let now = WallTime(now);
        let rules =
            RetentionRules { keys, keys_end: 100, last_records: &last_records, delete_retention_ms: RETENTION_MS, now };
        rules.judge(batch, context).expect("readable")
    }

    fn plain(keys: &KeyOffsets, now: i64, batch: &RecordBatch) -> Retained {
        judge(keys, now, None, batch, BatchContext::default())
    }

    fn part(retained: Retained) -> RecordBatch {
        let Retained::Part(bytes) = retained else { panic!("a part should stay, not {retained:?}") };
        RecordBatch::parse(bytes).expect("whole")
    }

    fn offsets(batch: &RecordBatch) -> Vec<Offset> {
        batch.records().map(|record| record.expect("readable").offset).collect()
    }

    #[test]
    fn only_the_newest_record_of_a_key_stays() {
        let records = batch(10, &[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))]);
        let newest = keys(&[("a", 12), ("b", 50)]);
        assert_eq!(offsets(&part(plain(&newest, 0, &records))), [12]);
        assert_eq!(plain(&keys(&[("a", 50), ("b", 50)]), 0, &records), Retained::Nothing);
        assert_eq!(offsets(&part(plain(&keys(&[("a", 12), ("b", 11)]), 0, &records))), [11, 12]);
        assert_eq!(plain(&keys(&[]), 0, &batch(10, &[("a", Some("1"))])), Retained::All);
    }

    #[test]
    fn what_lies_past_the_keys_stays() {
        let newest = keys(&[("a", 99)]);
        assert_eq!(
            offsets(&part(plain(&newest, 0, &batch(98, &[("a", Some("0")), ("a", None), ("a", Some("2"))])))),
            [99, 100]
        );
        assert_eq!(plain(&newest, 0, &batch(100, &[("a", None)])), Retained::All);
    }

    #[test]
    fn a_tombstone_stays_for_its_time_after_it_was_seen_first() {
        let tombstone = batch(10, &[("a", None)]);
        let newest = keys(&[("a", 10)]);
        let marked = part(plain(&newest, 500, &tombstone));
        assert_eq!(marked.header().delete_horizon_ms(), Some(500 + RETENTION_MS));
        assert_eq!(offsets(&marked), [10]);
        assert_eq!(plain(&newest, 500 + RETENTION_MS - 1, &marked), Retained::All, "its time does not begin anew");
        assert_eq!(plain(&newest, 500 + RETENTION_MS, &marked), Retained::Nothing);
        assert_eq!(plain(&keys(&[("a", 20)]), 500, &tombstone), Retained::Nothing, "a newer record follows");
    }

    #[test]
    fn a_producers_last_sequence_stays() {
        let records = batch(10, &[("a", Some("1")), ("b", Some("2"))]);
        let newer = keys(&[("a", 50), ("b", 50)]);
        let last = |data_offset| Some(LastRecord { data_offset, epoch: ProducerEpoch(0) });
        let left = part(judge(&newer, 0, last(Some(11)), &records, BatchContext::default()));
        assert_eq!((left.header().record_count, left.header().last_sequence()), (0, 1));
        assert_eq!(judge(&newer, 0, last(Some(11)), &left, BatchContext::default()), Retained::All);
        assert_eq!(judge(&newer, 0, last(Some(70)), &left, BatchContext::default()), Retained::Nothing);
        assert_eq!(judge(&newer, 0, last(None), &left, BatchContext::default()), Retained::Nothing);
    }

    #[test]
    fn the_end_of_a_segment_stays() {
        let newer = keys(&[("a", 50)]);
        let context = BatchContext { ends_group: true, is_spent: false };
        let left = part(judge(&newer, 0, None, &batch(10, &[("a", Some("1"))]), context));
        assert_eq!((left.header().record_count, left.last_offset()), (0, 10));
    }

    #[test]
    fn aborted_data_goes_at_once_and_its_marker_after_its_time() {
        let none = keys(&[]);
        let spent = BatchContext { is_spent: true, ends_group: false };
        assert_eq!(judge(&none, 0, None, &batch(10, &[("a", Some("1"))]), spent), Retained::Nothing);
        assert_eq!(judge(&none, 0, None, &batch(200, &[("a", Some("1"))]), spent), Retained::Nothing);
        let marker = at(11, &end_transaction_marker(ProducerId(1), ProducerEpoch(0), false, 0, 5));
        assert_eq!(plain(&none, 0, &marker), Retained::All, "data of it is left");
        let marked = part(judge(&none, 100, None, &marker, spent));
        assert_eq!(marked.header().delete_horizon_ms(), Some(100 + RETENTION_MS));
        assert!(marked.control_record().expect("readable").is_some());
        assert_eq!(judge(&none, 100 + RETENTION_MS - 1, None, &marked, spent), Retained::All);
        assert_eq!(judge(&none, 100 + RETENTION_MS, None, &marked, spent), Retained::Nothing);
        let known_by_it = Some(LastRecord { data_offset: None, epoch: ProducerEpoch(0) });
        let left = part(judge(&none, 100 + RETENTION_MS, known_by_it, &marked, spent));
        assert!(left.is_control() && left.header().record_count == 0);
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_is() {
        let mut bytes = batch(10, &[("a", Some("1"))]).bytes().to_vec();
        bytes.truncate(70);
        let length = (70 - 12i32).to_be_bytes();
        bytes[8..12].copy_from_slice(&length);
        assert_eq!(plain(&keys(&[("a", 50)]), 0, &at(10, &bytes)), Retained::All);
    }
}
