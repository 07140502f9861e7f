use bytes::Bytes;
use raftsman_coordinator::Record;
use raftsman_protocol::EncodeError;
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{LeaderEpoch, WallTime};

/// Records as batches of at most about `max_bytes`, in their order. A larger record has a batch of its own.
///
/// # Errors
/// A record that the format cannot express.
pub(super) fn encode(records: &[Record], now: WallTime, max_bytes: usize) -> Result<Vec<Bytes>, EncodeError> {
    let mut batches = Vec::new();
    let mut batch = BatchBuilder::new(Compression::None);
    for record in records {
        let (key, value) = record.encode()?;
        let size = key.len() + value.as_ref().map_or(0, Bytes::len);
        if !batch.is_empty() && batch.uncompressed_size() + size > max_bytes {
            batches.push(finish(&batch));
            batch = BatchBuilder::new(Compression::None);
        }
        batch.append(now.0, Some(&key), value.as_deref(), &[]);
    }
    if !batch.is_empty() {
        batches.push(finish(&batch));
    }
    Ok(batches)
}

/// The log sets the base offset and the leader epoch.
fn finish(batch: &BatchBuilder) -> Bytes {
    batch.build(0, LeaderEpoch::NONE)
}
