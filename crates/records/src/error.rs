use raftsman_types::{ErrorCode, ProducerId};

use crate::compression::CompressionError;

/// Why bytes are not a readable record batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has: a torn tail, or a response cut at its byte limit.
    #[error("record batch needs {needed} bytes but only {available} are there")]
    Truncated {
        /// Bytes the batch (or its header) needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// A length field no batch can have.
    #[error("record batch length field is {length}: below the smallest possible")]
    InvalidLength {
        /// The length field as read, without the 12 bytes in front of it.
        length: i32,
    },
    /// A message set of before Kafka 0.11; the broker converts or refuses it.
    #[error("message format v{0} is not a record batch: up-convert it first")]
    LegacyMagic(i8),
    /// A format byte Kafka does not have.
    #[error("unknown record format version {0}")]
    UnknownMagic(i8),
    /// The stored and the computed CRC-32C differ.
    #[error("record batch at offset {base_offset} has CRC {stored:#010x} but its bytes give {computed:#010x}")]
    CrcMismatch {
        /// The batch's first offset.
        base_offset: i64,
        /// The CRC in the header.
        stored: u32,
        /// The CRC of the bytes.
        computed: u32,
    },
    /// A header count that contradicts itself or the bytes behind it.
    #[error("record batch at offset {base_offset} is inconsistent: {what}")]
    Inconsistent {
        /// The batch's first offset.
        base_offset: i64,
        /// What does not fit.
        what: &'static str,
    },
    /// The records' bytes do not parse.
    #[error("record {index} of the batch at offset {base_offset} is malformed: {what}")]
    MalformedRecord {
        /// The batch's first offset.
        base_offset: i64,
        /// The record's position in the batch, from 0.
        index: i32,
        /// What does not fit.
        what: &'static str,
    },
    /// A record of a compressed batch is above `max.decompressed.message.bytes`.
    #[error(
        "record {index} of the batch at offset {base_offset} has {bytes} bytes unpacked, over the topic's limit of {limit}"
    )]
    RecordTooLarge {
        /// The batch's first offset.
        base_offset: i64,
        /// The record's position in the batch, from 0.
        index: i32,
        /// Its bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A codec number outside Kafka's five.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    /// The records cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl BatchError {
    /// The code a client gets for such a batch.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            BatchError::LegacyMagic(_) => ErrorCode::UnsupportedForMessageFormat,
            BatchError::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::Inconsistent { .. }
            | BatchError::MalformedRecord { .. }
            | BatchError::RecordTooLarge { .. } => ErrorCode::InvalidRecord,
            BatchError::Compression(CompressionError::TooLarge { .. }) => ErrorCode::MessageTooLarge,
            BatchError::Truncated { .. }
            | BatchError::InvalidLength { .. }
            | BatchError::UnknownMagic(_)
            | BatchError::CrcMismatch { .. }
            | BatchError::Compression(_) => ErrorCode::CorruptMessage,
        }
    }
}

/// Why produced data is refused; [`InvalidRecords::error_code`] is what Kafka answers for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecords {
    /// The bytes are no batch, or a damaged one.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Produce v3 and later must carry a batch per partition.
    #[error("a produce request must have at least one whole record batch per partition")]
    NoBatch,
    /// Produce v3 and later must carry no more than one batch per partition.
    #[error("a produce request may have only one record batch per partition")]
    MoreThanOneBatch,
    /// Message format v0 or v1: a broker that converts does so, others refuse.
    #[error("message format v{magic} is not accepted here: produce record batches of format v2")]
    LegacyMagic {
        /// The format byte, 0 or 1.
        magic: i8,
    },
    /// The batch is above `max.message.bytes`.
    #[error("record batch of {bytes} bytes is over the topic's limit of {limit}")]
    TooLarge {
        /// The batch's bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Producers must number from 0; the broker assigns the offsets.
    #[error("the base offset of a produced batch must be 0, not {0}")]
    BaseOffset(i64),
    /// The count of records is not positive, or differs from the offsets covered.
    #[error("record batch claims {count} records over a last offset delta of {last_offset_delta}")]
    RecordCount {
        /// The count field.
        count: i32,
        /// The offset delta field.
        last_offset_delta: i32,
    },
    /// Control batches come from coordinators only.
    #[error("clients may not write control batches")]
    ControlBatch,
    /// A client may not choose broker time.
    #[error("producers may not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// The header's timestamps lie outside `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`,
    /// though no record's does.
    #[error("timestamp {timestamp} is out of range: the topic accepts {earliest} to {latest}")]
    Timestamp {
        /// The timestamp, ms since 1970.
        timestamp: i64,
        /// The earliest accepted.
        earliest: i64,
        /// The latest accepted.
        latest: i64,
    },
    /// Producer id, epoch and sequence contradict each other.
    #[error("producer {producer_id} with epoch {epoch} and base sequence {base_sequence}: {what}")]
    Producer {
        /// The producer id field.
        producer_id: ProducerId,
        /// The producer epoch field.
        epoch: i16,
        /// The base sequence field.
        base_sequence: i32,
        /// What does not fit.
        what: &'static str,
    },
    /// zstd needs Produce v7 (KIP-110).
    #[error("zstd needs Produce version 7 or later")]
    ZstdTooEarly,
    /// A set of formats 0 or 1 in which a compressed wrapper is not the only message.
    #[error("a compressed message must be alone in its message set")]
    WrapperNotAlone,
    /// A compressed wrapper without messages in it.
    #[error("a compressed message holds no messages")]
    EmptyWrapper,
    /// A compressed wrapper in a compressed wrapper.
    #[error("a message within a compressed message must not be compressed itself")]
    NestedWrapper,
    /// A set of messages of several formats.
    #[error("a message of format v{other} stands in a message set of format v{first}")]
    MixedMagic {
        /// The first message's format byte.
        first: i8,
        /// The format byte that differs.
        other: i8,
    },
    /// Records break rules of the topic; the batch is refused as a whole.
    #[error("{0}")]
    Records(RecordErrors),
}

