// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Reads consumer group offsets; several groups at once since 8 (KIP-709).

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 9, versions 0-10.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequest {
    /// Versions 8-10.
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// Versions 0-7.
    pub group_id: Str,
    /// Versions 0-7, nullable in versions 2-7.
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// Versions 7-10.
    pub require_stable: bool,
}

impl Default for OffsetFetchRequest {
    fn default() -> Self {
        Self { groups: Vec::new(), group_id: Str::default(), topics: Some(Vec::new()), require_stable: false }
    }
}

impl Message for OffsetFetchRequest {
    const NAME: &'static str = "OffsetFetchRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=10;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            groups: if version >= 8 {
                r.array(true, 3, |r| OffsetFetchRequestGroup::decode(r, version))?
            } else {
                Vec::new()
            },
            group_id: if version <= 7 { r.string(flexible)? } else { Str::default() },
            topics: if version <= 7 {
                if version >= 2 {
                    r.nullable_array(flexible, 2, |r| OffsetFetchRequestTopic::decode(r, version))?
                } else {
                    Some(r.array(flexible, 2, |r| OffsetFetchRequestTopic::decode(r, version))?)
                }
            } else {
                Some(Vec::new())
            },
            require_stable: if version >= 7 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 6;
        if version >= 8 {
            w.array(&self.groups, true, |w, value| value.encode(w, version))?;
        } else if !self.groups.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchRequest.groups", version });
        }
        if version <= 7 {
            w.string(&self.group_id, flexible)?;
        } else if !self.group_id.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchRequest.group_id", version });
        }
        if version <= 7 {
            if version >= 2 {
                w.nullable_array(self.topics.as_deref(), flexible, |w, value| value.encode(w, version))?;
            } else {
                let value =
                    self.topics.as_deref().ok_or(EncodeError::Null { field: "OffsetFetchRequest.topics", version })?;
                w.array(value, flexible, |w, value| value.encode(w, version))?;
            }
        } else if !self.topics.as_ref().is_some_and(|value| value.is_empty()) {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchRequest.topics", version });
        }
        if version >= 7 {
            w.bool(self.require_stable);
        } else if self.require_stable {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchRequest.require_stable", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::OffsetFetch as i16 == 9);

impl Request for OffsetFetchRequest {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    type Response = OffsetFetchResponse;
}

/// Part of `OffsetFetchRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequestGroup {
    /// Versions 8-10.
    pub group_id: Str,
    /// Versions 9-10, nullable, default null, dropped in others.
    pub member_id: Option<Str>,
    /// Versions 9-10, default -1, dropped in others.
    pub member_epoch: i32,
    /// Versions 8-10, nullable.
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

impl Default for OffsetFetchRequestGroup {
    fn default() -> Self {
        Self { group_id: Str::default(), member_id: None, member_epoch: -1, topics: Some(Vec::new()) }
    }
}

impl OffsetFetchRequestGroup {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: r.string(true)?,
            member_id: if version >= 9 { r.nullable_string(true)? } else { None },
            member_epoch: if version >= 9 { r.i32()? } else { -1 },
            topics: r.nullable_array(true, 2, |r| OffsetFetchRequestTopics::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.group_id, true)?;
        if version >= 9 {
            w.nullable_string(self.member_id.as_ref(), true)?;
        }
        if version >= 9 {
            w.i32(self.member_epoch);
        }
        w.nullable_array(self.topics.as_deref(), true, |w, value| value.encode(w, version))?;
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `OffsetFetchRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequestTopics {
    /// Version 10, dropped in others.
    pub topic_id: Uuid,
    /// Versions 8-9, dropped in others.
    pub name: Str,
    /// Versions 8-10.
    pub partition_indexes: Vec<i32>,
}

impl OffsetFetchRequestTopics {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 9 { r.string(true)? } else { Str::default() },
            partition_indexes: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version <= 9 {
            w.string(&self.name, true)?;
        }
        w.array(&self.partition_indexes, true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `OffsetFetchRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequestTopic {
    /// Versions 0-7.
    pub name: Str,
    /// Versions 0-7.
    pub partition_indexes: Vec<i32>,
}

impl OffsetFetchRequestTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self { name: r.string(flexible)?, partition_indexes: r.array(flexible, 4, Reader::i32)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.array(&self.partition_indexes, flexible, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 9, versions 0-10.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponse {
    /// Versions 3-10, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 8-10.
    pub groups: Vec<OffsetFetchResponseGroup>,
    /// Versions 0-7.
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// Versions 2-7, dropped in others.
    pub error_code: i16,
}

impl Message for OffsetFetchResponse {
    const NAME: &'static str = "OffsetFetchResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=10;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            groups: if version >= 8 {
                r.array(true, 5, |r| OffsetFetchResponseGroup::decode(r, version))?
            } else {
                Vec::new()
            },
            topics: if version <= 7 {
                r.array(flexible, 2, |r| OffsetFetchResponseTopic::decode(r, version))?
            } else {
                Vec::new()
            },
            error_code: if (2..=7).contains(&version) { r.i16()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 6;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        if version >= 8 {
            w.array(&self.groups, true, |w, value| value.encode(w, version))?;
        } else if !self.groups.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchResponse.groups", version });
        }
        if version <= 7 {
            w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "OffsetFetchResponse.topics", version });
        }
        if (2..=7).contains(&version) {
            w.i16(self.error_code);
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `OffsetFetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseGroup {
    /// Versions 8-10.
    pub group_id: Str,
    /// Versions 8-10.
    pub topics: Vec<OffsetFetchResponseTopics>,
    /// Versions 8-10.
    pub error_code: i16,
}

impl OffsetFetchResponseGroup {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: r.string(true)?,
            topics: r.array(true, 2, |r| OffsetFetchResponseTopics::decode(r, version))?,
            error_code: r.i16()?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.group_id, true)?;
        w.array(&self.topics, true, |w, value| value.encode(w, version))?;
        w.i16(self.error_code);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `OffsetFetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseTopics {
    /// Version 10, dropped in others.
    pub topic_id: Uuid,
    /// Versions 8-9, dropped in others.
    pub name: Str,
    /// Versions 8-10.
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

impl OffsetFetchResponseTopics {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 9 { r.string(true)? } else { Str::default() },
            partitions: r.array(true, 20, |r| OffsetFetchResponsePartitions::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version <= 9 {
            w.string(&self.name, true)?;
        }
        w.array(&self.partitions, true, |w, value| value.encode(w, version))?;
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `OffsetFetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchResponsePartitions {
    /// Versions 8-10.
    pub partition_index: i32,
    /// Versions 8-10.
    pub committed_offset: i64,
    /// Versions 8-10, default -1.
    pub committed_leader_epoch: i32,
    /// Versions 8-10, nullable.
    pub metadata: Option<Str>,
    /// Versions 8-10.
    pub error_code: i16,
}

impl Default for OffsetFetchResponsePartitions {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: Some(Str::default()),
            error_code: 0,
        }
    }
}

impl OffsetFetchResponsePartitions {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: r.i32()?,
            metadata: r.nullable_string(true)?,
            error_code: r.i16()?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        w.i32(self.committed_leader_epoch);
        w.nullable_string(self.metadata.as_ref(), true)?;
        w.i16(self.error_code);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `OffsetFetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseTopic {
    /// Versions 0-7.
    pub name: Str,
    /// Versions 0-7.
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

impl OffsetFetchResponseTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, 15, |r| OffsetFetchResponsePartition::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `OffsetFetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchResponsePartition {
    /// Versions 0-7.
    pub partition_index: i32,
    /// Versions 0-7.
    pub committed_offset: i64,
    /// Versions 5-7, default -1, dropped in others.
    pub committed_leader_epoch: i32,
    /// Versions 0-7, nullable.
    pub metadata: Option<Str>,
    /// Versions 0-7.
    pub error_code: i16,
}

impl Default for OffsetFetchResponsePartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: Some(Str::default()),
            error_code: 0,
        }
    }
}

impl OffsetFetchResponsePartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: if version >= 5 { r.i32()? } else { -1 },
            metadata: r.nullable_string(flexible)?,
            error_code: r.i16()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 5 {
            w.i32(self.committed_leader_epoch);
        }
        w.nullable_string(self.metadata.as_ref(), flexible)?;
        w.i16(self.error_code);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
