// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! The classic group's leader hands out assignments, the others collect theirs.

use bytes::Bytes;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 14, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupRequest {
    /// Versions 0-5.
    pub group_id: Str,
    /// Versions 0-5.
    pub generation_id: i32,
    /// Versions 0-5.
    pub member_id: Str,
    /// Versions 3-5, nullable, default null.
    pub group_instance_id: Option<Str>,
    /// Version 5, nullable, default null, dropped in others.
    pub protocol_type: Option<Str>,
    /// Version 5, nullable, default null, dropped in others.
    pub protocol_name: Option<Str>,
    /// Versions 0-5.
    pub assignments: Vec<SyncGroupRequestAssignment>,
}

impl Message for SyncGroupRequest {
    const NAME: &'static str = "SyncGroupRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            group_id: r.string(flexible)?,
            generation_id: r.i32()?,
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 3 { r.nullable_string(flexible)? } else { None },
            protocol_type: if version >= 5 { r.nullable_string(true)? } else { None },
            protocol_name: if version >= 5 { r.nullable_string(true)? } else { None },
            assignments: r.array(flexible, 2, |r| SyncGroupRequestAssignment::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        w.string(&self.group_id, flexible)?;
        w.i32(self.generation_id);
        w.string(&self.member_id, flexible)?;
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::UnsupportedField { field: "SyncGroupRequest.group_instance_id", version });
        }
        if version >= 5 {
            w.nullable_string(self.protocol_type.as_ref(), true)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name.as_ref(), true)?;
        }
        w.array(&self.assignments, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::SyncGroup as i16 == 14);

impl Request for SyncGroupRequest {
    const KEY: ApiKey = ApiKey::SyncGroup;
    type Response = SyncGroupResponse;
}

/// Part of `SyncGroupRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupRequestAssignment {
    /// Versions 0-5.
    pub member_id: Str,
    /// Versions 0-5.
    pub assignment: Bytes,
}

impl SyncGroupRequestAssignment {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self { member_id: r.string(flexible)?, assignment: r.bytes(flexible)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.member_id, flexible)?;
        w.bytes(&self.assignment, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 14, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupResponse {
    /// Versions 1-5, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-5.
    pub error_code: i16,
    /// Version 5, nullable, default null, dropped in others.
    pub protocol_type: Option<Str>,
    /// Version 5, nullable, default null, dropped in others.
    pub protocol_name: Option<Str>,
    /// Versions 0-5.
    pub assignment: Bytes,
}

impl Message for SyncGroupResponse {
    const NAME: &'static str = "SyncGroupResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.i16()?,
            protocol_type: if version >= 5 { r.nullable_string(true)? } else { None },
            protocol_name: if version >= 5 { r.nullable_string(true)? } else { None },
            assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.i16(self.error_code);
        if version >= 5 {
            w.nullable_string(self.protocol_type.as_ref(), true)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name.as_ref(), true)?;
        }
        w.bytes(&self.assignment, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
