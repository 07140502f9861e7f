use bytes::Bytes;
use raftsman_protocol::messages::group_metadata_record::{GroupMetadataKey, GroupMetadataValue};
use raftsman_protocol::messages::offset_commit_record::{OffsetCommitKey, OffsetCommitValue};
use raftsman_protocol::{DecodeError, EncodeError, Message, Reader, Str, Writer};
use raftsman_types::Uuid;

const OFFSET_COMMIT_KEY: i16 = 1;
const GROUP_METADATA_KEY: i16 = 2;
/// The newest value without tagged fields: what Kafka itself writes for both kinds.
const PLAIN_VALUE: i16 = 3;
/// The only value with an expiry of its own.
const EXPIRING_OFFSET_VALUE: i16 = 1;
/// The first value that can name the topic's id.
const TOPIC_ID_OFFSET_VALUE: i16 = 4;

/// One record of `__consumer_offsets`. A `None` value is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A committed offset.
    Offset {
        /// The group it was committed for.
        group: Str,
        /// The topic's name.
        topic: Str,
        /// The partition's index.
        partition: i32,
        /// The offset and what was committed with it.
        value: Option<OffsetCommitValue>,
    },
    /// A classic group as of its last assignment, or of becoming empty.
    Group {
        /// The group.
        group: Str,
        /// Its generation and members.
        value: Option<GroupMetadataValue>,
    },
}

/// Why bytes are not a record of the offsets topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key or the value does not follow its schema.
    #[error("a record of the offsets topic does not follow its schema: {0}")]
    Malformed(#[from] DecodeError),
    /// The value has a version newer than this program knows.
    #[error("a {kind} record has version {version}, which this version of Raftsman does not know: upgrade it")]
    UnknownVersion {
        /// `offset` or `group`.
        kind: &'static str,
        /// The version found.
        version: i16,
    },
}

impl Record {
    /// Key and value as they stand in a record batch. The value's version is the lowest that holds all of it.
    ///
    /// # Errors
    /// A text is longer than the format allows.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Record::Offset { group, topic, partition, value } => {
                let key = OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition: *partition };
                let value = value.as_ref().map(|value| versioned(value, offset_value_version(value))).transpose()?;
                Ok((versioned(&key, OFFSET_COMMIT_KEY)?, value))
            }
            Record::Group { group, value } => {
                let key = GroupMetadataKey { group: group.clone() };
                let value = value.as_ref().map(|value| versioned(value, PLAIN_VALUE)).transpose()?;
                Ok((versioned(&key, GROUP_METADATA_KEY)?, value))
            }
        }
    }

    /// Reads a record; `None` for a kind this coordinator does not keep (consumer groups of KIP-848 and later ones).
    /// Nothing of the result refers to the bytes given, so that state does not keep read buffers alive.
    ///
    /// # Errors
    /// The key or the value is malformed.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<Record>, RecordError> {
        let mut key = Reader::new(key);
        match key.i16()? {
            version @ 0..=OFFSET_COMMIT_KEY => {
                let key = OffsetCommitKey::decode(&mut key, version)?;
                let value = value.map(offset_value).transpose()?;
                let (group, topic) = (key.group.detached(), key.topic.detached());
                Ok(Some(Record::Offset { group, topic, partition: key.partition, value }))
            }
            GROUP_METADATA_KEY => {
                let key = GroupMetadataKey::decode(&mut key, GROUP_METADATA_KEY)?;
                Ok(Some(Record::Group { group: key.group.detached(), value: value.map(group_value).transpose()? }))
            }
            _ => Ok(None),
        }
    }
}

fn versioned(message: &impl Message, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(version);
    message.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

fn offset_value_version(value: &OffsetCommitValue) -> i16 {
    if value.expire_timestamp >= 0 {
        EXPIRING_OFFSET_VALUE
    } else if value.topic_id != Uuid::ZERO {
        TOPIC_ID_OFFSET_VALUE
    } else {
        PLAIN_VALUE
    }
}

fn offset_value(bytes: Bytes) -> Result<OffsetCommitValue, RecordError> {
    let mut value: OffsetCommitValue = read_value(bytes, "offset")?;
    value.metadata = value.metadata.detached();
    // Any negative time is "none"; written back it is -1.
    value.expire_timestamp = value.expire_timestamp.max(-1);
    Ok(value)
}

fn group_value(bytes: Bytes) -> Result<GroupMetadataValue, RecordError> {
    let mut value: GroupMetadataValue = read_value(bytes, "group")?;
    let detached = |text: &mut Option<Str>| *text = text.as_ref().map(Str::detached);
    value.protocol_type = value.protocol_type.detached();
    detached(&mut value.protocol);
    detached(&mut value.leader);
    for member in &mut value.members {
        member.member_id = member.member_id.detached();
        detached(&mut member.group_instance_id);
        member.client_id = member.client_id.detached();
        member.client_host = member.client_host.detached();
        member.subscription = Bytes::copy_from_slice(&member.subscription);
        member.assignment = Bytes::copy_from_slice(&member.assignment);
    }
    Ok(value)
}

fn read_value<M: Message>(bytes: Bytes, kind: &'static str) -> Result<M, RecordError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    if !M::VERSIONS.contains(&version) {
        return Err(RecordError::UnknownVersion { kind, version });
    }
    Ok(M::decode(&mut r, version)?)
}

#[cfg(test)]
mod tests;
