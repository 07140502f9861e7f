// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Finds offsets by timestamp, or the special timestamps -1 (latest), -2 (earliest) and below.

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 2, versions 0-11.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsRequest {
    /// Versions 0-11.
    pub replica_id: i32,
    /// Versions 2-11.
    pub isolation_level: i8,
    /// Versions 0-11.
    pub topics: Vec<ListOffsetsTopic>,
    /// Versions 10-11, dropped in others.
    pub timeout_ms: i32,
}

impl Message for ListOffsetsRequest {
    const NAME: &'static str = "ListOffsetsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=11;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            replica_id: r.i32()?,
            isolation_level: if version >= 2 { r.i8()? } else { 0 },
            topics: r.array(flexible, 2, |r| ListOffsetsTopic::decode(r, version))?,
            timeout_ms: if version >= 10 { r.i32()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 6;
        w.i32(self.replica_id);
        if version >= 2 {
            w.i8(self.isolation_level);
        } else if self.isolation_level != 0 {
            return Err(EncodeError::UnsupportedField { field: "ListOffsetsRequest.isolation_level", version });
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if version >= 10 {
            w.i32(self.timeout_ms);
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::ListOffsets as i16 == 2);

impl Request for ListOffsetsRequest {
    const KEY: ApiKey = ApiKey::ListOffsets;
    type Response = ListOffsetsResponse;
}

/// Part of `ListOffsetsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsTopic {
    /// Versions 0-11.
    pub name: Str,
    /// Versions 0-11.
    pub partitions: Vec<ListOffsetsPartition>,
}

impl ListOffsetsTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, 12, |r| ListOffsetsPartition::decode(r, version))?,
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

/// Part of `ListOffsetsRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartition {
    /// Versions 0-11.
    pub partition_index: i32,
    /// Versions 4-11, default -1, dropped in others.
    pub current_leader_epoch: i32,
    /// Versions 0-11.
    pub timestamp: i64,
    /// Version 0, default 1.
    pub max_num_offsets: i32,
}

impl Default for ListOffsetsPartition {
    fn default() -> Self {
        Self { partition_index: 0, current_leader_epoch: -1, timestamp: 0, max_num_offsets: 1 }
    }
}

impl ListOffsetsPartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            partition_index: r.i32()?,
            current_leader_epoch: if version >= 4 { r.i32()? } else { -1 },
            timestamp: r.i64()?,
            max_num_offsets: if version <= 0 { r.i32()? } else { 1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.i32(self.partition_index);
        if version >= 4 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.timestamp);
        if version <= 0 {
            w.i32(self.max_num_offsets);
        } else if self.max_num_offsets != 1 {
            return Err(EncodeError::UnsupportedField { field: "ListOffsetsPartition.max_num_offsets", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 2, versions 0-11.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsResponse {
    /// Versions 2-11, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-11.
    pub topics: Vec<ListOffsetsTopicResponse>,
}

impl Message for ListOffsetsResponse {
    const NAME: &'static str = "ListOffsetsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=11;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            throttle_time_ms: if version >= 2 { r.i32()? } else { 0 },
            topics: r.array(flexible, 2, |r| ListOffsetsTopicResponse::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 6;
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ListOffsetsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsTopicResponse {
    /// Versions 0-11.
    pub name: Str,
    /// Versions 0-11.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

impl ListOffsetsTopicResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, 6, |r| ListOffsetsPartitionResponse::decode(r, version))?,
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

/// Part of `ListOffsetsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    /// Versions 0-11.
    pub partition_index: i32,
    /// Versions 0-11.
    pub error_code: i16,
    /// Versions 1-11, default -1.
    pub timestamp: i64,
    /// Versions 1-11, default -1.
    pub offset: i64,
    /// Versions 4-11, default -1.
    pub leader_epoch: i32,
    /// Version 0.
    pub old_style_offsets: Vec<i64>,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
            old_style_offsets: Vec::new(),
        }
    }
}

impl ListOffsetsPartitionResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            partition_index: r.i32()?,
            error_code: r.i16()?,
            timestamp: if version >= 1 { r.i64()? } else { -1 },
            offset: if version >= 1 { r.i64()? } else { -1 },
            leader_epoch: if version >= 4 { r.i32()? } else { -1 },
            old_style_offsets: if version <= 0 { r.array(false, 8, Reader::i64)? } else { Vec::new() },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.i32(self.partition_index);
        w.i16(self.error_code);
        if version >= 1 {
            w.i64(self.timestamp);
        } else if self.timestamp != -1 {
            return Err(EncodeError::UnsupportedField { field: "ListOffsetsPartitionResponse.timestamp", version });
        }
        if version >= 1 {
            w.i64(self.offset);
        } else if self.offset != -1 {
            return Err(EncodeError::UnsupportedField { field: "ListOffsetsPartitionResponse.offset", version });
        }
        if version >= 4 {
            w.i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::UnsupportedField { field: "ListOffsetsPartitionResponse.leader_epoch", version });
        }
        if version <= 0 {
            w.array(&self.old_style_offsets, false, |w, value| {
                w.i64(*value);
                Ok(())
            })?;
        } else if !self.old_style_offsets.is_empty() {
            return Err(EncodeError::UnsupportedField {
                field: "ListOffsetsPartitionResponse.old_style_offsets",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
