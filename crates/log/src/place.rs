use std::path::Path;
use std::sync::Arc;

use crate::cold_read::{Lack, MemoryOnly};
use crate::error::{IoContext, StorageError};
use crate::fs::{File, FileSystem};

/// Where one log's files are. Cheap to clone, so that a flush can work without the log.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) directory: Arc<Path>,
    /// Set for one read that may not wait for the disk: where what it lacks is noted.
    lack: Option<Arc<Lack>>,
}

impl Place {
    pub(crate) fn new(fs: Arc<dyn FileSystem>, directory: impl Into<Arc<Path>>) -> Place {
        Place { fs, directory: directory.into(), lack: None }
    }

    /// The same, whose files are read as far as they are in memory.
    pub(crate) fn in_memory(&self) -> (Place, Arc<Lack>) {
        let lack = Arc::new(Lack::new());
        (Place { lack: Some(Arc::clone(&lack)), ..self.clone() }, lack)
    }

    /// Before something is begun that takes several steps: sees to it that its files can be opened.
    pub(crate) fn secure_files(&self) -> Result<(), StorageError> {
        self.fs.secure_files(&self.directory).context("open", &self.directory)
    }

    /// A file of it, to be read as is allowed here.
    pub(crate) fn reader(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        match &self.lack {
            Some(lack) => Arc::new(MemoryOnly::new(file, Arc::clone(lack))),
            None => file,
        }
    }

    /// Makes names made, renamed and removed so far survive a power cut.
    pub(crate) fn sync_directory(&self) -> Result<(), StorageError> {
        self.fs.sync_directory(&self.directory).context("sync", &self.directory)
    }
}
