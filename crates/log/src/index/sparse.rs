use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::IndexEntry;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, FileSystem, OpenMode, read_full_at};
use crate::place::Place;

/// One index of one segment. Most entries stay in the file; in memory are the newest, not yet written
/// ones, and no open file.
#[derive(Debug, Clone)]
pub(crate) struct SparseIndex<E> {
    persisted: u32,
    last: Option<E>,
    pending: Vec<E>,
}

impl<E: IndexEntry> SparseIndex<E> {
    pub(crate) fn empty() -> SparseIndex<E> {
        SparseIndex { persisted: 0, last: None, pending: Vec::new() }
    }

    pub(crate) fn path(place: &Place, base_offset: i64) -> PathBuf {
        place.directory.join(format!("{base_offset:020}.{}", E::SUFFIX))
    }

    /// Reads how many entries the file has, and the last. `None` if it is absent or not whole entries.
    pub(crate) fn load(place: &Place, base_offset: i64) -> Result<Option<SparseIndex<E>>, StorageError> {
        let path = Self::path(place, base_offset);
        let Some(file) = open_if_there(&*place.fs, &path)? else { return Ok(None) };
        let length = file.length().context("read", &path)?;
        let entries = length / E::BYTES as u64;
        if length % E::BYTES as u64 != 0 || entries > u64::from(u32::MAX) {
            return Ok(None);
        }
        let persisted = entries as u32;
        let last = match persisted.checked_sub(1) {
            Some(i) => Some(read_entry(&*file, i).context("read", &path)?),
            None => None,
        };
        Ok(Some(SparseIndex { persisted, last, pending: Vec::new() }))
    }

    pub(crate) fn len(&self) -> usize {
        self.persisted as usize + self.pending.len()
    }

    pub(crate) fn last(&self) -> Option<&E> {
        self.last.as_ref()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Adds an entry unless it does not rise above the last.
    pub(crate) fn push(&mut self, entry: E) {
        if self.last.as_ref().is_none_or(|last| entry.key() > last.key()) {
            self.pending.push(entry);
            self.last = Some(entry);
        }
    }

    /// The last entry whose key is at most `key`.
    pub(crate) fn floor(&self, place: &Place, base_offset: i64, key: i64) -> Result<Option<E>, StorageError> {
        let in_pending = self.pending.partition_point(|entry| entry.key() <= key);
        if let Some(i) = in_pending.checked_sub(1) {
            return Ok(Some(self.pending[i]));
        }
        if self.persisted == 0 {
            return Ok(None);
        }
        let path = Self::path(place, base_offset);
        let Some(file) = open_if_there(&*place.fs, &path)? else { return Ok(None) };
        let file = place.reader(file);
        let count = partition_point(&*file, self.persisted, |entry: &E| entry.key() <= key).context("read", &path)?;
        match count.checked_sub(1) {
            Some(i) => read_entry(&*file, i).context("read", &path).map(Some),
            None => Ok(None),
        }
    }

    /// The first entry whose key is at least `key`.
    pub(crate) fn ceiling(&self, place: &Place, base_offset: i64, key: i64) -> Result<Option<E>, StorageError> {
        let path = Self::path(place, base_offset);
        if self.persisted > 0
            && let Some(file) = open_if_there(&*place.fs, &path)?
        {
            let file = place.reader(file);
            let below =
                partition_point(&*file, self.persisted, |entry: &E| entry.key() < key).context("read", &path)?;
            if below < self.persisted {
                return read_entry(&*file, below).context("read", &path).map(Some);
            }
        }
        Ok(self.pending.iter().find(|entry| entry.key() >= key).copied())
    }

    /// The whole file of an index that has none yet; from here on the entries count as written.
    pub(crate) fn take_content(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        self.persisted += self.pending.len() as u32;
        self.pending = Vec::new();
        bytes
    }

    /// Writes the pending entries. Not synced: a flush does that once the segment is sealed.
    pub(crate) fn write_pending(&mut self, place: &Place, base_offset: i64) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = Self::path(place, base_offset);
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        let file = place.fs.open(&path, OpenMode::Create).context("open", &path)?;
        file.write_all_at(&bytes, u64::from(self.persisted) * E::BYTES as u64).context("write", &path)?;
        self.persisted += self.pending.len() as u32;
        self.pending = Vec::new();
        Ok(())
    }

    /// Writes the pending entries and cuts off whatever an earlier life left behind them; makes the file
    /// even if there is no entry, so that its absence means that it was lost.
    pub(crate) fn seal(&mut self, place: &Place, base_offset: i64, sync: bool) -> Result<(), StorageError> {
        self.write_pending(place, base_offset)?;
        let path = Self::path(place, base_offset);
        let file = place.fs.open(&path, OpenMode::Create).context("open", &path)?;
        let length = u64::from(self.persisted) * E::BYTES as u64;
        if file.length().context("read", &path)? != length {
            file.set_length(length).context("cut", &path)?;
        }
        if sync {
            file.sync_data().context("sync", &path)?;
        }
        Ok(())
    }

    /// Keeps only the entries `keep` holds for, which must be the first ones.
    pub(crate) fn truncate(
        &mut self,
        place: &Place,
        base_offset: i64,
        keep: impl Fn(&E) -> bool,
    ) -> Result<(), StorageError> {
        self.pending.truncate(self.pending.partition_point(&keep));
        self.last = self.pending.last().copied();
        if self.last.is_some() || self.persisted == 0 {
            return Ok(());
        }
        let path = Self::path(place, base_offset);
        let Some(file) = open_if_there(&*place.fs, &path)? else {
            self.persisted = 0;
            return Ok(());
        };
        let kept = partition_point(&*file, self.persisted, keep).context("read", &path)?;
        if kept < self.persisted {
            let writable = place.fs.open(&path, OpenMode::ReadWrite).context("open", &path)?;
            writable.set_length(u64::from(kept) * E::BYTES as u64).context("cut", &path)?;
            self.persisted = kept;
        }
        if let Some(i) = kept.checked_sub(1) {
            self.last = Some(read_entry(&*file, i).context("read", &path)?);
        }
        Ok(())
    }
}

fn open_if_there(fs: &dyn FileSystem, path: &Path) -> Result<Option<Arc<dyn File>>, StorageError> {
    match fs.open(path, OpenMode::Read) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::new("open", path, error)),
    }
}

fn read_entry<E: IndexEntry>(file: &dyn File, i: u32) -> std::io::Result<E> {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..E::BYTES];
    if read_full_at(file, bytes, u64::from(i) * E::BYTES as u64)? < E::BYTES {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(E::decode(bytes))
}

fn partition_point<E: IndexEntry>(
    file: &dyn File,
    count: u32,
    mut before: impl FnMut(&E) -> bool,
) -> std::io::Result<u32> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(&read_entry(file, middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
