use std::io::ErrorKind;
use std::path::PathBuf;

use raftsman_types::{Offset, ProducerId};

use crate::atomic_file::{read_small, read_small_through, remove_if_there};
use crate::error::{IoContext, StorageError};
use crate::fs::OpenMode;
use crate::place::Place;
use crate::producer::TransactionSeal;

const VERSION: i16 = 0;
const ENTRY_BYTES: usize = 34;

/// One aborted transaction in one partition: what a `read_committed` consumer is told so that it can leave the
/// transaction's records out (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction it was.
    pub producer_id: ProducerId,
    /// The offset of its first record.
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    /// The log's last stable offset just after the marker was appended: no transaction that begins below it is in a
    /// later entry.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_be_bytes());
        for field in [self.producer_id.0, self.first_offset, self.last_offset, self.last_stable_offset] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    /// `None` for an entry of another version, or one that contradicts itself or the segment it is in.
    fn decode(bytes: &[u8; ENTRY_BYTES], base_offset: Offset) -> Option<AbortedTransaction> {
        let RawAbortedTransaction { version, entry } = RawAbortedTransaction::decode(bytes);
        let sane = (0..=entry.last_offset).contains(&entry.first_offset) && entry.last_offset >= base_offset;
        (version == VERSION && sane).then_some(entry)
    }
}

/// An entry of a `.txnindex` as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAbortedTransaction {
    /// Of the entry's format; 0 is the only one there is.
    pub version: i16,
    /// What it says, if it has that version.
    pub entry: AbortedTransaction,
}

impl RawAbortedTransaction {
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> RawAbortedTransaction {
        let field = |at: usize| i64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let entry = AbortedTransaction {
            producer_id: ProducerId(field(2)),
            first_offset: field(10),
            last_offset: field(18),
            last_stable_offset: field(26),
        };
        RawAbortedTransaction { version: i16::from_be_bytes([bytes[0], bytes[1]]), entry }
    }
}

/// The whole entries of a `.txnindex`, and how many bytes are left over behind them.
pub fn raw_aborted_transactions(bytes: &[u8]) -> (Vec<RawAbortedTransaction>, usize) {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    (entries.iter().map(RawAbortedTransaction::decode).collect(), rest.len())
}

/// The aborted transactions whose markers are in one segment, in the order of the markers. Most segments have none,
/// and no file.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransactionIndex {
    persisted: usize,
    pending: Vec<AbortedTransaction>,
}

/// Reads a segment's index file; `None` if it is none. Without a file there are no entries.
pub(crate) fn parse_transaction_index(bytes: &[u8], base_offset: Offset) -> Option<Vec<AbortedTransaction>> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    let entries: Vec<_> = entries.iter().map(|e| AbortedTransaction::decode(e, base_offset)).collect::<Option<_>>()?;
    let rising = entries.windows(2).all(|pair| pair[0].last_offset < pair[1].last_offset);
    (rest.is_empty() && rising).then_some(entries)
}

impl TransactionIndex {
    pub(crate) fn path(place: &Place, base_offset: Offset) -> PathBuf {
        place.directory.join(format!("{base_offset:020}.txnindex"))
    }

    /// What the file of a segment has; `None` if it is damaged and to be made anew.
    pub(crate) fn load(place: &Place, base_offset: Offset) -> Result<Option<TransactionIndex>, StorageError> {
        let path = TransactionIndex::path(place, base_offset);
        let Some(bytes) = read_small(&*place.fs, &path)? else { return Ok(Some(TransactionIndex::default())) };
        let entries = parse_transaction_index(&bytes, base_offset);
        Ok(entries.map(|entries| TransactionIndex { persisted: entries.len(), pending: Vec::new() }))
    }

    /// An index of these entries that is not written yet.
    pub(crate) fn of(entries: Vec<AbortedTransaction>) -> TransactionIndex {
        TransactionIndex { persisted: 0, pending: entries }
    }

    pub(crate) fn push(&mut self, entry: AbortedTransaction) {
        self.pending.push(entry);
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.persisted == 0 && self.pending.is_empty()
    }

    /// All entries, read as the place allows.
    pub(crate) fn entries(&self, place: &Place, base_offset: Offset) -> Result<Vec<AbortedTransaction>, StorageError> {
        let mut entries = Vec::new();
        if self.persisted > 0 {
            let path = TransactionIndex::path(place, base_offset);
            let bytes = read_small_through(&*place.fs, &path, |file| place.reader(file))?.unwrap_or_default();
            entries = parse_transaction_index(&bytes, base_offset).unwrap_or_default();
            if entries.len() < self.persisted {
                let damaged = std::io::Error::new(ErrorKind::InvalidData, "it is damaged; a restart finds it anew");
                return Err(StorageError::new("read", &path, damaged));
            }
            entries.truncate(self.persisted);
        }
        entries.extend_from_slice(&self.pending);
        Ok(entries)
    }

    /// What the file is, of an index with nothing pending.
    pub(crate) fn seal(&self, place: &Place, base_offset: Offset) -> Result<TransactionSeal, StorageError> {
        if self.persisted == 0 {
            return Ok(TransactionSeal::default());
        }
        let bytes = read_small(&*place.fs, &TransactionIndex::path(place, base_offset))?.unwrap_or_default();
        Ok(TransactionSeal::of(&bytes))
    }

    /// The file's content, of an index that has no file yet.
    pub(crate) fn encode_pending(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pending.len() * ENTRY_BYTES);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes
    }

    /// The pending entries are in the file now.
    pub(crate) fn pending_are_written(&mut self) {
        self.persisted += self.pending.len();
        self.pending = Vec::new();
    }

    /// Writes the pending entries. Not synced: a flush does that once the segment is sealed.
    pub(crate) fn write_pending(&mut self, place: &Place, base_offset: Offset) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = TransactionIndex::path(place, base_offset);
        let position = (self.persisted * ENTRY_BYTES) as u64;
        let file = place.fs.open(&path, OpenMode::Create).context("open", &path)?;
        let bytes = self.encode_pending();
        file.write_all_at(&bytes, position).context("write", &path)?;
        file.set_length(position + bytes.len() as u64).context("cut", &path)?;
        self.pending_are_written();
        Ok(())
    }

    /// Forgets transactions whose markers are at or past `offset`.
    pub(crate) fn truncate(&mut self, place: &Place, base_offset: Offset, offset: Offset) -> Result<(), StorageError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut entries = self.entries(place, base_offset)?;
        entries.retain(|entry| entry.last_offset < offset);
        let kept = entries.len();
        if kept >= self.persisted {
            self.pending.truncate(kept - self.persisted);
            return Ok(());
        }
        self.pending = Vec::new();
        self.persisted = kept;
        let path = TransactionIndex::path(place, base_offset);
        if kept == 0 {
            return remove_if_there(&*place.fs, &path);
        }
        let file = place.fs.open(&path, OpenMode::ReadWrite).context("open", &path)?;
        file.set_length((kept * ENTRY_BYTES) as u64).context("cut", &path)
    }
}
