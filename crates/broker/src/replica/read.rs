use bytes::Bytes;
use raftsman_log::AbortedTransaction;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset};

/// How far a consumer may read (KIP-98).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

/// What a topic says about fetchers of old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchTerms {
    /// `message.downconversion.enable`: whether records are converted to formats 0 and 1.
    pub down_conversion: bool,
    /// Whether `compression.type` is zstd, which old fetchers cannot unpack (KIP-110).
    pub is_zstd: bool,
}

/// One partition of a consumer's fetch.
#[derive(Debug, Clone, Copy)]
pub struct FetchRead {
    /// The first offset wanted.
    pub fetch_offset: Offset,
    /// The leader epoch the client knows, if it checks (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the last record the client has, if it wants divergence detected (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// The most bytes wanted.
    pub max_bytes: usize,
    /// Whether one batch is wanted even if it is larger than `max_bytes` (KIP-74).
    pub at_least_one: bool,
    /// How far to read.
    pub isolation: Isolation,
}

/// What a fetch read. Whole batches; the first may start below the offset asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The batches' bytes, in order.
    pub chunks: Vec<Bytes>,
    /// The offset after the last batch read; the offset asked for if there was none.
    pub next_offset: Offset,
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// Everything below is decided (no transaction open).
    pub last_stable_offset: Offset,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// What a `read_committed` consumer has to leave out of the batches: the aborted transactions with records among them
    /// (KIP-98). `None` for others.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// Set instead of any bytes if the client's log has diverged: its last common epoch and that epoch's end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

impl Fetched {
    /// How many bytes the chunks hold.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Another broker leads, nobody does, or this leader has not heard of the controller for a session.
    #[error("this broker does not lead the partition now")]
    NotLeaderOrFollower,
    /// The client knows an older leader.
    #[error("the client's leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    /// The client knows a newer leader than this broker does.
    #[error("the client's leader epoch is newer than this broker knows")]
    UnknownLeaderEpoch,
    /// The offset is outside the log.
    #[error("the offset is outside the log, which starts at {start} and ends at {end}")]
    OffsetOutOfRange {
        /// The log's first offset.
        start: Offset,
        /// The offset after its last record.
        end: Offset,
    },
    /// A new leader's high watermark has not reached the start of its epoch: the true one may lie above it (KIP-207).
    #[error("the leader is new and does not know the high watermark yet")]
    OffsetNotAvailable,
    /// What is stored there is not what was written; the broker's log says where and what to do.
    #[error("the stored batch is damaged")]
    Damaged,
    /// The broker has too many files open to open the log's.
    #[error("the broker has too many open files: retry")]
    TooManyOpenFiles,
    /// The log directory failed; the error is in the broker's log.
    #[error("the partition's log directory is offline")]
    Storage,
}

impl FetchError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            FetchError::NotLeaderOrFollower => ErrorCode::NotLeaderOrFollower,
            FetchError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            FetchError::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            FetchError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            FetchError::OffsetNotAvailable => ErrorCode::OffsetNotAvailable,
            FetchError::Damaged => ErrorCode::CorruptMessage,
            // To this one every client retries.
            FetchError::TooManyOpenFiles | FetchError::Storage => ErrorCode::KafkaStorageError,
        }
    }
}

/// What ListOffsets found; all -1 if there is no such record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset.
    pub offset: Offset,
    /// The timestamp of its record, milliseconds since 1970; -1 if none was asked for.
    pub timestamp_ms: i64,
    /// The epoch of its record.
    pub leader_epoch: LeaderEpoch,
}

/// What a replica is to its partition now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// Neither: nobody leads, the metadata has not said yet, or its directory is offline.
    Idle,
}

/// A replica as it is now: for handlers, health and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionState {
    /// Leader, follower or neither.
    pub role: ReplicaRole,
    /// The leader epoch it knows.
    pub leader_epoch: LeaderEpoch,
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// The offset after its last record.
    pub log_end_offset: Offset,
    /// Everything below is on the disk.
    pub flushed_offset: Offset,
    /// Its log's first offset.
    pub log_start_offset: Offset,
    /// How many replicas are in sync, as far as a leader knows; 0 elsewhere.
    pub in_sync: usize,
}
