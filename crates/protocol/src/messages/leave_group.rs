// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Members leave a classic group; several at once since 3 (KIP-345).

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 13, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeaveGroupRequest {
    /// Versions 0-5.
    pub group_id: Str,
    /// Versions 3-5.
    pub members: Vec<MemberIdentity>,
    /// Versions 0-2.
    pub member_id: Str,
}

impl Message for LeaveGroupRequest {
    const NAME: &'static str = "LeaveGroupRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            group_id: r.string(flexible)?,
            members: if version >= 3 {
                r.array(flexible, 2, |r| MemberIdentity::decode(r, version))?
            } else {
                Vec::new()
            },
            member_id: if version <= 2 { r.string(false)? } else { Str::default() },
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
        if version >= 3 {
            w.array(&self.members, flexible, |w, value| value.encode(w, version))?;
        } else if !self.members.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "LeaveGroupRequest.members", version });
        }
        if version <= 2 {
            w.string(&self.member_id, false)?;
        } else if !self.member_id.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "LeaveGroupRequest.member_id", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::LeaveGroup as i16 == 13);

impl Request for LeaveGroupRequest {
    const KEY: ApiKey = ApiKey::LeaveGroup;
    type Response = LeaveGroupResponse;
}

/// Part of `LeaveGroupRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberIdentity {
    /// Versions 3-5.
    pub member_id: Str,
    /// Versions 3-5, nullable, default null.
    pub group_instance_id: Option<Str>,
    /// Version 5, nullable, default null, dropped in others.
    pub reason: Option<Str>,
}

impl MemberIdentity {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: r.nullable_string(flexible)?,
            reason: if version >= 5 { r.nullable_string(true)? } else { None },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.member_id, flexible)?;
        w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        if version >= 5 {
            w.nullable_string(self.reason.as_ref(), true)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 13, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeaveGroupResponse {
    /// Versions 1-5, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-5.
    pub error_code: i16,
    /// Versions 3-5.
    pub members: Vec<MemberResponse>,
}

impl Message for LeaveGroupResponse {
    const NAME: &'static str = "LeaveGroupResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.i16()?,
            members: if version >= 3 {
                r.array(flexible, 4, |r| MemberResponse::decode(r, version))?
            } else {
                Vec::new()
            },
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
        if version >= 3 {
            w.array(&self.members, flexible, |w, value| value.encode(w, version))?;
        } else if !self.members.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "LeaveGroupResponse.members", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `LeaveGroupResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberResponse {
    /// Versions 3-5.
    pub member_id: Str,
    /// Versions 3-5, nullable.
    pub group_instance_id: Option<Str>,
    /// Versions 3-5.
    pub error_code: i16,
}

impl Default for MemberResponse {
    fn default() -> Self {
        Self { member_id: Str::default(), group_instance_id: Some(Str::default()), error_code: 0 }
    }
}

impl MemberResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: r.nullable_string(flexible)?,
            error_code: r.i16()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.member_id, flexible)?;
        w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        w.i16(self.error_code);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
