use std::io;
use std::path::Path;
use std::sync::Arc;

use raftsman_types::WallTime;

use super::{DirectoryEntry, File, FileLock, FileSystem, OpenMode, Volume, VolumeSpace};
use crate::error::is_out_of_files;
use crate::open_files::OpenFiles;

/// How many files make room for one, before it is given up: others open files, too.
const CLOSED_FOR_ONE: usize = 8;

/// A file system on which logs keep no more segment files open than is allowed, see [`OpenFiles`]. Clones share it. Whatever else
/// finds that the process has too many files open has some of these closed, and is tried again.
#[derive(Debug, Clone)]
pub struct BoundedFs {
    inner: Arc<dyn FileSystem>,
    files: Arc<OpenFiles>,
}

impl BoundedFs {
    /// The same file system.
    pub fn new(inner: Arc<dyn FileSystem>, files: Arc<OpenFiles>) -> BoundedFs {
        BoundedFs { inner, files }
    }

    fn with_room<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mut tries = 0;
        loop {
            match open() {
                Err(error) if is_out_of_files(&error) && tries < CLOSED_FOR_ONE && self.files.give_one_back() => {
                    tries += 1
                }
                outcome => return outcome,
            }
        }
    }
}

impl FileSystem for BoundedFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.with_room(|| self.inner.open(path, mode))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        self.inner.create_directories(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.with_room(|| self.inner.list(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.with_room(|| self.inner.remove_directory(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.with_room(|| self.inner.sync_directory(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn modified(&self, path: &Path) -> io::Result<WallTime> {
        self.inner.modified(path)
    }

    fn space(&self, path: &Path) -> io::Result<VolumeSpace> {
        self.inner.space(path)
    }

    fn open_volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>> {
        self.with_room(|| self.inner.open_volume(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.with_room(|| self.inner.lock(path))
    }

    fn secure_files(&self, directory: &Path) -> io::Result<()> {
        while self.files.lacks_spares() {
            match self.inner.open_volume(directory) {
                Ok(spare) => self.files.add_spare(spare),
                Err(error) if is_out_of_files(&error) && self.files.close_one() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open_files(&self) -> Option<&Arc<OpenFiles>> {
        Some(&self.files)
    }
}
