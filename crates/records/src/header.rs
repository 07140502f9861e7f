use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use crate::compression::Compression;
use crate::crc::crc32c;
use crate::error::BatchError;

/// Bytes of a v2 batch before its first record.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes in front of what the length field counts: the base offset and the length itself.
pub const BATCH_PREFIX_BYTES: usize = 12;
/// The format byte of record batches.
pub const MAGIC_V2: i8 = 2;
/// "No timestamp".
pub const NO_TIMESTAMP: i64 = -1;
/// "No sequence": a batch without idempotence.
pub const NO_SEQUENCE: i32 = -1;

/// The smallest length field any format may have (Kafka's overhead of a v0 message).
pub(crate) const MIN_LENGTH_FIELD: i32 = 14;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
/// The same in a message of format 1, whose attributes are one byte.
pub(crate) const LEGACY_LOG_APPEND_TIME_BIT: u8 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// The fields in front of a v2 batch's records, as they stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after this field; the whole batch is [`BatchHeader::size_in_bytes`].
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// Format version, always 2 here.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: i16,
    /// Last record's offset minus the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, ms since 1970 (or the delete horizon).
    pub base_timestamp: i64,
    /// The latest timestamp of the records, or the append time.
    pub max_timestamp: i64,
    /// The idempotent producer, or none.
    pub producer_id: ProducerId,
    /// The producer's epoch, or none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the records need not be there.
    ///
    /// # Errors
    /// `Truncated` when even the header is not whole, otherwise what no v2 batch can have.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let truncated = |needed| BatchError::Truncated { needed, available: bytes.len() };
        if bytes.len() < BATCH_PREFIX_BYTES {
            return Err(truncated(BATCH_HEADER_BYTES));
        }
        let batch_length = i32::from_be_bytes(array_at(bytes, 8));
        if batch_length < MIN_LENGTH_FIELD {
            return Err(BatchError::InvalidLength { length: batch_length });
        }
        if bytes.len() <= MAGIC_AT {
            return Err(truncated(BATCH_HEADER_BYTES));
        }
        match bytes[MAGIC_AT] as i8 {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(BatchError::LegacyMagic(magic)),
            magic => return Err(BatchError::UnknownMagic(magic)),
        }
        if (batch_length as usize) < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES {
            return Err(BatchError::InvalidLength { length: batch_length });
        }
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(truncated(BATCH_HEADER_BYTES));
        }
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(array_at(bytes, 0)),
            batch_length,
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(array_at(bytes, 12))),
            magic: MAGIC_V2,
            crc: u32::from_be_bytes(array_at(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(array_at(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(array_at(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array_at(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array_at(bytes, MAX_TIMESTAMP_AT)),
            producer_id: ProducerId(i64::from_be_bytes(array_at(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(array_at(bytes, 51))),
            base_sequence: i32::from_be_bytes(array_at(bytes, 53)),
            record_count: i32::from_be_bytes(array_at(bytes, 57)),
        })
    }

    /// The header's bytes, with the fields as they are (the CRC included).
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        bytes[MAGIC_AT] = self.magic as u8;
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch.
    pub fn size_in_bytes(&self) -> usize {
        BATCH_PREFIX_BYTES + self.batch_length as usize
    }

    /// Offset of the last record (of the last one before compaction, if records were compacted away).
    pub fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Whether the offset fields can stand in a log at all: neither negative nor past the largest offset.
    pub fn has_sane_offsets(&self) -> bool {
        self.base_offset >= 0
            && self.last_offset_delta >= 0
            && self.base_offset.checked_add(i64::from(self.last_offset_delta)).is_some_and(|last| last < i64::MAX)
    }

    /// Sequence number of the last record; wraps from 2³¹−1 to 0 as Kafka's do. -1 without idempotence.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last & i64::from(i32::MAX)) as i32
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// `UnknownCodec` for a number outside Kafka's table.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let id = (self.attributes & CODEC_MASK) as u8;
        Compression::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    /// Whether `max_timestamp` is the broker's append time and stands for all records.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch carries a control record (a transaction marker, for example) instead of data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whether `base_timestamp` is a delete horizon, set by compaction (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }

    /// When compaction may drop the batch's tombstones and markers, ms since 1970; `None` before compaction saw any
    /// (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.has_delete_horizon().then_some(self.base_timestamp)
    }

    pub(crate) fn set_delete_horizon(&mut self, delete_horizon_ms: i64) {
        self.attributes |= DELETE_HORIZON_BIT;
        self.base_timestamp = delete_horizon_ms;
    }

    /// The attributes without a codec: those of a batch whose records are gone.
    pub(crate) fn attributes_without_records(&self) -> i16 {
        self.attributes & !(CODEC_MASK | DELETE_HORIZON_BIT)
    }

    /// Whether a producer id, and so a sequence, is set.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id != ProducerId::NONE
    }

    pub(crate) fn attributes_of(compression: Compression, transactional: bool, control: bool) -> i16 {
        let mut attributes = i16::from(compression.id());
        if transactional {
            attributes |= TRANSACTIONAL_BIT;
        }
        if control {
            attributes |= CONTROL_BIT;
        }
        attributes
    }
}

/// The CRC of a whole batch's bytes, as it should stand in the header.
pub(crate) fn compute_crc(batch: &[u8]) -> u32 {
    crc32c(&batch[ATTRIBUTES_AT..])
}

/// Writes what the broker assigns on append. Both fields lie outside the CRC, which stays valid.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn patch_base_offset_and_epoch(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Makes `timestamp_ms` the append time of all records of one whole batch and computes the CRC anew.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn patch_log_append_time(batch: &mut [u8], timestamp_ms: i64) {
    let attributes = i16::from_be_bytes(array_at(batch, ATTRIBUTES_AT)) | LOG_APPEND_TIME_BIT;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
    let crc = compute_crc(batch);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
