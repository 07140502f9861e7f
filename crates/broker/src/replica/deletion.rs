use raftsman_types::{ErrorCode, LeaderEpoch, Offset};

use super::AppendError;

/// A deletion that the leader has done, and its followers may have or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsDeleted {
    /// Records below are deleted.
    pub before: Offset,
    /// The epoch of the leader that did it.
    pub leader_epoch: LeaderEpoch,
}

/// Why records were not deleted, or not everywhere (KIP-107).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// Another broker leads, nobody does, or this leader has not heard of the controller for a session.
    #[error("this broker does not lead the partition now")]
    NotLeaderOrFollower,
    /// Only committed records can be deleted.
    #[error("cannot delete before offset {offset}: only what is below the high watermark {high_watermark} can be")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The partition's high watermark.
        high_watermark: Offset,
    },
    /// The topic is compacted, and only that.
    #[error("the topic's cleanup.policy does not include delete")]
    PolicyViolation,
    /// The leader has deleted them; a live replica may not have when the deadline passed.
    #[error("not all live replicas have deleted the records in time")]
    TimedOut,
    /// The log directory failed; the error is in the broker's log.
    #[error("the partition's log directory is offline")]
    Storage,
}

impl DeleteRecordsError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            DeleteRecordsError::NotLeaderOrFollower => ErrorCode::NotLeaderOrFollower,
            DeleteRecordsError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            DeleteRecordsError::PolicyViolation => ErrorCode::PolicyViolation,
            DeleteRecordsError::TimedOut => ErrorCode::RequestTimedOut,
            DeleteRecordsError::Storage => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<AppendError> for DeleteRecordsError {
    /// What those are told who wait at a replica.
    fn from(error: AppendError) -> DeleteRecordsError {
        match error {
            AppendError::Storage => DeleteRecordsError::Storage,
            _ => DeleteRecordsError::NotLeaderOrFollower,
        }
    }
}
