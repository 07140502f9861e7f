use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What does not fit together, by file: told at the end, in Kafka's words.
#[derive(Debug, Default)]
pub struct Findings {
    /// Offsets of an index and those of the batches it points to: the last one first.
    index_mismatches: BTreeMap<PathBuf, BTreeMap<Reverse<i64>, i64>>,
    /// Timestamps of an index and the largest ones of the batches they are of.
    timestamp_mismatches: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Timestamps of an index that do not rise, and those before them.
    timestamps_out_of_order: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Offsets of a time index that no batch ends with, and what stands there instead.
    offsets_not_found: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Offsets of records that are not followed by the next one.
    gaps: BTreeMap<PathBuf, BTreeMap<i64, i64>>,
}

impl Findings {
    pub fn index_mismatch(&mut self, path: &Path, index_offset: i64, log_offset: i64) {
        self.index_mismatches.entry(absolute(path)).or_default().insert(Reverse(index_offset), log_offset);
    }

    pub fn timestamp_mismatch(&mut self, path: &Path, index_timestamp: i64, log_timestamp: i64) {
        note(&mut self.timestamp_mismatches, path, (index_timestamp, log_timestamp));
    }

    pub fn timestamp_out_of_order(&mut self, path: &Path, timestamp: i64, previous: i64) {
        note(&mut self.timestamps_out_of_order, path, (timestamp, previous));
    }

    pub fn offset_not_found(&mut self, path: &Path, index_offset: i64, log_offset: i64) {
        note(&mut self.offsets_not_found, path, (index_offset, log_offset));
    }

    pub fn gap(&mut self, path: &Path, offset: i64, next: i64) {
        self.gaps.entry(absolute(path)).or_default().insert(offset, next);
    }

    /// All of it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, pairs) in &self.index_mismatches {
            lines.push(format!("Mismatches in :{}", path.display()));
            lines.extend(pairs.iter().map(|(Reverse(a), b)| format!("  Index offset: {a}, log offset: {b}")));
        }
        let mut tell = |all: &BTreeMap<PathBuf, Vec<(i64, i64)>>, head: &str, line: fn(i64, i64) -> String| {
            for (path, pairs) in all {
                lines.push(format!("{head} in :{}", path.display()));
                lines.extend(pairs.iter().map(|(a, b)| line(*a, *b)));
            }
        };
        tell(&self.timestamp_mismatches, "Found timestamp mismatch", |a, b| {
            format!("  Index timestamp: {a}, log timestamp: {b}")
        });
        tell(&self.timestamps_out_of_order, "Found out of order timestamp", |a, b| {
            format!("  Index timestamp: {a}, Previously indexed timestamp: {b}")
        });
        tell(&self.offsets_not_found, "The following indexed offsets are not found", |a, b| {
            format!("Indexed offset: {a}, found log offset: {b}")
        });
        for (path, pairs) in &self.gaps {
            lines.push(format!("Non-consecutive offsets in {}", path.display()));
            lines.extend(pairs.iter().map(|(a, b)| format!("  {a} is followed by {b}")));
        }
        lines
    }
}

fn note(all: &mut BTreeMap<PathBuf, Vec<(i64, i64)>>, path: &Path, pair: (i64, i64)) {
    all.entry(absolute(path)).or_default().push(pair);
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
