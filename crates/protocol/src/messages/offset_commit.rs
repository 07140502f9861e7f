// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Stores consumer group offsets.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 8, versions 0-10.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequest {
    /// Versions 0-10.
    pub group_id: Str,
    /// Versions 1-10, default -1, dropped in others.
    pub generation_id_or_member_epoch: i32,
    /// Versions 1-10, dropped in others.
    pub member_id: Str,
    /// Versions 7-10, nullable, default null.
    pub group_instance_id: Option<Str>,
    /// Versions 2-4, default -1, dropped in others.
    pub retention_time_ms: i64,
    /// Versions 0-10.
    pub topics: Vec<OffsetCommitRequestTopic>,
}

impl Default for OffsetCommitRequest {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            generation_id_or_member_epoch: -1,
            member_id: Str::default(),
            group_instance_id: None,
            retention_time_ms: -1,
            topics: Vec::new(),
        }
    }
}

impl Message for OffsetCommitRequest {
    const NAME: &'static str = "OffsetCommitRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=10;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 8;
        let value = Self {
            group_id: r.string(flexible)?,
            generation_id_or_member_epoch: if version >= 1 { r.i32()? } else { -1 },
            member_id: if version >= 1 { r.string(flexible)? } else { Str::default() },
            group_instance_id: if version >= 7 { r.nullable_string(flexible)? } else { None },
            retention_time_ms: if (2..=4).contains(&version) { r.i64()? } else { -1 },
            topics: r.array(flexible, 1, |r| OffsetCommitRequestTopic::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 8;
        w.string(&self.group_id, flexible)?;
        if version >= 1 {
            w.i32(self.generation_id_or_member_epoch);
        }
        if version >= 1 {
            w.string(&self.member_id, flexible)?;
        }
        if version >= 7 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::UnsupportedField { field: "OffsetCommitRequest.group_instance_id", version });
        }
        if (2..=4).contains(&version) {
            w.i64(self.retention_time_ms);
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::OffsetCommit as i16 == 8);

impl Request for OffsetCommitRequest {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    type Response = OffsetCommitResponse;
}

/// Part of `OffsetCommitRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitRequestTopic {
    /// Version 10, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-9, dropped in others.
    pub name: Str,
    /// Versions 0-10.
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

impl OffsetCommitRequestTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let value = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 9 { r.string(flexible)? } else { Str::default() },
            partitions: r.array(flexible, 13, |r| OffsetCommitRequestPartition::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version <= 9 {
            w.string(&self.name, flexible)?;
        }
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `OffsetCommitRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequestPartition {
    /// Versions 0-10.
    pub partition_index: i32,
    /// Versions 0-10.
    pub committed_offset: i64,
    /// Versions 6-10, default -1, dropped in others.
    pub committed_leader_epoch: i32,
    /// Version 1, default -1.
    pub commit_timestamp: i64,
    /// Versions 0-10, nullable.
    pub committed_metadata: Option<Str>,
}

impl Default for OffsetCommitRequestPartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            commit_timestamp: -1,
            committed_metadata: Some(Str::default()),
        }
    }
}

impl OffsetCommitRequestPartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let value = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: if version >= 6 { r.i32()? } else { -1 },
            commit_timestamp: if version == 1 { r.i64()? } else { -1 },
            committed_metadata: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 6 {
            w.i32(self.committed_leader_epoch);
        }
        if version == 1 {
            w.i64(self.commit_timestamp);
        } else if self.commit_timestamp != -1 {
            return Err(EncodeError::UnsupportedField {
                field: "OffsetCommitRequestPartition.commit_timestamp",
                version,
            });
        }
        w.nullable_string(self.committed_metadata.as_ref(), flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 8, versions 0-10.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponse {
    /// Versions 3-10, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-10.
    pub topics: Vec<OffsetCommitResponseTopic>,
}

impl Message for OffsetCommitResponse {
    const NAME: &'static str = "OffsetCommitResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=10;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 8;
        let value = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            topics: r.array(flexible, 1, |r| OffsetCommitResponseTopic::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 8;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `OffsetCommitResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponseTopic {
    /// Version 10, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-9, dropped in others.
    pub name: Str,
    /// Versions 0-10.
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

impl OffsetCommitResponseTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let value = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 9 { r.string(flexible)? } else { Str::default() },
            partitions: r.array(flexible, 6, |r| OffsetCommitResponsePartition::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version <= 9 {
            w.string(&self.name, flexible)?;
        }
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `OffsetCommitResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponsePartition {
    /// Versions 0-10.
    pub partition_index: i32,
    /// Versions 0-10.
    pub error_code: i16,
}

impl OffsetCommitResponsePartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let value = Self { partition_index: r.i32()?, error_code: r.i16()? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        w.i32(self.partition_index);
        w.i16(self.error_code);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
