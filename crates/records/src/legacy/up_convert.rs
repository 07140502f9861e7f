use bytes::Bytes;
use raftsman_types::LeaderEpoch;

use super::message_set::MessageSet;
use crate::batch::{DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch};
use crate::builder::BatchBuilder;
use crate::error::InvalidRecords;
use crate::record_checks::RecordChecks;
use crate::validate::ValidationLimits;

/// Makes one v2 batch of a produced message set, under the rules Kafka has for it: all messages of one format, a
/// compressed wrapper alone, nothing compressed within, every CRC right. The producer's offsets mean nothing.
///
/// # Errors
/// The rule that is broken.
pub(crate) fn up_convert(bytes: &Bytes, limits: &ValidationLimits) -> Result<RecordBatch, InvalidRecords> {
    let set = MessageSet::open(bytes, DEFAULT_MAX_DECOMPRESSED_BYTES)?;
    limits.check_size(set.largest_entry_bytes)?;
    let (compression, level) = limits.target_compression.resolve(set.compression);
    let mut builder = BatchBuilder::new(compression).level(level);
    let mut checks = RecordChecks::new(limits);
    for message in set.messages() {
        let message = message?;
        if message.is_log_append_time() {
            return Err(InvalidRecords::LogAppendTime);
        }
        checks.record(message.offset, message.timestamp, message.key.is_some());
        builder.append(message.timestamp, message.key.as_deref(), message.value.as_deref(), &[]);
    }
    checks.finish()?;
    if builder.is_empty() {
        return Err(InvalidRecords::EmptyWrapper);
    }
    let batch = RecordBatch::parse(builder.build(0, LeaderEpoch::NONE))?;
    limits.check_size(batch.size_in_bytes())?;
    Ok(batch)
}
