use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_records::{Record, split_batches};
use raftsman_types::{Offset, TopicIdPartition};

use super::compaction::KeyedRecord;
use super::{BatchMark, Checked, Violation};

/// Everything that was ever committed: what some leader's high watermark passed. It only grows.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Truth {
    partitions: BTreeMap<TopicIdPartition, PartitionTruth>,
}

/// What is committed in one partition.
#[derive(Debug, Default)]
pub(in crate::simulation) struct PartitionTruth {
    pub(super) batches: Vec<BatchMark>,
    /// What each record is known by, by offset: see [`known_by`].
    pub values: BTreeMap<Offset, Bytes>,
    /// What each record of a compacted topic says.
    pub(super) keyed: BTreeMap<Offset, KeyedRecord>,
    /// Where the newest record of each key is, in a compacted topic.
    newest: BTreeMap<Bytes, Offset>,
}

/// What a record is known by: its value, but for a tombstone, which has it in a header.
pub(in crate::simulation) fn known_by(record: &Record) -> Bytes {
    let header = || record.headers.first().and_then(|header| header.value.clone());
    record.value.clone().or_else(header).unwrap_or_default()
}

impl PartitionTruth {
    /// The offset after the last committed record.
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(0, |batch| batch.last + 1)
    }

    /// The batches that hold offsets from `from` on.
    pub fn batches_from(&self, from: Offset) -> &[BatchMark] {
        let first = self.batches.partition_point(|batch| batch.last < from);
        &self.batches[first..]
    }

    /// Whether a record may be gone from a compacted log: there is a newer one of its key, or it is a tombstone.
    pub fn may_be_compacted_away(&self, offset: Offset) -> bool {
        self.keyed.get(&offset).is_some_and(|record| {
            let newest = record.key.as_ref().and_then(|key| self.newest.get(key));
            record.value.is_none() || newest.is_some_and(|newest| *newest > offset)
        })
    }
}

impl Truth {
    pub fn partition(&self, at: TopicIdPartition) -> &PartitionTruth {
        static NONE: PartitionTruth = PartitionTruth {
            batches: Vec::new(),
            values: BTreeMap::new(),
            keyed: BTreeMap::new(),
            newest: BTreeMap::new(),
        };
        self.partitions.get(&at).unwrap_or(&NONE)
    }

    pub fn partitions(&self) -> impl Iterator<Item = (&TopicIdPartition, &PartitionTruth)> {
        self.partitions.iter()
    }

    /// A leader's watermark passed these batches, which follow on what was committed before, of a compacted topic or another.
    pub fn extend(&mut self, at: TopicIdPartition, marks: &[BatchMark], bytes: &[Bytes], keyed: bool) -> Checked {
        let truth = self.partitions.entry(at).or_default();
        let end = truth.end();
        for mark in marks {
            if mark.base != truth.end() {
                let what = format!("{at}: a batch at {} is committed after {}", mark.base, truth.end());
                return Err(Violation::new("no gaps among committed records", what));
            }
            truth.batches.push(*mark);
        }
        for batch in bytes.iter().flat_map(|chunk| split_batches(chunk.clone(), false)) {
            let unreadable =
                |e: &dyn std::fmt::Display| Violation::new("committed records are readable", e.to_string());
            let batch = batch.map_err(|e| unreadable(&e))?;
            if batch.base_offset() < end || batch.last_offset() >= truth.end() || batch.is_control() {
                continue;
            }
            for record in batch.records() {
                let record = record.map_err(|e| unreadable(&e))?;
                truth.values.insert(record.offset, Bytes::copy_from_slice(&known_by(&record)));
                if keyed {
                    let says = KeyedRecord::of(&record);
                    if let Some(key) = &says.key {
                        truth.newest.insert(key.clone(), record.offset);
                    }
                    truth.keyed.insert(record.offset, says);
                }
            }
        }
        Ok(())
    }
}
