use bytes::{Bytes, BytesMut};
use raftsman_types::Offset;

use super::message::{message_bytes, put_message};
use crate::batch::RecordBatch;
use crate::compression::{Compression, compress_legacy};
use crate::error::{BatchError, DownConversionError};
use crate::header::{BatchHeader, LEGACY_LOG_APPEND_TIME_BIT};
use crate::record::Record;

/// A format of before v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyFormat {
    /// Magic 0: no timestamps. Fetch 0 and 1.
    V0,
    /// Magic 1: timestamps, and relative offsets within a wrapper (KIP-31, KIP-32). Fetch 2 and 3.
    V1,
}

impl LegacyFormat {
    fn magic(self) -> i8 {
        match self {
            LegacyFormat::V0 => 0,
            LegacyFormat::V1 => 1,
        }
    }
}

/// Turns stored batches into messages for one partition of an old fetcher.
///
/// Headers, producers and transactions are lost, control batches are left out, for these formats know none of them.
/// The result stays below a limit, but for its first message (or wrapper): without that a fetcher whose limit is
/// below it would never get past it.
#[derive(Debug)]
pub struct DownConverter {
    format: LegacyFormat,
    first_offset: Offset,
    max_bytes: usize,
    out: BytesMut,
    is_full: bool,
}

impl DownConverter {
    /// Converts records from `first_offset` on into at most `max_bytes`. (What such a fetcher asked for is what it gets
    /// first: a lower offset it takes for a broken answer.)
    pub fn new(format: LegacyFormat, first_offset: Offset, max_bytes: usize) -> DownConverter {
        DownConverter { format, first_offset, max_bytes, out: BytesMut::new(), is_full: false }
    }

    /// Whether nothing more fits: further batches are left out.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether nothing was converted yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Adds a batch, unpacked to at most `max_decompressed_bytes`.
    ///
    /// # Errors
    /// zstd, which old clients cannot unpack and Kafka does not convert (KIP-110), or a damaged batch. What was added
    /// before stays.
    pub fn push(&mut self, batch: &RecordBatch, max_decompressed_bytes: usize) -> Result<(), DownConversionError> {
        if self.is_full || batch.is_control() {
            return Ok(());
        }
        match batch.compression()? {
            Compression::Zstd => Err(DownConversionError::Zstd { base_offset: batch.base_offset() }),
            Compression::None => self.push_messages(batch, max_decompressed_bytes),
            codec => self.push_wrapper(batch, codec, max_decompressed_bytes),
        }
    }

    /// What was converted; empty if there was no record.
    pub fn into_bytes(self) -> Bytes {
        self.out.freeze()
    }

    fn push_messages(&mut self, batch: &RecordBatch, max_decompressed_bytes: usize) -> Result<(), DownConversionError> {
        let (magic, attributes) = (self.format.magic(), self.attributes(batch.header()));
        for record in self.wanted(batch, max_decompressed_bytes) {
            let record = record?;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            if !self.fits(message_bytes(magic, key, value)) {
                break;
            }
            put_message(&mut self.out, magic, record.offset, attributes, record.timestamp, key, value);
        }
        Ok(())
    }

    fn push_wrapper(
        &mut self,
        batch: &RecordBatch,
        codec: Compression,
        max_decompressed_bytes: usize,
    ) -> Result<(), DownConversionError> {
        let (magic, attributes) = (self.format.magic(), self.attributes(batch.header()));
        let mut inner = BytesMut::new();
        let (mut first, mut last, mut newest) = (None, batch.base_offset(), i64::MIN);
        for record in self.wanted(batch, max_decompressed_bytes) {
            let record = record?;
            // Format 1 counts from the wrapper's first record (KIP-31), format 0 has the true offsets.
            let base = *first.get_or_insert(record.offset);
            let offset = if magic == 0 { record.offset } else { record.offset - base };
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            put_message(&mut inner, magic, offset, attributes, record.timestamp, key, value);
            (last, newest) = (record.offset, newest.max(record.timestamp));
        }
        if first.is_none() {
            return Ok(());
        }
        let packed = compress_legacy(codec, magic, &inner);
        if self.fits(message_bytes(magic, None, Some(&packed))) {
            put_message(&mut self.out, magic, last, attributes | codec.id(), newest, None, Some(&packed));
        }
        Ok(())
    }

    fn wanted(
        &self,
        batch: &RecordBatch,
        max_decompressed_bytes: usize,
    ) -> impl Iterator<Item = Result<Record, BatchError>> + use<> {
        let first_offset = self.first_offset;
        let is_wanted = move |record: &Result<Record, BatchError>| match record {
            Ok(record) => record.offset >= first_offset,
            Err(_) => true,
        };
        batch.records_within(max_decompressed_bytes).filter(is_wanted)
    }

    fn attributes(&self, header: &BatchHeader) -> u8 {
        let broker_time = self.format == LegacyFormat::V1 && header.is_log_append_time();
        if broker_time { LEGACY_LOG_APPEND_TIME_BIT } else { 0 }
    }

    /// Whether so many bytes may be added; if not, nothing more is.
    fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.out.is_empty() || self.out.len().saturating_add(bytes) <= self.max_bytes;
        self.is_full |= !fits;
        fits
    }
}
