use std::ops::RangeInclusive;

use bytes::Bytes;
use raftsman_types::{LeaderEpoch, WallTime};

use crate::batch::{DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch};
use crate::builder::BatchBuilder;
use crate::compression::Compression;
use crate::error::{BatchError, InvalidRecords};
use crate::header::{BatchHeader, NO_TIMESTAMP};
use crate::legacy::up_convert;
use crate::record::RecordIter;
use crate::record_checks::RecordChecks;

/// Kafka's default of `max.decompressed.message.bytes`, its largest array: no record is larger.
const ANY_RECORD_BYTES: usize = i32::MAX as usize - 8;

/// Whose clock a topic's timestamps show (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// How a topic's batches are compressed (`compression.type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TargetCompression {
    /// As the producer did.
    #[default]
    Producer,
    /// With one codec, whatever the producer chose. A batch that has this codec already stays as it is.
    Codec {
        /// The codec.
        codec: Compression,
        /// Its level (KIP-390); `None` is the codec's default.
        level: Option<i32>,
    },
}

/// What a topic and a Produce version ask of produced data. The default is Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationLimits {
    /// `max.message.bytes`: the largest batch, header included.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`: the largest record, as its length field counts, of a compressed batch.
    pub max_decompressed_record_bytes: usize,
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
    /// Whether message sets of formats 0 and 1 are taken, and converted: up to Produce version 2.
    pub accept_legacy: bool,
    /// `compression.type` and its level.
    pub target_compression: TargetCompression,
    /// The broker's time.
    pub now: WallTime,
}

impl ValidationLimits {
    /// Kafka's defaults at `now`.
    pub fn at(now: WallTime) -> ValidationLimits {
        ValidationLimits {
            max_message_bytes: 1_048_588,
            max_decompressed_record_bytes: ANY_RECORD_BYTES,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            allow_zstd: true,
            require_keys: false,
            accept_legacy: false,
            target_compression: TargetCompression::Producer,
            now,
        }
    }

    /// The timestamps that are accepted, ms since 1970.
    pub(crate) fn timestamp_range(&self) -> RangeInclusive<i64> {
        let earliest = self.now.0.saturating_sub(self.timestamp_before_max_ms);
        earliest..=self.now.0.saturating_add(self.timestamp_after_max_ms)
    }

    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), InvalidRecords> {
        let limit = self.max_message_bytes;
        if bytes > limit { Err(InvalidRecords::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}

impl TargetCompression {
    /// The codec and level for a batch whose producer chose `source`.
    pub(crate) fn resolve(self, source: Compression) -> (Compression, Option<i32>) {
        match self {
            TargetCompression::Producer => (source, None),
            TargetCompression::Codec { codec, level } => (codec, level),
        }
    }
}

/// Checks one partition's data of a Produce request by the rules of Kafka's log validator, and returns its one batch.
/// It is decompressed only where a rule asks for it, and it is the very bytes that came unless they are of an old
/// format or of another codec than the topic's. As in Kafka a cut-off second batch is left out, a whole second one is
/// refused.
///
/// # Errors
/// The first rule broken; [`InvalidRecords::error_code`] is the answer to the client.
pub fn validate(bytes: &Bytes, limits: &ValidationLimits) -> Result<RecordBatch, InvalidRecords> {
    let batch = match RecordBatch::parse(bytes.clone()) {
        Ok(batch) => batch,
        Err(BatchError::LegacyMagic(_)) if limits.accept_legacy => return up_convert(bytes, limits),
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
    let source = header.compression()?;
    if source == Compression::Zstd && !limits.allow_zstd {
        return Err(InvalidRecords::ZstdTooEarly);
    }
    if header.base_offset != 0 {
        return Err(InvalidRecords::BaseOffset(header.base_offset));
    }
    limits.check_size(batch.size_in_bytes())?;
    batch.check_crc()?;
    check_header(header)?;
    let (target, level) = limits.target_compression.resolve(source);
    if target != source {
        let recompressed = recompress(&batch, target, level, limits)?;
        limits.check_size(recompressed.size_in_bytes())?;
        return Ok(recompressed);
    }
    if needs_look_at_records(header, limits) {
        check_records(&batch, limits)?;
        check_header_timestamps(header, limits)?;
    }
    Ok(batch)
}

/// Packs the records of a batch anew, judging them on the way.
fn recompress(
    batch: &RecordBatch,
    target: Compression,
    level: Option<i32>,
    limits: &ValidationLimits,
) -> Result<RecordBatch, InvalidRecords> {
    let header = batch.header();
    let mut builder = BatchBuilder::new(target)
        .level(level)
        .producer(header.producer_id, header.producer_epoch, header.base_sequence)
        .transactional(header.is_transactional());
    let mut checks = RecordChecks::new(limits);
    for record in records_of(batch, limits) {
        let record = record?;
        checks.record(record.offset, record.timestamp, record.key.is_some());
        builder.append_record(&record);
    }
    checks.finish()?;
    Ok(RecordBatch::parse(builder.build(0, LeaderEpoch::NONE))?)
}

fn records_of(batch: &RecordBatch, limits: &ValidationLimits) -> RecordIter {
    batch.records_within(DEFAULT_MAX_DECOMPRESSED_BYTES).up_to(limits.max_decompressed_record_bytes)
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
    if header.is_log_append_time() {
        return Err(InvalidRecords::LogAppendTime);
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

/// Whether the header alone does not tell that every record is in order.
fn needs_look_at_records(header: &BatchHeader, limits: &ValidationLimits) -> bool {
    let is_compressed = header.compression() != Ok(Compression::None);
    if limits.require_keys || (is_compressed && limits.max_decompressed_record_bytes < ANY_RECORD_BYTES) {
        return true;
    }
    if limits.timestamp_type == TimestampType::LogAppendTime {
        return false;
    }
    // The header knows the latest timestamp, not the earliest.
    let has_lower_bound = limits.timestamp_before_max_ms != i64::MAX;
    has_lower_bound || check_header_timestamps(header, limits).is_err()
}

fn check_header_timestamps(header: &BatchHeader, limits: &ValidationLimits) -> Result<(), InvalidRecords> {
    if limits.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let range = limits.timestamp_range();
    for timestamp in [header.base_timestamp, header.max_timestamp] {
        if timestamp != NO_TIMESTAMP && !range.contains(&timestamp) {
            let (earliest, latest) = range.into_inner();
            return Err(InvalidRecords::Timestamp { timestamp, earliest, latest });
        }
    }
    Ok(())
}

fn check_records(batch: &RecordBatch, limits: &ValidationLimits) -> Result<(), InvalidRecords> {
    let mut checks = RecordChecks::new(limits);
    for record in records_of(batch, limits) {
        let record = record?;
        checks.record(record.offset, record.timestamp, record.key.is_some());
    }
    checks.finish()
}
