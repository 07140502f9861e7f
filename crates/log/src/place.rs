use std::path::Path;
use std::sync::Arc;

use crate::error::{IoContext, StorageError};
use crate::fs::FileSystem;

/// Where one log's files are. Cheap to clone, so that a flush can work without the log.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) directory: Arc<Path>,
}

impl Place {
    /// Makes names made, renamed and removed so far survive a power cut.
    pub(crate) fn sync_directory(&self) -> Result<(), StorageError> {
        self.fs.sync_directory(&self.directory).context("sync", &self.directory)
    }
}
