//! The words every other crate speaks: ids, epochs, offsets, times and Kafka's error codes.
//!
//! Pure. A type lives here only when two crates use it; nothing here knows a file, a socket or a clock.

mod epochs;
mod error_code;
mod ids;
mod time;
mod topic;
mod uuid;

pub use epochs::{BrokerEpoch, LeaderEpoch, PartitionEpoch, ProducerEpoch};
pub use error_code::ErrorCode;
pub use ids::{BrokerId, DirectoryId, IncarnationId, ProducerId, TopicId};
pub use time::{MonotonicTime, WallTime};
pub use topic::{InvalidTopicName, TopicIdPartition, TopicPartition, is_internal_topic, validate_topic_name};
pub use uuid::{ParseUuidError, Uuid};

/// A position in a partition's log. `-1` means "none" on the wire and in files, as in Kafka.
pub type Offset = i64;
