//! Kafka's record batch, format v2 (magic 2): a view that copies nothing, a builder, a splitter, the checks a broker
//! makes before it stores what a client produced, and the conversions from and to the formats before it. Pure: no
//! clock, no file, no thread.
//!
//! The unit is the batch, not the record: producers fill batches, brokers store and serve them as they
//! came, consumers open them. Records are only looked into where a rule asks for it.

mod batch;
mod builder;
mod compression;
mod control;
mod crc;
mod error;
mod header;
mod legacy;
mod record;
mod record_checks;
mod rewrite;
mod split;
mod validate;
mod varint;

pub use batch::{DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch};
pub use builder::BatchBuilder;
pub use compression::{Compression, CompressionError};
pub use control::{ControlRecord, ControlRecordType, end_transaction_marker};
pub use crc::crc32c;
pub use error::{BatchError, DownConversionError, InvalidRecords, RecordError, RecordErrors, RecordFault};
pub use header::{
    BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, BatchHeader, MAGIC_V2, NO_SEQUENCE, NO_TIMESTAMP,
    patch_base_offset_and_epoch, patch_log_append_time,
};
pub use legacy::{DownConverter, LegacyFormat, StoredMessage, is_legacy_message};
pub use record::{Record, RecordHeader, RecordIter};
pub use rewrite::{empty_batch, rewrite_batch};
pub use split::{BatchIter, split_batches};
pub use validate::{TargetCompression, TimestampType, ValidationLimits, validate};
