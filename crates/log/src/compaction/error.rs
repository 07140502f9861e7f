use std::io::ErrorKind;
use std::path::PathBuf;

use raftsman_records::BatchError;
use raftsman_types::Offset;

use crate::error::StorageError;

/// Work was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped")]
pub struct Stopped;

/// Why a compaction ended early. The log is as it was; what was written aside is removed when the
/// [`Compaction`](super::Compaction) is dropped or the log is opened.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// It was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The log was cut or its oldest segments removed meanwhile.
    #[error("the log was changed meanwhile")]
    Superseded,
    /// A batch that was stored is damaged. Nothing is rewritten, so that the damage keeps its CRC.
    #[error("{} is damaged at offset {offset}: {source}; it is not compacted, restore this replica from another one", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// First offset of the batch.
        offset: Offset,
        /// What is wrong there.
        source: BatchError,
    },
    /// A file operation failed. Nothing that was promised is concerned, but the disk should be looked at.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CompactionError {
    /// A failed read: if the file is gone, the log has changed.
    pub(crate) fn reading(error: StorageError) -> CompactionError {
        match error.source.kind() {
            ErrorKind::NotFound => CompactionError::Superseded,
            _ => CompactionError::Storage(error),
        }
    }
}
