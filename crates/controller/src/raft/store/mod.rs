//! What the Raft log and vote are kept in, behind a trait of our own: the one place that names sled is `sled_store`.

mod checksum;
mod group_commit;
#[cfg(test)]
mod memory_store;
mod sealed;
mod sled_store;

use std::io;
use std::ops::ControlFlow;

pub(super) use checksum::crc32c;
pub(super) use group_commit::GroupCommit;
#[cfg(test)]
pub(super) use memory_store::MemoryStore;
pub(super) use sealed::{MAX_VALUE_BYTES, seal, seal_chunks, unseal, unseal_chunk};
pub(super) use sled_store::SledStore;

/// One change of a batch.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// Gives a key a value of at most [`MAX_VALUE_BYTES`].
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key.
    Remove(Vec<u8>),
}

/// What a visited entry is answered: whether to go on.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered map on a disk. Calls are made by one writer at a time.
pub(super) trait MetaStore: Send + Sync + 'static {
    /// A key's value.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Visits the entries of `from..to` in order, until told to stop.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()>;

    /// The last entry of `from..to`.
    fn last(&self, from: &[u8], to: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>>;

    /// Makes changes that are seen by readers at once and survive a crash all together or not at all, in the order of
    /// the calls. They are not on the disk before the next [`MetaStore::sync`] returns.
    fn write(&self, batch: Vec<Write>) -> io::Result<()>;

    /// Returns when all that was written before is on the disk.
    fn sync(&self) -> io::Result<()>;
}
