use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use raftsman_types::LeaderEpoch;

use crate::atomic_file::{read_small, write_atomically};
use crate::checkpoint::{format_checkpoint, parse_checkpoint};
use crate::epoch_cache::{EpochCache, EpochEntry};
use crate::error::{LogError, StorageError};
use crate::fs::FileSystem;

/// Kafka's `leader-epoch-checkpoint`. A flush writes it without the log's lock, so writers number their
/// versions: an older one never lands on top of a newer one.
#[derive(Debug)]
pub(crate) struct EpochFile {
    path: PathBuf,
    written_version: Mutex<u64>,
}

impl EpochFile {
    pub(crate) fn new(directory: &Path) -> EpochFile {
        EpochFile { path: directory.join("leader-epoch-checkpoint"), written_version: Mutex::new(0) }
    }

    /// What the file holds; `None` if it is absent or not readable, and must be rebuilt from the batches.
    pub(crate) fn read(&self, fs: &dyn FileSystem) -> Result<Option<EpochCache>, StorageError> {
        let Some(bytes) = read_small(fs, &self.path)? else { return Ok(None) };
        let parsed = parse_checkpoint(&self.path, &bytes, |words| match words {
            [epoch, start] => {
                Some(EpochEntry { epoch: LeaderEpoch(epoch.parse().ok()?), start_offset: start.parse().ok()? })
            }
            _ => None,
        })
        .and_then(|entries| {
            let reason = "its epochs or offsets do not rise".to_owned();
            EpochCache::from_entries(entries).ok_or(LogError::MalformedFile { path: self.path.clone(), reason })
        });
        match parsed {
            Ok(cache) => Ok(Some(cache)),
            Err(error) => {
                tracing::warn!(%error, "rebuilding the leader epochs from the log");
                Ok(None)
            }
        }
    }

    /// Writes `entries`, unless a later version has been written already.
    pub(crate) fn write(&self, fs: &dyn FileSystem, version: u64, entries: &[EpochEntry]) -> Result<(), StorageError> {
        let mut written_version = self.written_version.lock().unwrap_or_else(PoisonError::into_inner);
        if version < *written_version {
            return Ok(());
        }
        write_atomically(fs, &self.path, format_checkpoint(entries.iter()).as_bytes())?;
        *written_version = version;
        Ok(())
    }
}
