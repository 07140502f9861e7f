use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsman_records::BatchError;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, ProducerId, TopicId};
use rustix::io::Errno;

/// An I/O error with what was being done to which file. Cheap to clone: an offline log gives the same
/// one to every later call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct StorageError {
    /// What was being done, an infinitive.
    pub operation: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// What the system answered.
    pub source: Arc<io::Error>,
}

impl StorageError {
    pub(crate) fn new(operation: &'static str, path: &Path, source: io::Error) -> StorageError {
        StorageError { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether there was no room for a write. Nothing is in doubt then, and it may be tried again once there is room;
    /// a *sync* that finds no room is like any failed sync: nobody knows what the disk holds.
    pub fn is_out_of_space(&self) -> bool {
        let no_room = matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        no_room && !self.operation.starts_with("sync")
    }

    /// Whether a file could not be opened because the process, or the system, has too many open. That says nothing of the disk, and
    /// nothing was done: it may be tried again.
    pub fn is_out_of_files(&self) -> bool {
        is_out_of_files(&self.source)
    }

    /// Whether a file was read that is not what it should be. That says nothing of the other files on the disk.
    pub fn is_damage(&self) -> bool {
        self.source.kind() == io::ErrorKind::InvalidData
    }

    /// Whether it passes, and the log is as it was.
    pub fn is_passing(&self) -> bool {
        self.is_out_of_space() || self.is_out_of_files()
    }

    /// The same, in the middle of a change that can neither be undone nor done again: it counts as any other error then, even
    /// if there was only no room, or no file could be opened.
    pub(crate) fn half_way(self) -> StorageError {
        let remedy = match () {
            () if self.is_out_of_space() => "make room and restart the broker",
            () if self.is_out_of_files() => "raise the limit of open files and restart the broker",
            () => return self,
        };
        let source = io::Error::other(format!("{}; part of a change was made: {remedy}", self.source));
        StorageError { source: Arc::new(source), ..self }
    }
}

/// Whether it was for want of file descriptors.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| lacking.contains(&code))
}

/// Adds operation and path to an `io::Result`.
pub(crate) trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::new(operation, path, source))
    }
}

/// Why a log cannot be opened or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// A file operation failed. On an open log this is final: the log stays offline until it is opened anew.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The directory belongs to another topic, of the same name.
    #[error(
        "{} holds topic id {found} but {expected} was expected: the topic was deleted and created again; \
         move the directory away",
        path.display()
    )]
    TopicIdMismatch {
        /// The partition's directory.
        path: PathBuf,
        /// The id asked for.
        expected: TopicId,
        /// The id in `partition.metadata`.
        found: TopicId,
    },
    /// Data that had been flushed is damaged or gone. Nothing was cut: the replica must be copied anew
    /// from another one, or its directory moved away.
    #[error(
        "{} is damaged at position {position} (offset {offset}), below its recovery point {recovery_point}: {reason}; \
         the file was left as it is, restore this replica from another one",
        path.display()
    )]
    DamagedBelowRecoveryPoint {
        /// The damaged file.
        path: PathBuf,
        /// Byte position in it.
        position: u64,
        /// The first offset that cannot be read.
        offset: Offset,
        /// Up to where the log had been flushed.
        recovery_point: Offset,
        /// What is wrong.
        reason: String,
    },
    /// Messages of a format that Kafka wrote before 0.11, which is not read here. Nothing was cut.
    #[error(
        "{} has messages of format {magic} at position {position} (offset {offset}), as Kafka wrote them before 0.11, which are \
         not served here; the files were left as they are: put the directory back under Kafka 3.x, and either copy the topic into \
         a new one there (a consumer and a producer, or MirrorMaker, write the present format) or wait until retention has \
         deleted the old segments",
        path.display()
    )]
    LegacyFormat {
        /// The segment's file.
        path: PathBuf,
        /// Byte position of the first such message in it.
        position: u64,
        /// The offset that is expected there.
        offset: Offset,
        /// The format, 0 or 1.
        magic: i8,
    },
    /// A checkpoint or metadata file does not say what it should.
    #[error("{} is not readable: {reason}{}", path.display(), remedy(path))]
    MalformedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and with which line.
        reason: String,
    },
    /// An offset outside the log.
    #[error("offset {offset} is outside the log, which covers {start} to {end}")]
    OffsetOutOfRange {
        /// The offset given.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// A leader epoch below one the log already knows.
    #[error("leader epoch {got} at offset {offset} is below epoch {latest}, which the log already has")]
    StaleLeaderEpoch {
        /// The latest epoch of the log.
        latest: LeaderEpoch,
        /// The epoch given.
        got: LeaderEpoch,
        /// The offset it was to start at.
        offset: Offset,
    },
}

