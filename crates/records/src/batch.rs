use std::fmt;

use bytes::Bytes;
use raftsman_types::Offset;

use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{BatchHeader, compute_crc};
use crate::record::RecordIter;

/// How far [`RecordBatch::records`] decompresses at most. A batch on the wire is bounded by
/// `max.message.bytes`, what it unpacks to is not.
pub const DEFAULT_MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// One whole v2 batch: its bytes, shared and unchanged, and its parsed header.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl RecordBatch {
    /// The batch at the start of `bytes`, whose length field says where it ends; what follows is left out.
    /// The CRC is not checked here, see [`RecordBatch::check_crc`].
    ///
    /// # Errors
    /// `Truncated` when the batch is not whole, otherwise what no v2 batch can have.
    pub fn parse(bytes: Bytes) -> Result<RecordBatch, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        let size = header.size_in_bytes();
        if bytes.len() < size {
            return Err(BatchError::Truncated { needed: size, available: bytes.len() });
        }
        Ok(RecordBatch { header, bytes: if bytes.len() == size { bytes } else { bytes.slice(..size) } })
    }

    /// The fields in front of the records.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Gives the batch's bytes away.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Bytes of the whole batch.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> Offset {
        self.header.base_offset
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.header.last_offset()
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// `UnknownCodec` for a number outside Kafka's table.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        self.header.compression()
    }

    /// Whether the batch carries a control record instead of data.
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.header.is_transactional()
    }

    /// Whether the bytes are what their CRC says.
    pub fn crc_is_valid(&self) -> bool {
        compute_crc(&self.bytes) == self.header.crc
    }

    /// Like [`RecordBatch::crc_is_valid`], as an error with both values.
    ///
    /// # Errors
    /// `CrcMismatch`.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = compute_crc(&self.bytes);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::CrcMismatch { base_offset: self.header.base_offset, stored: self.header.crc, computed })
    }

    /// The records, decompressed to at most [`DEFAULT_MAX_DECOMPRESSED_BYTES`].
    pub fn records(&self) -> RecordIter {
        self.records_within(DEFAULT_MAX_DECOMPRESSED_BYTES)
    }

    /// The records, decompressed to at most `max_decompressed_bytes`. Keys and values are slices of the
    /// batch, or of one buffer it was decompressed into. What is wrong comes as an item, which is the last.
    pub fn records_within(&self, max_decompressed_bytes: usize) -> RecordIter {
        RecordIter::new(&self.header, &self.bytes, max_decompressed_bytes)
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch").field("header", &self.header).field("bytes", &self.bytes.len()).finish()
    }
}