/// The records of a batch that break a rule (KIP-467).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordErrors {
    /// How many there are.
    pub count: usize,
    /// Whether one is a timestamp, which decides the code of them all.
    pub has_bad_timestamp: bool,
    /// The first of them; no more than a hundred.
    pub named: Vec<RecordError>,
}

/// One record that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Its position in the batch, from 0.
    pub index: i32,
    /// Which rule.
    pub fault: RecordFault,
}

/// What a record can do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// A compacted topic keeps the last record of each key, so each needs one.
    #[error("a compacted topic takes no record without a key")]
    NoKey,
    /// Outside `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`.
    #[error(
        "timestamp {timestamp} of the record with offset {offset} is out of range: the topic accepts {earliest} to {latest}"
    )]
    Timestamp {
        /// The timestamp, ms since 1970.
        timestamp: i64,
        /// The record's offset as the producer counted.
        offset: i64,
        /// The earliest accepted.
        earliest: i64,
        /// The latest accepted.
        latest: i64,
    },
}

impl std::fmt::Display for RecordErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = if self.count == 1 { "record is" } else { "records are" };
        write!(f, "{} {one} refused", self.count)?;
        match self.named.first() {
            Some(first) => write!(f, ", the first at position {}: {}", first.index, first.fault),
            None => Ok(()),
        }
    }
}

/// Why stored records cannot be given to an old fetcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownConversionError {
    /// Clients of before KIP-110 cannot unpack it, and Kafka does not convert it either.
    #[error("the batch at offset {base_offset} is compressed with zstd, which this Fetch version cannot carry")]
    Zstd {
        /// The batch's first offset.
        base_offset: i64,
    },
    /// The stored batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl DownConversionError {
    /// The code Kafka answers.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            DownConversionError::Zstd { .. } => ErrorCode::UnsupportedCompressionType,
            DownConversionError::Batch(error) => error.error_code(),
        }
    }
}

impl InvalidRecords {
    /// The code Kafka's log validator answers.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            InvalidRecords::Batch(error) => error.error_code(),
            InvalidRecords::TooLarge { .. } => ErrorCode::MessageTooLarge,
            InvalidRecords::LogAppendTime | InvalidRecords::Timestamp { .. } => ErrorCode::InvalidTimestamp,
            InvalidRecords::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            InvalidRecords::Records(errors) if errors.has_bad_timestamp => ErrorCode::InvalidTimestamp,
            InvalidRecords::Records(_)
            | InvalidRecords::NoBatch
            | InvalidRecords::MoreThanOneBatch
            | InvalidRecords::LegacyMagic { .. }
            | InvalidRecords::BaseOffset(_)
            | InvalidRecords::RecordCount { .. }
            | InvalidRecords::ControlBatch
            | InvalidRecords::Producer { .. }
            | InvalidRecords::WrapperNotAlone
            | InvalidRecords::EmptyWrapper
            | InvalidRecords::NestedWrapper
            | InvalidRecords::MixedMagic { .. } => ErrorCode::InvalidRecord,
        }
    }
}
