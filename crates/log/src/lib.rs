//! One partition's log in Kafka's files: segments, sparse indexes, producer snapshots, the leader epoch
//! checkpoint; and the files of the directory logs live in.
//!
//! Synchronous and without locks: the broker holds each [`Log`] behind its own. Everything goes through
//! [`fs::FileSystem`], so that the simulator runs this very code and cuts its power where it likes.
//!
//! Rules that hold throughout:
//! - The batches are the truth. Indexes, snapshots and epochs of batches are rebuilt whenever in doubt.
//! - What was flushed is never cut silently: damage below the recovery point is an error of its own.
//! - What comes from the disk is checked before anybody gets it: CRC, offset and leader epoch of each batch.
//! - A failed write or sync is final. The log answers every later call with the same error; only opening
//!   it anew, with recovery, tells what is on disk.
//! - An idle log holds no open file and next to no memory.

mod atomic_file;
mod checkpoint;
mod cold_read;
mod compaction;
mod config;
pub mod dir;
mod epoch_cache;
mod epoch_file;
mod error;
mod flush;
pub mod fs;
mod index;
mod log;
mod open_files;
mod place;
mod producer;
pub mod raw;
mod scanner;
mod segment;
mod tail_cache;

pub use cold_read::ColdRead;
pub use compaction::{
    CleanedGroup, Compaction, CompactionError, CompactionLimits, CompactionPlan, CompactionStats, Pace, Stopped,
};
pub use config::LogConfig;
pub use error::{AppendError, LogError, ReadError, StorageError};
pub use flush::FlushTicket;
pub use index::AbortedTransaction;
pub use log::{
    AppendInfo, DeletedSegments, LeftBehind, Log, LogOpening, ReadData, Recovery, SegmentTime, TimestampLookup,
};
pub use open_files::OpenFiles;
pub use raftsman_records::TimestampType;
pub use tail_cache::CacheBudget;
