use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raftsman_types::LeaderEpoch;

use crate::atomic_file::{parent, read_small, write_renamed};
use crate::checkpoint::{format_checkpoint, parse_checkpoint};
use crate::epoch_cache::{EpochCache, EpochEntry};
use crate::error::{IoContext, LogError, StorageError};
use crate::fs::{FileSystem, OpenMode};

/// Kafka's `leader-epoch-checkpoint`. A flush writes it without the log's lock, so writers number their
/// versions: an older one never lands on top of a newer one.
#[derive(Debug)]
pub(crate) struct EpochFile {
    path: PathBuf,
    versions: Mutex<Versions>,
}

#[derive(Debug, Default)]
struct Versions {
    written: u64,
    durable: u64,
}

impl EpochFile {
    pub(crate) fn new(directory: &Path) -> EpochFile {
        EpochFile { path: directory.join("leader-epoch-checkpoint"), versions: Mutex::default() }
    }

    /// What the file holds; `None` if it is absent or not readable, and must be rebuilt from the batches.
    pub(crate) fn read(&self, fs: &dyn FileSystem) -> Result<Option<EpochCache>, StorageError> {
        let Some(bytes) = read_small(fs, &self.path)? else { return Ok(None) };
        let malformed = |reason: &str| LogError::MalformedFile { path: self.path.clone(), reason: reason.to_owned() };
        // It is not always synced: after a power cut its last number may lack digits, and be one all the same.
        let whole = bytes.ends_with(b"\n").then_some(&bytes).ok_or_else(|| malformed("its last line has no end"));
        let parsed = whole
            .and_then(|bytes| {
                parse_checkpoint(&self.path, bytes, |words| match words {
                    [epoch, start] => {
                        Some(EpochEntry { epoch: LeaderEpoch(epoch.parse().ok()?), start_offset: start.parse().ok()? })
                    }
                    _ => None,
                })
            })
            .and_then(|entries| {
                EpochCache::from_entries(entries).ok_or_else(|| malformed("its epochs or offsets do not rise"))
            });
        match parsed {
            Ok(cache) => Ok(Some(cache)),
            Err(error) => {
                tracing::warn!(%error, "rebuilding the leader epochs from the log");
                Ok(None)
            }
        }
    }

    /// Writes `entries` durably, unless a later version is there already.
    pub(crate) fn write(&self, fs: &dyn FileSystem, version: u64, entries: &[EpochEntry]) -> Result<(), StorageError> {
        self.write_unsynced(fs, version, entries)?;
        if self.versions().durable < version {
            self.sync_content(fs)?;
            let directory = parent(&self.path);
            fs.sync_directory(directory).context("sync", directory)?;
            self.synced(version);
        }
        Ok(())
    }

    /// Writes `entries`, unless they or a later version are there already; to be made durable by
    /// [`EpochFile::sync_content`] and a sync of the directory, or by one of the whole volume.
    pub(crate) fn write_unsynced(
        &self,
        fs: &dyn FileSystem,
        version: u64,
        entries: &[EpochEntry],
    ) -> Result<(), StorageError> {
        let mut versions = self.versions();
        if version > versions.written {
            // A power cut before the sync may leave an empty file: the epochs are then rebuilt from the
            // batches, and one that wrote nothing is lost, which is harmless (see `assign_epoch_start`).
            write_renamed(fs, &self.path, format_checkpoint(entries.iter()).as_bytes(), false)?;
            versions.written = version;
        }
        Ok(())
    }

    /// Whether the file has this version, or a later one.
    pub(crate) fn has(&self, version: u64) -> bool {
        self.versions().written >= version
    }

    pub(crate) fn sync_content(&self, fs: &dyn FileSystem) -> Result<(), StorageError> {
        let file = fs.open(&self.path, OpenMode::Read).context("open", &self.path)?;
        file.sync_data().context("sync", &self.path)
    }

    /// Notes that this version is durable.
    pub(crate) fn synced(&self, version: u64) {
        let mut versions = self.versions();
        versions.durable = versions.durable.max(version);
    }

    fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
