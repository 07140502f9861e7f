use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_records::split_batches;
use raftsman_types::{Offset, TopicIdPartition};

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
    /// The value of each record, by offset.
    pub values: BTreeMap<Offset, Bytes>,
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
}

impl Truth {
    pub fn partition(&self, at: TopicIdPartition) -> &PartitionTruth {
        static NONE: PartitionTruth = PartitionTruth { batches: Vec::new(), values: BTreeMap::new() };
        self.partitions.get(&at).unwrap_or(&NONE)
    }

    pub fn partitions(&self) -> impl Iterator<Item = (&TopicIdPartition, &PartitionTruth)> {
        self.partitions.iter()
    }

    /// A leader's watermark passed these batches, which follow on what was committed before.
    pub fn extend(&mut self, at: TopicIdPartition, marks: &[BatchMark], bytes: &[Bytes]) -> Checked {
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
                let value = record.value.map(|value| Bytes::copy_from_slice(&value)).unwrap_or_default();
                truth.values.insert(record.offset, value);
            }
        }
        Ok(())
    }
}
