use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What does not fit together, by file: told at the end, in Kafka's words.
#[derive(Debug, Default)]
pub struct Findings {
    /// Offsets of an index and those of the batches it points to.
    index_mismatches: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Timestamps of an index and the largest ones of the batches they are of.
    timestamp_mismatches: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Timestamps of an index that do not rise, and those before them.
    timestamps_out_of_order: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Offsets of a time index that no batch ends with, and what stands there instead.
    offsets_not_found: BTreeMap<PathBuf, Vec<(i64, i64)>>,
    /// Offsets of records that are not followed by the next one.
    gaps: BTreeMap<PathBuf, Vec<(i64, i64)>>,
}

impl Findings {
    pub fn index_mismatch(&mut self, path: &Path, index_offset: i64, log_offset: i64) {
        note(&mut self.index_mismatches, path, (index_offset, log_offset));
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
        note(&mut self.gaps, path, (offset, next));
    }

    /// All of it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |all: &BTreeMap<PathBuf, Vec<(i64, i64)>>, head: &str, line: fn(i64, i64) -> String| {
            for (path, pairs) in all {
                lines.push(if head.ends_with('.') { head.to_owned() } else { format!("{head}{}", path.display()) });
                lines.extend(pairs.iter().map(|(a, b)| line(*a, *b)));
            }
        };
        tell(&self.index_mismatches, "Mismatches in :", |a, b| format!("  Index offset: {a}, log offset: {b}"));
        tell(&self.timestamp_mismatches, "Found timestamp mismatch in :", |a, b| {
            format!("  Index timestamp: {a}, log timestamp: {b}")
        });
        tell(&self.timestamps_out_of_order, "Found out of order timestamp in :", |a, b| {
            format!("  Index timestamp: {a}, Previously indexed timestamp: {b}")
        });
        tell(&self.offsets_not_found, "The following indexed offsets are not found in the log.", |a, b| {
            format!("Indexed offset: {a}, found log offset: {b}")
        });
        tell(&self.gaps, "Non-consecutive offsets in ", |a, b| format!("  {a} is followed by {b}"));
        lines
    }
}

fn note(all: &mut BTreeMap<PathBuf, Vec<(i64, i64)>>, path: &Path, pair: (i64, i64)) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    all.entry(absolute).or_default().push(pair);
}
