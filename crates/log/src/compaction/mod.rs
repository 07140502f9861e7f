//! Compaction: of the records of a key only the newest is kept (`cleanup.policy=compact`).
//!
//! What is to be compacted ([`plan`]), which segments become one ([`groups`]), and what of a batch stays ([`retain`],
//! with [`transactions`]) is decided apart from the disk. [`pass`] carries one pass out beside the log, without its
//! lock: sealed segments do not change. Only swapping the outcome in takes the log itself (`log::compacting`).

mod cleaned;
mod error;
mod groups;
mod key_offsets;
mod pass;
mod plan;
mod retain;
mod transactions;

pub use cleaned::CleanedGroup;
pub(crate) use cleaned::{CleanedFiles, RenamedFiles};
pub use error::{CompactionError, Stopped};
pub(crate) use pass::Source;
pub use pass::{Compaction, CompactionStats, Pace};
pub use plan::CompactionPlan;
pub(crate) use plan::SegmentFacts;

/// What a compaction may use: the broker's `log.cleaner.*` settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionLimits {
    /// `log.cleaner.dedupe.buffer.size`, of one thread: the most bytes of memory for keys. What does not fit is
    /// compacted in further passes.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: up to how much (0 to 1) that memory is filled.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`, of one thread: how much is read and written at once.
    pub io_buffer_bytes: usize,
    /// Keys are told apart by a keyed hash of 128 bits; a secret key, drawn at random, keeps clients from choosing keys
    /// that collide.
    pub hash_key: [u8; 16],
}
