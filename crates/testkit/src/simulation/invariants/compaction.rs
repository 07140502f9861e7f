use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_records::{Record, split_batches};
use raftsman_types::{Offset, TopicIdPartition};

use super::{BatchMark, Checked, PartitionTruth, Violation};

const RULE: &str = "CompactionKeepsNewest";

/// What a record of a compacted topic says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulation) struct KeyedRecord {
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
}

impl KeyedRecord {
    pub fn of(record: &Record) -> KeyedRecord {
        let copied = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| Bytes::copy_from_slice(bytes));
        KeyedRecord { key: copied(&record.key), value: copied(&record.value) }
    }
}

/// The records of some bytes of a log, by offset.
pub(super) fn records_of(at: TopicIdPartition, chunks: &[Bytes]) -> Result<BTreeMap<Offset, KeyedRecord>, Violation> {
    let unreadable = |why: String| Violation::new("logs are readable", format!("{at}: {why}"));
    let mut records = BTreeMap::new();
    for batch in chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false)) {
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        for record in batch.records() {
            let record = record.map_err(|error| unreadable(error.to_string()))?;
            records.insert(record.offset, KeyedRecord::of(&record));
        }
    }
    Ok(records)
}

/// A replica of a compacted topic holds nothing but committed records, as they were committed, between two offsets; what it
/// lacks of them has a newer one of its key, or is a tombstone.
pub(super) fn check(
    node: i32,
    at: TopicIdPartition,
    (batches, held): (&[BatchMark], &BTreeMap<Offset, KeyedRecord>),
    truth: &PartitionTruth,
    (from, upto): (Offset, Offset),
) -> Checked {
    let broken = |what: String| Err(Violation::new(RULE, format!("{at}: broker {node} {what}")));
    let first = batches.partition_point(|batch| batch.last < from);
    for own in batches[first..].iter().take_while(|batch| batch.base < upto) {
        let committed = truth.batches_from(own.base).first();
        let shape = |batch: &BatchMark| (batch.base, batch.last, batch.epoch);
        if committed.map(shape) != Some(shape(own)) {
            return broken(format!("has {own:?} where {committed:?} is committed"));
        }
    }
    for (offset, committed) in truth.keyed.range(from..upto.max(from)) {
        match held.get(offset) {
            Some(own) if own == committed => {}
            Some(own) => return broken(format!("has {own:?} at {offset} where {committed:?} is committed")),
            None if truth.may_be_compacted_away(*offset) => {}
            None => return broken(format!("lacks {committed:?} at {offset}, the newest of its key")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use raftsman_records::{BatchBuilder, Compression};
    use raftsman_types::{LeaderEpoch, TopicId, Uuid};

    use super::super::Truth;
    use super::*;

    const AT: TopicIdPartition = TopicIdPartition { topic_id: TopicId(Uuid([1; 16])), partition: 0 };

    /// Batches of one record each: key and value.
    fn log(records: &[(&str, Option<&str>)]) -> (Vec<BatchMark>, Vec<Bytes>) {
        let batch = |(offset, (key, value)): (usize, &(&str, Option<&str>))| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.append(1, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
            builder.build(offset as i64, LeaderEpoch(0))
        };
        let mark = |offset: i64| BatchMark { base: offset, last: offset, epoch: 0, crc: 0 };
        ((0..records.len() as i64).map(mark).collect(), records.iter().enumerate().map(batch).collect())
    }

    /// What a replica that holds `kept` of these offsets is told.
    fn judged(records: &[(&str, Option<&str>)], kept: &[i64]) -> Checked {
        let (marks, chunks) = log(records);
        let mut truth = Truth::default();
        truth.extend(AT, &marks, &chunks, true).expect("a log without gaps");
        let mut held = records_of(AT, &chunks).expect("readable");
        held.retain(|offset, _| kept.contains(offset));
        let marks: Vec<BatchMark> = marks.into_iter().filter(|mark| kept.contains(&mark.base)).collect();
        check(1, AT, (&marks, &held), truth.partition(AT), (0, records.len() as i64))
    }

    #[test]
    fn older_records_of_a_key_and_tombstones_may_go() {
        let records = [("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("b", None)];
        assert_eq!(judged(&records, &[0, 1, 2, 3]), Ok(()));
        assert_eq!(judged(&records, &[2, 3]), Ok(()));
        assert_eq!(judged(&records, &[2]), Ok(()));
    }

    #[test]
    fn the_newest_of_a_key_may_not() {
        let records = [("a", Some("1")), ("b", Some("2")), ("a", Some("3"))];
        assert_eq!(judged(&records, &[0, 2]).expect_err("b is gone").rule, RULE);
        assert_eq!(judged(&records, &[0, 1]).expect_err("a's newest is gone").rule, RULE);
    }

    #[test]
    fn what_is_held_is_what_was_committed() {
        let (marks, chunks) = log(&[("a", Some("1"))]);
        let mut truth = Truth::default();
        truth.extend(AT, &marks, &chunks, true).expect("a log without gaps");
        let other = records_of(AT, &log(&[("a", Some("2"))]).1).expect("readable");
        assert!(check(1, AT, (&marks, &other), truth.partition(AT), (0, 1)).is_err(), "another value");
        let held = records_of(AT, &chunks).expect("readable");
        let wider = [BatchMark { last: 3, ..marks[0] }];
        assert!(check(1, AT, (&wider, &held), truth.partition(AT), (0, 1)).is_err(), "another batch");
        assert_eq!(check(1, AT, (&marks, &held), truth.partition(AT), (0, 1)), Ok(()));
    }
}
