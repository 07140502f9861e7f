//! The small files of a partition's directory besides the epochs: `partition.metadata`, producer
//! snapshots, and one of our own that caps the recovery point.
//!
//! Why a cap: the recovery point stands in a file of the log directory, written now and then. A
//! truncation below it would make that file claim more than the log has, and a torn tail above the
//! truncation would look like damage to flushed data. So the truncation first leaves a note of its own,
//! `recovery-point-cap`, which holds until the directory's file has been written again. A second line of it says up to where
//! that goes for the log start, which stands in another such file.

use std::fmt;
use std::path::{Path, PathBuf};

use raftsman_types::{Offset, TopicId};

use super::Log;
use crate::atomic_file::{read_small, remove_if_there, write_renamed};
use crate::checkpoint::{format_checkpoint, parse_checkpoint};
use crate::error::{IoContext, LogError, StorageError};
use crate::fs::{DirectoryEntry, FileSystem};
use crate::place::Place;
use crate::producer::{ProducerState, Snapshot, TransactionSeal, decode_snapshot, encode_snapshot};

/// The note that caps the recovery point.
pub(super) const CAP_NAME: &str = "recovery-point-cap";
const SNAPSHOT_SUFFIX: &str = ".snapshot";

/// The topic id in a partition's directory, if it is written there.
pub(crate) fn read_topic_id(fs: &dyn FileSystem, directory: &Path) -> Result<Option<TopicId>, LogError> {
    let path = directory.join("partition.metadata");
    let Some(bytes) = read_small(fs, &path)? else { return Ok(None) };
    if bytes.iter().all(|byte| *byte == 0) {
        // A power cut before the log's first flush.
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let malformed = |reason: &str| LogError::MalformedFile { path: path.clone(), reason: reason.to_owned() };
    if field("version:") != Some("0") {
        return Err(malformed("its version is not 0"));
    }
    let id = field("topic_id:").ok_or_else(|| malformed("it has no topic_id"))?;
    id.parse().map(|id| Some(TopicId(id))).map_err(|_| malformed("its topic_id is not an id"))
}

pub(super) fn topic_id_path(place: &Place) -> PathBuf {
    place.directory.join("partition.metadata")
}

/// Writes the topic id; the next flush has to sync it.
pub(super) fn write_topic_id(place: &Place, topic_id: TopicId) -> Result<(), StorageError> {
    let text = format!("version: 0\ntopic_id: {topic_id}\n");
    write_renamed(&*place.fs, &topic_id_path(place), text.as_bytes(), false)
}

pub(super) fn cap_path(place: &Place) -> PathBuf {
    place.directory.join(CAP_NAME)
}

/// How far the directory's checkpoint files are to be believed of a log that was cut or made since they were written: a note of the
/// log's own, until they are written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Caps {
    /// The recovery point is no further.
    pub recovery_point: Offset,
    /// A log start is believed up to here: the records below are still those it was of.
    pub log_start: Offset,
}

/// The note, if there is one; all 0 if it is not readable, which only costs checks.
pub(super) fn read_caps(place: &Place) -> Result<Option<Caps>, StorageError> {
    let path = cap_path(place);
    let Some(bytes) = read_small(&*place.fs, &path)? else { return Ok(None) };
    let offsets = parse_checkpoint(&path, &bytes, |words| match words {
        [offset] => offset.parse::<Offset>().ok(),
        _ => None,
    });
    match offsets.as_deref() {
        Ok([recovery_point, log_start]) => Ok(Some(Caps { recovery_point: *recovery_point, log_start: *log_start })),
        // Notes did not speak of the log start once.
        Ok([recovery_point]) => Ok(Some(Caps { recovery_point: *recovery_point, log_start: 0 })),
        _ => Ok(Some(Caps::default())),
    }
}

/// Leaves the note of a new log; the next flush has to sync it.
pub(super) fn write_first_caps(place: &Place) -> Result<(), StorageError> {
    write_renamed(&*place.fs, &cap_path(place), Caps::default().to_string().as_bytes(), false)
}

/// Leaves the note; it is durable when this returns.
pub(super) fn write_caps(place: &Place, caps: Caps) -> Result<(), StorageError> {
    write_caps_unsynced(place, caps)?;
    place.sync_directory()
}

