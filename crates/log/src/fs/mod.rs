//! The file system a log lives on: the real one, or one in memory that forgets what was not synced.
//! Everything the log does to disk goes through these two traits, so that the simulator can run the
//! shipped log and cut the power between any two calls.

mod bounded;
mod dont_cache;
mod memory;
mod real;

pub use bounded::BoundedFs;
pub use memory::{Fault, FaultPlan, FaultTarget, MemoryFs, Survival};
pub use real::RealFs;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_types::WallTime;

use crate::open_files::OpenFiles;

/// How much a volume holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeSpace {
    /// All of it.
    pub total: u64,
    /// What may still be written.
    pub free: u64,
}

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    ReadWrite,
    /// To read and write; made if absent, kept if there.
    Create,
    /// To read and write; made if absent, emptied if there.
    Truncate,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// The name, without the directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes, 0 for directories.
    pub length: u64,
}

/// An exclusive lock on a file, held until dropped.
pub trait FileLock: Send + Sync + fmt::Debug {}

/// A handle on everything a file system holds, opened before the writes it is to sync: only so does it
/// hear of a write-back that failed in between.
pub trait Volume: Send + Sync + fmt::Debug {
    /// Makes every write and every change of names so far survive a power cut, whoever made it.
    ///
    /// # Errors
    /// The system's; as final as that of [`File::sync_data`].
    fn sync(&self) -> io::Result<()>;
}

/// A tree of directories and files.
pub trait FileSystem: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's; `NotFound` for an absent one where it must exist.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// The system's.
    fn create_directories(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory, sorted by name.
    ///
    /// # Errors
    /// The system's; `NotFound` for an absent one.
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;

    /// Renames a file over another, or a directory.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's; `NotFound` for an absent one.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// The system's.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's entries (files made, renamed, removed) survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Whether something is there.
    ///
    /// # Errors
    /// The system's.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// When a file was last written.
    ///
    /// # Errors
    /// The system's.
    fn modified(&self, path: &Path) -> io::Result<WallTime>;

    /// How full the volume is that a directory is on.
    ///
    /// # Errors
    /// The system's.
    fn space(&self, path: &Path) -> io::Result<VolumeSpace>;

    /// Opens the volume a directory is on.
    ///
    /// # Errors
    /// The system's.
    fn open_volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>>;

    /// Takes an exclusive lock on a file, made if absent.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;

    /// What bounds the segment files that are open, if anything does.
    fn open_files(&self) -> Option<&Arc<OpenFiles>> {
        None
    }

    /// Before something in a directory is begun that takes several steps and must not be left half done: sees to it that the few
    /// files that takes can be opened.
    ///
    /// # Errors
    /// The system's, which has no more files; nothing is begun then.
    fn secure_files(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// An open file, shared between the log and whoever flushes it.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As [`File::read_at`], but of what is in memory: never waits for a disk.
    ///
    /// # Errors
    /// `WouldBlock` if none of it is, `Unsupported` where nobody can tell; else the system's.
    fn read_at_without_waiting(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    /// Has what will soon be read brought into memory, without waiting until it is there. A hint: where nobody heeds it the
    /// reads take longer.
    fn will_need(&self, _offset: u64, _length: u64) {}

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    ///
    /// # Errors
    /// The system's.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes pieces one behind the other, the first at `offset`: as if they were one. After an error any part of them
    /// may be there.
    ///
    /// # Errors
    /// The system's.
    fn write_pieces_at(&self, pieces: &[Bytes], offset: u64) -> io::Result<()> {
        let mut at = offset;
        for piece in pieces {
            self.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Cuts or grows the file.
    ///
    /// # Errors
    /// The system's.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Sets room aside for the file to grow into, up to this length, which it does not have yet. Setting the length
    /// gives back what is beyond it. Where the file system cannot do that, nothing happens.
    ///
    /// # Errors
    /// The system's.
    fn preallocate(&self, length: u64) -> io::Result<()>;

    /// The file's bytes.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;

    /// Has what was written begin its way to the disk, without waiting for it: several files that are synced one after the
    /// other then wait for their writes together. A hint: what fails of it [`File::sync_data`] tells.
    fn begin_write_back(&self) {}

    /// Makes content and length survive a power cut.
    ///
    /// # Errors
    /// The system's. After one the state of what was written is unknown: a second, successful call
    /// proves nothing.
    fn sync_data(&self) -> io::Result<()>;
}

/// Reads until `buffer` is full or the file ends; returns what was read.
pub(crate) fn read_full_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Writes pieces at the end of a file; if that fails, nothing of them stays behind.
pub(crate) fn write_pieces_or_cut(file: &dyn File, pieces: &[Bytes], offset: u64) -> io::Result<()> {
    file.write_pieces_at(pieces, offset).or_else(|error| {
        // Where even that fails the disk is broken, whatever the first error was: one that is not taken for a full disk.
        file.set_length(offset).map_err(|cut| {
            tracing::error!(%error, "a batch was half written");
            io::Error::other(format!("a half-written batch cannot be cut off: {cut}"))
        })?;
        Err(error)
    })
}
