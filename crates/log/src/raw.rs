//! The entries of a log's small files as they stand in them, for tools that look at files, damaged ones too: nothing is
//! repaired, left out or put in order here, and nothing is judged but what keeps an entry from being read at all.

use std::path::Path;

use raftsman_types::{LeaderEpoch, Offset};

use crate::checkpoint::parse_checkpoint;
use crate::error::LogError;
use crate::index::{IndexEntry, OffsetEntry, TimeEntry};

pub use crate::index::{RawAbortedTransaction, raw_aborted_transactions};
pub use crate::producer::{SnapshotEntry, snapshot_entries};

/// Bytes of one entry of an offset index.
pub const OFFSET_ENTRY_BYTES: usize = OffsetEntry::BYTES;
/// Bytes of one entry of a time index.
pub const TIME_ENTRY_BYTES: usize = TimeEntry::BYTES;

/// The whole entries of a segment's `.index`: the last offset of a batch, and where in the `.log` it starts.
pub fn offset_index_entries(bytes: &[u8], base_offset: Offset) -> Vec<(Offset, u32)> {
    let entries = bytes.chunks_exact(OFFSET_ENTRY_BYTES).map(OffsetEntry::decode);
    entries.map(|entry| (base_offset.saturating_add(i64::from(entry.relative_offset)), entry.position)).collect()
}

/// The whole entries of a segment's `.timeindex`: a timestamp in ms since 1970, and the last offset of the batch it is in.
pub fn time_index_entries(bytes: &[u8], base_offset: Offset) -> Vec<(i64, Offset)> {
    let entries = bytes.chunks_exact(TIME_ENTRY_BYTES).map(TimeEntry::decode);
    entries.map(|entry| (entry.timestamp, base_offset.saturating_add(i64::from(entry.relative_offset)))).collect()
}

/// The lines of a `leader-epoch-checkpoint`: an epoch and the offset it starts at. `path` is for the error.
///
/// # Errors
/// `MalformedFile`.
pub fn leader_epochs(path: &Path, bytes: &[u8]) -> Result<Vec<(LeaderEpoch, Offset)>, LogError> {
    parse_checkpoint(path, bytes, |words| match words {
        [epoch, start] => Some((LeaderEpoch(epoch.parse().ok()?), start.parse().ok()?)),
        _ => None,
    })
}
