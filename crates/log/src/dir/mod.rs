//! One entry of `log.dirs`: who may use it, whose it is, which partitions are in it, and the checkpoint
//! files that speak of all of them.

mod checkpoints;
mod clean_shutdown;
mod meta_properties;
mod partitions;

pub use clean_shutdown::CleanShutdown;
pub use meta_properties::MetaProperties;
pub use partitions::PartitionDirectory;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::atomic_file::parent;
use crate::error::{IoContext, LogError, StorageError};
use crate::flush::FlushTicket;
use crate::fs::{FileLock, FileSystem, OpenMode, Volume};

/// Up to so many dirty logs are synced file by file; above, one `syncfs` is faster, by far with many
/// (`docs/decisions/2026-11-30-begun-together.md`).
const SINGLE_SYNCS_MAX: usize = 8;

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process works in it.
    #[error("{} is in use by another process: stop it, or give each node its own log.dirs", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file in it does not say what it should, or storage failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl DirectoryError {
    /// Whether there was no room for a write, which may be tried again.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, DirectoryError::Log(error) if error.is_out_of_space())
    }

    /// Whether a file could not be opened because too many are, which may be tried again.
    pub fn is_out_of_files(&self) -> bool {
        matches!(self, DirectoryError::Log(error) if error.is_out_of_files())
    }
}

impl From<StorageError> for DirectoryError {
    fn from(error: StorageError) -> DirectoryError {
        DirectoryError::Log(LogError::Storage(error))
    }
}

/// A directory of logs, locked for this process while the value lives.
#[derive(Debug)]
pub struct LogDirectory {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    /// Checkpoint files are read, changed and written as one step.
    checkpoints: Mutex<()>,
    volume: Arc<dyn Volume>,
    _lock: Box<dyn FileLock>,
}

impl LogDirectory {
    /// Opens a directory, made if absent, and takes its `.lock`.
    ///
    /// # Errors
    /// `InUse`, or storage.
    pub fn open(fs: Arc<dyn FileSystem>, path: impl Into<PathBuf>) -> Result<LogDirectory, DirectoryError> {
        let path = path.into();
        if !fs.exists(&path).context("look at", &path)? {
            fs.create_directories(&path).context("create", &path)?;
            let above = parent(&path);
            fs.sync_directory(above).context("sync", above)?;
        }
        let lock_path = path.join(".lock");
        let lock = match fs.lock(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(DirectoryError::InUse { path }),
            Err(error) => return Err(StorageError::new("lock", &lock_path, error).into()),
        };
        let volume = fs.open_volume(&path).context("open", &path)?;
        Ok(LogDirectory { fs, path, checkpoints: Mutex::new(()), volume, _lock: lock })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system it is on.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// Makes everything that was ever written in the directory durable, whoever wrote it: what an ended process left is on the
    /// disk then. False where there is no way to do that for all at once.
    ///
    /// # Errors
    /// What failed: nobody knows what is on the disk then.
    pub fn sync_volume(&self) -> Result<bool, DirectoryError> {
        match self.volume.sync() {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            synced => Ok(synced.context("sync the volume of", &self.path).map(|()| true)?),
        }
    }

    /// Whether any segment in a replica's directory has bytes.
    ///
    /// # Errors
    /// Storage.
    pub fn has_records(&self, replica: &Path) -> Result<bool, DirectoryError> {
        for entry in self.fs.list(replica).context("list", replica)? {
            if entry.name.ends_with(".log") {
                let path = replica.join(&entry.name);
                let file = self.fs.open(&path, OpenMode::Read).context("open", &path)?;
                if file.length().context("look at", &path)? > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Begins what [`FlushTicket::sync`] of each of these then waits for, or tells the outcome of: a few are written and begun
    /// together, many are carried out whole by [`LogDirectory::sync_tickets`].
    pub fn begin_syncs(&self, tickets: &[&FlushTicket]) {
        match tickets.len() {
            // There is nothing to wait for beside it.
            0 | 1 => {}
            2..=SINGLE_SYNCS_MAX => tickets.iter().for_each(|ticket| ticket.begin()),
            _ => {
                if let Err(error) = self.sync_tickets(tickets) {
                    // Each ticket has its own outcome.
                    tracing::debug!(directory = %self.path.display(), "a sync of many did not succeed: {error}");
                }
            }
        }
    }

    /// Carries out many tickets of logs in this directory with one sync of the volume, which waits for whatever else is being
    /// written there. `Log::complete_flush` then takes each.
    ///
    /// # Errors
    /// What failed first. A log whose own writes found no room, or failed, hears of that alone; a failed sync is all logs'.
    pub fn sync_tickets(&self, tickets: &[&FlushTicket]) -> io::Result<()> {
        let (mut written, mut failed) = (Vec::with_capacity(tickets.len()), None);
        for ticket in tickets.iter().filter(|ticket| !ticket.has_failed()) {
            match ticket.write_out() {
                Ok(()) => written.push(ticket),
                Err(error) => {
                    ticket.volume_synced(Err(error.clone()));
                    failed.get_or_insert(error);
                }
            }
        }
        let synced = match written.is_empty() {
            true => Ok(()),
            false => self.volume.sync().context("sync the volume of", &self.path),
        };
        written.iter().for_each(|ticket| ticket.volume_synced(synced.clone()));
        synced.and(failed.map_or(Ok(()), Err)).map_err(io::Error::other)
    }
}