/// What to do about a file that is not readable; nothing for the one whose reader knows better.
fn remedy(path: &Path) -> &'static str {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("recovery-point-offset-checkpoint") => {
            "; remove it, and every log is checked from its first batch at the next start"
        }
        Some("log-start-offset-checkpoint") => {
            "; remove it, and logs begin where their first files do (deleted records may come back)"
        }
        Some("replication-offset-checkpoint") => "; remove it, and high watermarks are learnt anew from the replicas",
        Some("partition.metadata") => {
            "; put it back, or remove it, and the replica counts as that of the topic which now has its name"
        }
        _ => "",
    }
}

impl LogError {
    /// Whether there was no room for a write: the log is as it was, and stays online.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, LogError::Storage(error) if error.is_out_of_space())
    }

    /// Whether a file could not be opened because too many are: the log is as it was, and stays online.
    pub fn is_out_of_files(&self) -> bool {
        matches!(self, LogError::Storage(error) if error.is_out_of_files())
    }

    /// Either: [`StorageError::is_passing`].
    pub fn is_passing(&self) -> bool {
        matches!(self, LogError::Storage(error) if error.is_passing())
    }

    /// The code a client or replica gets for it.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            LogError::TopicIdMismatch { .. } => ErrorCode::InconsistentTopicId,
            LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            LogError::StaleLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            LogError::Storage(_)
            | LogError::DamagedBelowRecoveryPoint { .. }
            | LogError::LegacyFormat { .. }
            | LogError::MalformedFile { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The bytes are no whole, valid batches.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// One batch is above `max.message.bytes`.
    #[error("record batch of {bytes} bytes is over the topic's limit of {limit}")]
    TooLarge {
        /// The batch's bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The batches together do not fit a segment.
    #[error("{bytes} bytes of record batches do not fit a segment of {limit}")]
    LargerThanSegment {
        /// The bytes.
        bytes: usize,
        /// `segment.bytes`.
        limit: u64,
    },
    /// A gap in an idempotent producer's sequence, or a repeat too old to be recognised.
    #[error("producer {producer_id} sent sequence {got} where {expected} was expected")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The sequence that would continue the log's.
        expected: i32,
        /// The batch's first sequence.
        got: i32,
    },
    /// The producer was fenced by a newer instance of itself.
    #[error("producer {producer_id} sent epoch {got} but epoch {current} has been seen")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The latest epoch seen.
        current: i16,
        /// The batch's epoch.
        got: i16,
    },
    /// A leader or a batch of an epoch below the log's latest.
    #[error("leader epoch {got} is below epoch {latest}, which the log already has")]
    StaleLeaderEpoch {
        /// The latest epoch of the log.
        latest: LeaderEpoch,
        /// The epoch given.
        got: LeaderEpoch,
    },
    /// A follower's batches do not continue its log.
    #[error("batch starts at offset {got} but the log ends at {expected}")]
    UnexpectedOffset {
        /// The log end offset.
        expected: Offset,
        /// The batch's first offset.
        got: Offset,
    },
    /// The write failed, now or earlier: the log is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AppendError {
    /// The code a client gets for it.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            AppendError::Batch(error) => error.error_code(),
            AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            AppendError::StaleLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::UnexpectedOffset { .. } => ErrorCode::OffsetOutOfRange,
            AppendError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the log's start or past its end.
    #[error("offset {offset} is outside the log, which covers {start} to {end}")]
    OutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// The stored bytes are not the batches they should be.
    #[error("{} holds no valid batch at position {position}: {source}", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Byte position in it.
        position: u64,
        /// What is wrong.
        source: BatchError,
    },
    /// The read failed, or the log is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// Whether a file could not be opened because too many are: the same read may be tried again.
    pub fn is_out_of_files(&self) -> bool {
        matches!(self, ReadError::Storage(error) if error.is_out_of_files())
    }

    /// The code a client gets for it.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
            ReadError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}
