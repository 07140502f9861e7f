use bytes::Bytes;
use raftsman_types::WallTime;

use crate::batch::{DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch};
use crate::compression::Compression;
use crate::error::{BatchError, InvalidRecords};
use crate::header::{BatchHeader, NO_TIMESTAMP};

/// Whose clock a topic's timestamps show (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// What a topic and a Produce version ask of produced data. The default is Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationLimits {
    /// `max.message.bytes`: the largest batch, header included.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`; the two bounds below hold for `CreateTime` only.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far back a timestamp may lie.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead a timestamp may lie (KIP-937).
    pub timestamp_after_max_ms: i64,
    /// Whether zstd may be used: from Produce version 7 on (KIP-110).
    pub allow_zstd: bool,
    /// Whether each record needs a key (compacted topics). Costs a look into every record.
    pub require_keys: bool,
    /// The broker's time.
    pub now: WallTime,
}

impl ValidationLimits {
    /// Kafka's defaults at `now`.
    pub fn at(now: WallTime) -> ValidationLimits {
        ValidationLimits {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            allow_zstd: true,
            require_keys: false,
            now,
        }
    }
}

/// Checks one partition's data of a Produce request (version 3 and later) by the rules of Kafka's log
/// validator, without decompressing it, and returns its one batch. As in Kafka a cut-off second batch is
/// left out, a whole second one is refused.
///
/// # Errors
/// The first rule broken; [`InvalidRecords::error_code`] is the answer to the client.
pub fn validate(bytes: &Bytes, limits: &ValidationLimits) -> Result<RecordBatch, InvalidRecords> {
    let batch = match RecordBatch::parse(bytes.clone()) {
        Ok(batch) => batch,
        Err(BatchError::LegacyMagic(magic)) => return Err(InvalidRecords::LegacyMagic { magic }),
        Err(BatchError::Truncated { .. }) => return Err(InvalidRecords::NoBatch),
        Err(error) => return Err(error.into()),
    };
    match RecordBatch::parse(bytes.slice(batch.size_in_bytes()..)) {
        Ok(_) => return Err(InvalidRecords::MoreThanOneBatch),
        Err(BatchError::Truncated { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let header = batch.header();
    if header.compression()? == Compression::Zstd && !limits.allow_zstd {
        return Err(InvalidRecords::ZstdTooEarly);
    }
    if header.base_offset != 0 {
        return Err(InvalidRecords::BaseOffset(header.base_offset));
    }
    if batch.size_in_bytes() > limits.max_message_bytes {
        return Err(InvalidRecords::TooLarge { bytes: batch.size_in_bytes(), limit: limits.max_message_bytes });
    }
    batch.check_crc()?;
    check_header(header)?;
    check_timestamps(header, limits)?;
    if limits.require_keys {
        check_keys(&batch)?;
    }
    Ok(batch)
}

fn check_header(header: &BatchHeader) -> Result<(), InvalidRecords> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    // The sum in 64 bits, because a delta of 2³¹−1 has no count that fits it.
    if count <= 0 || i64::from(last_offset_delta) + 1 != i64::from(count) {
        return Err(InvalidRecords::RecordCount { count, last_offset_delta });
    }
    if header.is_control() {
        return Err(InvalidRecords::ControlBatch);
    }
    let wrong = |what| {
        Err(InvalidRecords::Producer {
            producer_id: header.producer_id,
            epoch: header.producer_epoch.0,
            base_sequence: header.base_sequence,
            what,
        })
    };
    if !header.has_producer_id() {
        return if header.is_transactional() { wrong("a transactional batch needs a producer id") } else { Ok(()) };
    }
    if header.producer_id.0 < 0 {
        return wrong("the producer id is negative");
    }
    if header.producer_epoch.0 < 0 {
        return wrong("an idempotent batch needs a producer epoch");
    }
    if header.base_sequence < 0 {
        return wrong("an idempotent batch needs a sequence");
    }
    Ok(())
}

fn check_timestamps(header: &BatchHeader, limits: &ValidationLimits) -> Result<(), InvalidRecords> {
    if header.is_log_append_time() {
        return Err(InvalidRecords::LogAppendTime);
    }
    if limits.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let earliest = limits.now.0.saturating_sub(limits.timestamp_before_max_ms);
    let latest = limits.now.0.saturating_add(limits.timestamp_after_max_ms);
    for timestamp in [header.base_timestamp, header.max_timestamp] {
        if timestamp != NO_TIMESTAMP && !(earliest..=latest).contains(&timestamp) {
            return Err(InvalidRecords::Timestamp { timestamp, earliest, latest });
        }
    }
    Ok(())
}

fn check_keys(batch: &RecordBatch) -> Result<(), InvalidRecords> {
    for (index, record) in batch.records_within(DEFAULT_MAX_DECOMPRESSED_BYTES).enumerate() {
        if record?.key.is_none() {
            return Err(InvalidRecords::NoKey { index: index as i32 });
        }
    }
    Ok(())
}