/// Leaves the note, whose name is to be synced.
pub(super) fn write_caps_unsynced(place: &Place, caps: Caps) -> Result<(), StorageError> {
    write_renamed(&*place.fs, &cap_path(place), caps.to_string().as_bytes(), true)
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_checkpoint([self.recovery_point, self.log_start].into_iter()))
    }
}

pub(super) fn snapshot_path(place: &Place, offset: Offset) -> PathBuf {
    place.directory.join(format!("{offset:020}{SNAPSHOT_SUFFIX}"))
}

/// Writes a snapshot of `producers` as of `offset`, where a segment with an index of aborted transactions as sealed ends. The
/// next flush has to sync it; one that is torn before is recognised by its CRC.
pub(super) fn write_snapshot(
    place: &Place,
    offset: Offset,
    producers: &ProducerState,
    seal: TransactionSeal,
) -> Result<(), StorageError> {
    let path = snapshot_path(place, offset);
    write_renamed(&*place.fs, &path, &encode_snapshot(producers, offset, seal), false)
}

/// The snapshot as of `offset`; `None` if there is none that is readable.
pub(super) fn read_snapshot(place: &Place, offset: Offset) -> Result<Option<Snapshot>, StorageError> {
    let bytes = read_small(&*place.fs, &snapshot_path(place, offset))?;
    Ok(bytes.and_then(|bytes| decode_snapshot(&bytes, offset).ok()))
}

/// Offsets of the snapshots there are, rising.
pub(super) fn list_snapshots(place: &Place) -> Result<Vec<Offset>, StorageError> {
    Ok(snapshots_among(&place.fs.list(&place.directory).context("list", &place.directory)?))
}

/// The same, of a listing of the directory.
pub(super) fn snapshots_among(entries: &[DirectoryEntry]) -> Vec<Offset> {
    let offsets = entries.iter().filter_map(|entry| entry.name.strip_suffix(SNAPSHOT_SUFFIX)?.parse().ok());
    let mut offsets: Vec<Offset> = offsets.collect();
    offsets.sort_unstable();
    offsets
}

pub(super) fn remove_snapshot(place: &Place, offset: Offset) -> Result<(), StorageError> {
    remove_if_there(&*place.fs, &snapshot_path(place, offset))
}

/// The newest readable one of these snapshots at or below `limit`; unreadable ones are removed.
pub(super) fn load_snapshot(
    place: &Place,
    snapshots: &[Offset],
    limit: Offset,
) -> Result<Option<(Offset, ProducerState)>, StorageError> {
    for offset in snapshots.iter().rev().copied().filter(|offset| *offset <= limit) {
        let path = snapshot_path(place, offset);
        let Some(bytes) = read_small(&*place.fs, &path)? else { continue };
        match decode_snapshot(&bytes, offset) {
            Ok(snapshot) => return Ok(Some((offset, snapshot.producers))),
            Err(reason) => {
                tracing::warn!(snapshot = %path.display(), reason, "removing an unreadable producer snapshot");
                remove_snapshot(place, offset)?;
            }
        }
    }
    Ok(None)
}

impl Log {
    /// To be called after [`Log::recovery_point`] was read as `recovery_point` and that value is on disk
    /// in `recovery-point-offset-checkpoint`: lifts the cap an earlier truncation put on it. A value from
    /// before the truncation is recognised and changes nothing.
    ///
    /// # Errors
    /// Storage. Unless there was no room, the log is then offline; else the cap stays until the next time.
    pub fn recovery_point_checkpointed(&mut self, recovery_point: Offset) -> Result<(), LogError> {
        self.check_online()?;
        if recovery_point > self.flushed_offset {
            return Ok(());
        }
        if let Some(caps) = self.caps {
            let removed = remove_if_there(&*self.place.fs, &cap_path(&self.place));
            self.latch_unless_passing(removed)?;
            // Durable with the next flush.
            self.names_changed += 1;
            self.lifted_caps = Some((caps, self.names_changed));
            self.caps = None;
        }
        self.checkpointed_recovery_point = self.checkpointed_recovery_point.max(recovery_point);
        Ok(())
    }
}
