//! To and from `types` and `metadata`. Towards pb nothing can fail; from pb everything is checked, and a refusal names
//! the field, so that a node which meets a record of a newer release can say so and stop.

mod change;
mod configs;
mod entry;
mod partition;
mod record;
mod registration;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use raftsman_types::{BrokerId, DirectoryId, TopicId, TopicIdPartition, Uuid};

use crate::metadata as pb;

pub use partition::{partition_from_pb, partition_to_pb};

/// The layout version that this release writes and the only one it reads.
pub const RECORD_VERSION: u32 = 1;

/// Why a message from the wire or the disk is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A record whose kind this release does not know.
    #[error(
        "a metadata record is of a kind this release does not know: it was written by a newer one, upgrade this node"
    )]
    UnknownRecord,
    /// A record in a layout this release does not know.
    #[error(
        "a metadata record has layout version {0}, this release knows {RECORD_VERSION}: it was written by a newer one, upgrade this node"
    )]
    UnknownRecordVersion(u32),
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// An id that is not 16 bytes long.
    #[error("field {field} has {length} bytes, an id has 16")]
    NotAnId {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A number outside what the field can mean.
    #[error("field {field} cannot be {value}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it was.
        value: i64,
    },
    /// Bytes that are no protobuf message.
    #[error("the bytes are no {what}: {reason}")]
    Undecodable {
        /// Which message was expected.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// An id as it stands in a message.
pub fn id_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}

/// An id from a message; no bytes at all are the zero id, as protobuf leaves defaults out.
///
/// # Errors
/// [`ConvertError::NotAnId`] for any other length than 0 and 16.
pub fn id_from_bytes(field: &'static str, bytes: &[u8]) -> Result<Uuid, ConvertError> {
    if bytes.is_empty() {
        return Ok(Uuid::ZERO);
    }
    let id = bytes.try_into().map_err(|_| ConvertError::NotAnId { field, length: bytes.len() })?;
    Ok(Uuid(id))
}

fn topic_id(field: &'static str, bytes: &[u8]) -> Result<TopicId, ConvertError> {
    id_from_bytes(field, bytes).map(TopicId)
}

fn directories_to_pb(directories: &[DirectoryId]) -> Vec<Bytes> {
    directories.iter().map(|d| id_bytes(d.0)).collect()
}

fn directories_from_pb(field: &'static str, directories: &[Bytes]) -> Result<Vec<DirectoryId>, ConvertError> {
    directories.iter().map(|d| id_from_bytes(field, d).map(DirectoryId)).collect()
}

fn brokers_to_pb(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|b| b.0).collect()
}

fn brokers_from_pb(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

fn text(value: &str) -> Arc<str> {
    Arc::from(value)
}

fn narrow<T: TryFrom<i64>>(field: &'static str, value: impl Into<i64>) -> Result<T, ConvertError> {
    let value = value.into();
    T::try_from(value).map_err(|_| ConvertError::OutOfRange { field, value })
}

impl From<TopicIdPartition> for pb::TopicIdPartition {
    fn from(at: TopicIdPartition) -> pb::TopicIdPartition {
        pb::TopicIdPartition { topic_id: id_bytes(at.topic_id.0), partition: at.partition }
    }
}

impl TryFrom<&pb::TopicIdPartition> for TopicIdPartition {
    type Error = ConvertError;

    fn try_from(at: &pb::TopicIdPartition) -> Result<TopicIdPartition, ConvertError> {
        Ok(TopicIdPartition { topic_id: topic_id("topic_id", &at.topic_id)?, partition: at.partition })
    }
}
