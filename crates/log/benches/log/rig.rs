//! What the benchmarks share: logs on the real disk, and batches for them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::fs::{FileSystem, RealFs};
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{LeaderEpoch, TopicId, Uuid, WallTime};

use super::Failure;

pub const NOW: WallTime = WallTime(1_700_000_000_000);
pub const EPOCH: LeaderEpoch = LeaderEpoch(1);
const TOPIC_ID: TopicId = TopicId(Uuid([5; 16]));

/// Opens or makes a log; `clean` says whether it was closed properly.
pub fn open(directory: &Path, config: &Arc<LogConfig>, clean: bool) -> Result<Log, Failure> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new());
    let (log, _) = Log::open(fs, directory.to_owned(), TOPIC_ID, Arc::clone(config), clean, 0, NOW)?;
    Ok(log)
}

/// A batch of about so many bytes, in records of 1 KiB at most.
pub fn batch(bytes: usize) -> Bytes {
    let record_bytes = bytes.min(1024);
    let mut builder = BatchBuilder::new(Compression::None);
    let value: Vec<u8> = (0..record_bytes - 80).map(|i| ((i * 37) >> 2) as u8).collect();
    for i in 0..bytes / record_bytes {
        builder.append(NOW.0 + i as i64, None, Some(&value), &[]);
    }
    builder.build(0, LeaderEpoch(-1))
}
