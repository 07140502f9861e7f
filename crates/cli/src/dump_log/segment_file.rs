use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raftsman_records::{BATCH_PREFIX_BYTES, BatchError, DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch, StoredMessage};

use crate::failure::Failure;

/// Where a batch's magic number stands, and the least of a batch that is looked at.
const MAGIC_AT: usize = 16;
/// The least that Kafka takes for a length: what the oldest messages have besides key and value.
const LENGTH_MIN: i32 = 14;

/// What stands at a position of a log.
pub enum Stored {
    /// A batch.
    Batch(RecordBatch),
    /// A message of a format from before Kafka 0.11, which is a batch of its own for Kafka.
    Message(StoredMessage),
}

impl Stored {
    /// The offset of its last record.
    pub fn last_offset(&self) -> i64 {
        match self {
            Stored::Batch(batch) => batch.last_offset(),
            Stored::Message(message) => message.offset,
        }
    }

    /// Its bytes in the file.
    pub fn size_in_bytes(&self) -> usize {
        match self {
            Stored::Batch(batch) => batch.size_in_bytes(),
            Stored::Message(message) => message.size_in_bytes,
        }
    }

    /// The largest timestamp of its records, -1 without any.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn largest_timestamp(&self) -> Result<i64, BatchError> {
        match self {
            Stored::Batch(batch) => batch.records().try_fold(-1, |largest, record| Ok(largest.max(record?.timestamp))),
            Stored::Message(message) => {
                let records = message.records(DEFAULT_MAX_DECOMPRESSED_BYTES)?;
                Ok(records.iter().fold(-1, |largest, record| largest.max(record.timestamp)))
            }
        }
    }
}

/// A `.log` file, read batch by batch.
pub struct SegmentFile {
    path: PathBuf,
    file: File,
    /// Its length in bytes.
    pub length: u64,
}

impl SegmentFile {
    /// Opens it.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> Result<SegmentFile, Failure> {
        let failed = || format!("cannot read {}", path.display());
        let file = File::open(path).map_err(Failure::system(failed()))?;
        let length = file.metadata().map_err(Failure::system(failed()))?.len();
        Ok(SegmentFile { path: path.to_owned(), file, length })
    }

    /// The batch at a position, if a whole one is there before `end`. Its CRC is not looked at.
    ///
    /// # Errors
    /// What stands there cannot be the beginning of a batch.
    pub fn batch_at(&self, position: u64, end: u64) -> Result<Option<Stored>, Failure> {
        let end = end.min(self.length);
        if position + MAGIC_AT as u64 + 1 >= end {
            return Ok(None);
        }
        let mut prefix = [0; MAGIC_AT + 1];
        self.read_exact(&mut prefix, position)?;
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = prefix;
        let length = i32::from_be_bytes([a, b, c, d]);
        if length < LENGTH_MIN {
            return Err(self.damaged(
                position,
                format!("Found record size {length} smaller than minimum record overhead ({LENGTH_MIN})"),
            ));
        }
        let size = BATCH_PREFIX_BYTES as u64 + length as u64;
        if position + size > end {
            return Ok(None);
        }
        // No more than the file has.
        let mut bytes = vec![0; size as usize];
        self.read_exact(&mut bytes, position)?;
        let bytes = Bytes::from(bytes);
        let stored = match RecordBatch::parse(bytes.clone()) {
            Err(BatchError::LegacyMagic(_)) => StoredMessage::parse(&bytes).map(Stored::Message),
            parsed => parsed.map(Stored::Batch),
        };
        stored.map(Some).map_err(|error| self.damaged(position, error))
    }

    /// What is wrong at a position.
    pub fn damaged(&self, position: u64, what: impl std::fmt::Display) -> Failure {
        Failure::Said(format!("{} at position {position}: {what}", self.path.display()))
    }

    fn read_exact(&self, bytes: &mut [u8], position: u64) -> Result<(), Failure> {
        let failed = format!("cannot read {} at position {position}", self.path.display());
        self.file.read_exact_at(bytes, position).map_err(Failure::system(failed))
    }
}
