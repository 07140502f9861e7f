//! Small files that are either the old or the new one after a crash, never half of each.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{IoContext, StorageError};
use crate::fs::{File, FileSystem, OpenMode, read_full_at};

/// Ends the names of files not yet renamed into place; left-overs of a crash, removed when a log opens.
pub(crate) const ASIDE_SUFFIX: &str = ".tmp";

/// A checkpoint or snapshot past this is not one of ours (a million lines of the longest topic names).
const MAX_SMALL_FILE_BYTES: u64 = 256 << 20;

/// Writes `bytes` aside, syncs, renames into place and syncs the directory.
pub(crate) fn write_atomically(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    write_renamed(fs, path, bytes, true)?;
    let directory = parent(path);
    fs.sync_directory(directory).context("sync", directory)
}

/// Writes aside and renames into place; with `sync` the content (not the name) survives a power cut.
pub(crate) fn write_renamed(fs: &dyn FileSystem, path: &Path, bytes: &[u8], sync: bool) -> Result<(), StorageError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ASIDE_SUFFIX);
    let aside = PathBuf::from(aside);
    let renamed =
        write_aside(fs, &aside, bytes, sync).and_then(|()| fs.rename(&aside, path).context("rename into place", path));
    if renamed.is_err()
        && let Err(left) = remove_if_there(fs, &aside)
    {
        // A file that nobody will ever read, least of all on a full disk.
        tracing::warn!(error = %left, "a file that was not completed stays behind");
    }
    renamed
}

fn write_aside(fs: &dyn FileSystem, aside: &Path, bytes: &[u8], sync: bool) -> Result<(), StorageError> {
    let file = fs.open(aside, OpenMode::Truncate).context("create", aside)?;
    file.write_all_at(bytes, 0).context("write", aside)?;
    // Some file systems look for the room only now. It is no failed sync of what somebody relies on: the file goes.
    if sync { file.sync_data().context("write out", aside) } else { Ok(()) }
}

/// The whole of a small file; `None` if it is absent.
pub(crate) fn read_small(fs: &dyn FileSystem, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    read_small_through(fs, path, |file| file)
}

/// As [`read_small`], through what `reader` makes of the file.
pub(crate) fn read_small_through(
    fs: &dyn FileSystem,
    path: &Path,
    reader: impl FnOnce(Arc<dyn File>) -> Arc<dyn File>,
) -> Result<Option<Vec<u8>>, StorageError> {
    let file = match fs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::new("open", path, error)),
    };
    let file = reader(file);
    let length = file.length().context("read", path)?;
    if length > MAX_SMALL_FILE_BYTES {
        return Err(StorageError::new("read", path, io::Error::other(format!("{length} bytes are too many"))));
    }
    let mut bytes = vec![0; length as usize];
    let read = read_full_at(&*file, &mut bytes, 0).context("read", path)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Removes a file that may already be gone.
pub(crate) fn remove_if_there(fs: &dyn FileSystem, path: &Path) -> Result<(), StorageError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// The directory a file is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
