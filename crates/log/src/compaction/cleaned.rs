use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use raftsman_records::BatchHeader;
use raftsman_types::{Offset, WallTime};

use crate::atomic_file::remove_if_there;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, OpenMode};
use crate::index::AbortedTransaction;
use crate::place::Place;
use crate::segment::Segment;

/// The files of a segment, in the order in which they are renamed: whoever finds the log file under its new name finds
/// the others there, too.
const SUFFIXES: [&str; 4] = ["index", "timeindex", "txnindex", "log"];

/// The files of a segment beside its place: `.cleaned` while they are written, `.swap` from when they are complete
/// until they are in their place; and those that left it, `.deleted`.
#[derive(Debug)]
pub(crate) struct CleanedFiles<'a> {
    pub(crate) place: &'a Place,
    pub(crate) base_offset: Offset,
}

impl CleanedFiles<'_> {
    fn path(&self, suffix: &str, state: &str) -> PathBuf {
        self.place.directory.join(format!("{:020}.{suffix}{state}", self.base_offset))
    }

    /// Renames the files from one state (`.cleaned`, `.swap`, `.deleted`, or none) to another. A file that is not there
    /// is left out: not every segment has all of them.
    ///
    /// A longer name may need room. Where there is none, those that were renamed get their names back.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<RenamedFiles, StorageError> {
        let mut renamed = RenamedFiles::default();
        for suffix in SUFFIXES {
            let (from, to) = (self.path(suffix, from), self.path(suffix, to));
            match self.place.fs.rename(&from, &to) {
                Ok(()) => renamed.0.push((from, to)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(renamed.undo(self.place, StorageError::new("rename", &from, error)));
                }
            }
        }
        Ok(renamed)
    }

    /// Removes the files in this state, the log file first: without it the others mean nothing.
    pub(crate) fn remove(&self, state: &str) -> Result<(), StorageError> {
        SUFFIXES.iter().rev().try_for_each(|suffix| remove_if_there(&*self.place.fs, &self.path(suffix, state)))
    }
}

/// Files that were renamed: from where to where, in this order.
#[derive(Debug, Default)]
pub(crate) struct RenamedFiles(Vec<(PathBuf, PathBuf)>);

impl RenamedFiles {
    pub(crate) fn append(&mut self, mut later: RenamedFiles) {
        self.0.append(&mut later.0);
    }

    /// Gives them their names back because of `error`, which is half way if that fails for any of them. It fails for one that is
    /// gone, too: a file that was deleted before may have had its new name, and who removes that one knows it by the name only.
    pub(crate) fn undo(&self, place: &Place, error: StorageError) -> StorageError {
        let undone = self.0.iter().rev().try_for_each(|(from, to)| place.fs.rename(to, from));
        if undone.is_ok() { error } else { error.half_way() }
    }

    /// Where they are now.
    pub(crate) fn into_paths(self) -> Vec<PathBuf> {
        self.0.into_iter().map(|(_, to)| to).collect()
    }
}

/// A segment that is to take the place of some others, complete and synced, in files of its own.
#[derive(Debug)]
pub struct CleanedGroup {
    pub(crate) place: Place,
    pub(crate) segment: Option<Segment>,
    pub(crate) base_offset: Offset,
    /// Base offset and bytes of the segments it replaces.
    pub(crate) replaces: Vec<(Offset, u64)>,
    /// The log's generations when the compaction began.
    pub(crate) generation: (u64, u64),
}

impl CleanedGroup {
    /// Syncs the names of the files: to be called, where blocking is allowed, between the two steps of the swap.
    ///
    /// # Errors
    /// Storage.
    pub fn sync_names(&self) -> Result<(), StorageError> {
        self.place.sync_directory()
    }
}

impl Drop for CleanedGroup {
    /// What was not swapped in is of no use. A left-over would be removed when the log is opened, too. (A segment that
    /// `Log::swap` may have left as the only copy of its records is not here any more.)
    fn drop(&mut self) {
        if self.segment.is_some() {
            let files = CleanedFiles { place: &self.place, base_offset: self.base_offset };
            for state in [".swap", ".cleaned"] {
                if let Err(error) = files.remove(state) {
                    tracing::warn!(log = %self.place.directory.display(), %error, "a compacted segment is left over");
                }
            }
        }
    }
}

