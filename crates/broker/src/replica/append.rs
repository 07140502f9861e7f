use raftsman_records::RecordError;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset};

/// When a produce request is answered (Kafka's `acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Never (0).
    None,
    /// When the leader has written it (1).
    Leader,
    /// When it is below the high watermark (-1).
    All,
}

/// Who appends: clients may not write what only the broker's own parts may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A produce request.
    Client,
    /// A produce request of version 0 to 2, whose records may be of formats 0 and 1.
    LegacyClient,
    /// A coordinator on this broker, which knows the log as of its becoming leader in this epoch.
    Coordinator(LeaderEpoch),
}

/// Where records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record; of the first copy's if this was a producer's repetition.
    pub base_offset: Offset,
    /// The offset of the last record: what [`committed`](super::ReplicaManager::committed) is asked for.
    pub last_offset: Offset,
    /// The time the log gave the records, milliseconds since 1970, if the topic says `LogAppendTime`; else -1.
    pub log_append_time_ms: i64,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// The epoch they were appended in.
    pub leader_epoch: LeaderEpoch,
    /// Whether nothing was written because the same batch stands in the log already (KIP-98).
    pub duplicate: bool,
}

/// Why records were not appended, or not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another broker leads, nobody does, or this leader has not heard of the controller for a session.
    #[error("this broker does not lead the partition now: refresh the metadata and retry")]
    NotLeaderOrFollower,
    /// Fewer replicas are in sync than `min.insync.replicas`: nothing was written.
    #[error("{in_sync} in-sync replicas, and min.insync.replicas asks for {required}: bring back more replicas")]
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many must be.
        required: usize,
    },
    /// The in-sync replicas became too few after the append: it may commit yet.
    #[error("too few replicas are in sync since the records were written; they may be committed yet")]
    NotEnoughReplicasAfterAppend,
    /// The deadline passed before the records were committed: they may be yet.
    #[error("the records were not replicated in time; they may be committed yet")]
    TimedOut,
    /// The disk is full up to its reserve: nothing was written.
    #[error("the disk of {directory} is full ({free_bytes} bytes free): nothing was written; retry when there is room")]
    DiskFull {
        /// The log directory.
        directory: String,
        /// What was free at the last look.
        free_bytes: u64,
    },
    /// The broker has too many files open to open the log's: nothing was written.
    #[error("the broker has too many open files: nothing was written; retry")]
    TooManyOpenFiles,
    /// The log directory failed; the error is in the broker's log.
    #[error("the partition's log directory is offline")]
    Storage,
    /// The records break a rule of the format or of the topic's settings.
    #[error("{message}")]
    Invalid {
        /// Kafka's code for it.
        code: ErrorCode,
        /// Which rule, and how.
        message: String,
        /// The single records at fault, if it is them (KIP-467).
        records: Vec<RecordError>,
    },
    /// A gap in a producer's sequence numbers.
    #[error("out of order sequence number: {0}")]
    OutOfOrderSequence(String),
    /// A newer instance of the producer has written.
    #[error("the producer's epoch is old: {0}")]
    InvalidProducerEpoch(String),
    /// The producer's state is not known here and the batch does not start a sequence.
    #[error("unknown producer: {0}")]
    UnknownProducer(String),
}

impl AppendError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            AppendError::NotLeaderOrFollower => ErrorCode::NotLeaderOrFollower,
            AppendError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            AppendError::NotEnoughReplicasAfterAppend => ErrorCode::NotEnoughReplicasAfterAppend,
            AppendError::TimedOut => ErrorCode::RequestTimedOut,
            // Kafka has none of its own; to this one every client retries.
            AppendError::DiskFull { .. } | AppendError::TooManyOpenFiles | AppendError::Storage => {
                ErrorCode::KafkaStorageError
            }
            AppendError::Invalid { code, .. } => *code,
            AppendError::OutOfOrderSequence(_) => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch(_) => ErrorCode::InvalidProducerEpoch,
            AppendError::UnknownProducer(_) => ErrorCode::UnknownProducerId,
        }
    }
}
