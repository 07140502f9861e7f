//! What a crash in the middle of a swap left: finished when the log is opened, or undone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use raftsman_types::Offset;

use super::open::base_offset_of;
use super::partition_files::read_snapshot;
use super::recovery::refuse_legacy_format;
use crate::atomic_file::remove_if_there;
use crate::compaction::CleanedFiles;
use crate::error::{IoContext, LogError, StorageError};
use crate::fs::{DirectoryEntry, OpenMode};
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Known, walk};

const BLOCK_BYTES: usize = 256 * 1024;

fn is_unfinished(entry: &DirectoryEntry) -> bool {
    !entry.is_directory && (entry.name.ends_with(".swap") || entry.name.ends_with(".cleaned"))
}

/// Finishes the swaps that were announced and drops what was not complete, by a listing of the directory. Nothing is to be
/// read before. Returns what is in the directory then.
///
/// # Errors
/// `DamagedBelowRecoveryPoint` for a segment that is not whole and whose predecessors have gone, `LegacyFormat`, or storage.
pub(super) fn finish_swaps(
    place: &Place,
    entries: Vec<DirectoryEntry>,
    recovery_point: Offset,
) -> Result<Vec<DirectoryEntry>, LogError> {
    if !entries.iter().any(is_unfinished) {
        return Ok(entries);
    }
    let bases =
        |suffix: &str| -> Vec<Offset> { entries.iter().filter_map(|e| base_offset_of(&e.name, suffix)).collect() };
    let mut logs: BTreeMap<Offset, u64> = BTreeMap::new();
    for entry in &entries {
        logs.extend(base_offset_of(&entry.name, ".log").map(|base| (base, entry.length)));
    }
    // Kafka renames several at once, the newest first: they count only when none is left to be renamed.
    let first_unfinished = bases(".log.cleaned").into_iter().min().unwrap_or(Offset::MAX);
    let announced = bases(".log.swap");
    for base_offset in announced.iter().copied().filter(|base| *base < first_unfinished) {
        let next_base = |end: Offset| logs.keys().chain(&announced).copied().filter(|base| *base >= end).min();
        let ended = match end_of_swap(place, base_offset)? {
            Ok(end) => ends_where_another_begins(place, end, next_base(end))?,
            broken => broken,
        };
        let end = match ended {
            Ok(end) => end,
            // It never took the place of the others.
            Err(problem) if logs.contains_key(&base_offset) || base_offset >= recovery_point => {
                tracing::warn!(log = %place.directory.display(), base_offset, %problem.reason, "dropping a compacted segment that is not whole");
                continue;
            }
            Err(Broken { position, offset, reason }) => {
                let path = swap_path(place, base_offset);
                return Err(LogError::DamagedBelowRecoveryPoint { path, position, offset, recovery_point, reason });
            }
        };
        for replaced in logs.range(base_offset..end).map(|(base, _)| *base) {
            CleanedFiles { place, base_offset: replaced }.remove("")?;
        }
        CleanedFiles { place, base_offset }.rename(".swap", "")?;
        tracing::info!(log = %place.directory.display(), base_offset, end, "finished putting a compacted segment in its place");
    }
    remove_unfinished_swaps(place)?;
    place.sync_directory()?;
    Ok(place.fs.list(&place.directory).context("list", &place.directory)?)
}

fn swap_path(place: &Place, base_offset: Offset) -> PathBuf {
    place.directory.join(format!("{base_offset:020}.log.swap"))
}

/// Where a segment is not what was written.
struct Broken {
    position: u64,
    offset: Offset,
    reason: String,
}

/// Up to where a complete segment goes.
fn end_of_swap(place: &Place, base_offset: Offset) -> Result<Result<Offset, Broken>, LogError> {
    let path = swap_path(place, base_offset);
    let file = place.fs.open(&path, OpenMode::Read).context("open", &path)?;
    let length = file.length().context("read", &path)?;
    let mut scanner = BatchScanner::new(&*file, &path, 0, length, BLOCK_BYTES);
    let mut end = base_offset;
    let walked = walk(&mut scanner, Known::from(base_offset), Depth::Crc, |_, header| {
        end = header.next_offset();
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(problem) = &walked.problem {
        refuse_legacy_format(place, &path, walked.position, problem, end)?;
    }
    Ok(match walked.problem {
        // Even a segment of which nothing stays has the header of its last batch.
        None if end == base_offset => Err(Broken { position: 0, offset: end, reason: "it is empty".to_owned() }),
        None => Ok(end),
        Some(problem) => Err(Broken { position: walked.position, offset: end, reason: problem.to_string() }),
    })
}

/// A compacted segment takes the place of whole ones, of which none is the newest. Ours goes up to the next one; Kafka's,
/// whose snapshots have no seal, may leave a gap.
fn ends_where_another_begins(
    place: &Place,
    end: Offset,
    next_base: Option<Offset>,
) -> Result<Result<Offset, Broken>, StorageError> {
    let may_end_here = match next_base {
        Some(next) if next > end => read_snapshot(place, next)?.is_none_or(|snapshot| snapshot.seal.is_none()),
        next => next.is_some(),
    };
    let broken = || Broken { position: 0, offset: end, reason: "no segment begins where it ends".to_owned() };
    Ok(if may_end_here { Ok(end) } else { Err(broken()) })
}

/// Removes every file of a swap that is not in its place; whether there was any.
pub(super) fn remove_unfinished_swaps(place: &Place) -> Result<bool, StorageError> {
    let mut any = false;
    for entry in place.fs.list(&place.directory).context("list", &place.directory)? {
        if is_unfinished(&entry) {
            remove_if_there(&*place.fs, &place.directory.join(&entry.name))?;
            any = true;
        }
    }
    Ok(any)
}