/// Writes the files of one compacted segment.
#[derive(Debug)]
pub(super) struct CleanedWriter<'a> {
    place: &'a Place,
    path: PathBuf,
    file: Arc<dyn File>,
    segment: Segment,
    buffer: BytesMut,
    written: u64,
    buffer_bytes: usize,
    index_interval_bytes: u64,
    complete: bool,
}

impl<'a> CleanedWriter<'a> {
    pub(super) fn create(
        place: &'a Place,
        base_offset: Offset,
        buffer_bytes: usize,
        index_interval_bytes: u64,
        now: WallTime,
    ) -> Result<CleanedWriter<'a>, StorageError> {
        let files = CleanedFiles { place, base_offset };
        // Of one that was given up and could not be removed: not every segment overwrites all of them.
        [".swap", ".cleaned"].iter().try_for_each(|state| files.remove(state))?;
        let path = files.path("log", ".cleaned");
        let file = place.fs.open(&path, OpenMode::Truncate).context("create", &path)?;
        Ok(CleanedWriter {
            place,
            path,
            file,
            segment: Segment::unread(place, base_offset, 0, now),
            buffer: BytesMut::new(),
            written: 0,
            buffer_bytes,
            index_interval_bytes,
            complete: false,
        })
    }

    pub(super) fn push(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), StorageError> {
        self.segment.note_batch(self.segment.size, header, self.index_interval_bytes);
        self.segment.size += batch.len() as u64;
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= self.buffer_bytes { self.write_buffer() } else { Ok(()) }
    }

    pub(super) fn push_aborted(&mut self, aborted: AbortedTransaction) {
        self.segment.transactions.push(aborted);
    }

    fn write_buffer(&mut self) -> Result<(), StorageError> {
        self.file.write_all_at(&self.buffer, self.written).context("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the files and syncs them.
    pub(super) fn finish(mut self) -> Result<Segment, StorageError> {
        self.write_buffer()?;
        // No failed sync of what somebody relies on: the files go then, and the log is as it was.
        self.file.sync_data().context("write out", &self.path)?;
        let base_offset = self.segment.base_offset;
        let files = CleanedFiles { place: self.place, base_offset };
        let indexes = self.segment.take_index_contents();
        for (suffix, content) in SUFFIXES.iter().zip(&indexes) {
            if let Some(content) = content {
                write_synced(self.place, &files.path(suffix, ".cleaned"), content)?;
            }
        }
        self.segment.synced_size = self.segment.size;
        self.complete = true;
        Ok(std::mem::replace(&mut self.segment, Segment::unread(self.place, base_offset, 0, WallTime(0))))
    }
}

impl Drop for CleanedWriter<'_> {
    fn drop(&mut self) {
        if !self.complete {
            let files = CleanedFiles { place: self.place, base_offset: self.segment.base_offset };
            if let Err(error) = files.remove(".cleaned") {
                tracing::warn!(log = %self.place.directory.display(), %error, "a half-compacted segment is left over");
            }
        }
    }
}

fn write_synced(place: &Place, path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let file = place.fs.open(path, OpenMode::Truncate).context("create", path)?;
    file.write_all_at(content, 0).context("write", path)?;
    file.sync_data().context("write out", path)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::fs::{FileSystem, MemoryFs};

    /// Who removes deleted files knows them by their names, and may do so at any time.
    #[test]
    fn what_is_gone_does_not_get_its_name_back() {
        for gone in [None, Some("log"), Some("index")] {
            let fs = MemoryFs::new();
            fs.create_directories(Path::new("/t-0")).expect("made");
            let place = Place::new(Arc::new(fs.clone()), Path::new("/t-0"));
            let files = CleanedFiles { place: &place, base_offset: 7 };
            for suffix in ["log", "index"] {
                fs.open(&files.path(suffix, ""), OpenMode::Create).expect("made");
            }
            let renamed = files.rename("", ".deleted").expect("renamed");
            if let Some(gone) = gone {
                fs.remove_file(&files.path(gone, ".deleted")).expect("removed");
            }
            let no_room = StorageError::new("rename", &files.path("log", ".swap"), ErrorKind::StorageFull.into());
            let error = renamed.undo(&place, no_room);
            assert_eq!(error.is_passing(), gone.is_none(), "{gone:?}: {error}");
            assert_eq!(fs.exists(&files.path("log", "")).expect("known"), gone != Some("log"));
        }
    }
}
