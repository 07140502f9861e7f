// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! A member enters the classic group protocol's rebalance.

use bytes::Bytes;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 11, versions 0-9.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinGroupRequest {
    /// Versions 0-9.
    pub group_id: Str,
    /// Versions 0-9.
    pub session_timeout_ms: i32,
    /// Versions 1-9, default -1, dropped in others.
    pub rebalance_timeout_ms: i32,
    /// Versions 0-9.
    pub member_id: Str,
    /// Versions 5-9, nullable, default null.
    pub group_instance_id: Option<Str>,
    /// Versions 0-9.
    pub protocol_type: Str,
    /// Versions 0-9.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// Versions 8-9, nullable, default null, dropped in others.
    pub reason: Option<Str>,
}

impl Default for JoinGroupRequest {
    fn default() -> Self {
        Self {
            group_id: Str::default(),
            session_timeout_ms: 0,
            rebalance_timeout_ms: -1,
            member_id: Str::default(),
            group_instance_id: None,
            protocol_type: Str::default(),
            protocols: Vec::new(),
            reason: None,
        }
    }
}

impl Message for JoinGroupRequest {
    const NAME: &'static str = "JoinGroupRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=9;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            group_id: r.string(flexible)?,
            session_timeout_ms: r.i32()?,
            rebalance_timeout_ms: if version >= 1 { r.i32()? } else { -1 },
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 5 { r.nullable_string(flexible)? } else { None },
            protocol_type: r.string(flexible)?,
            protocols: r.array(flexible, 2, |r| JoinGroupRequestProtocol::decode(r, version))?,
            reason: if version >= 8 { r.nullable_string(true)? } else { None },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 6;
        w.string(&self.group_id, flexible)?;
        w.i32(self.session_timeout_ms);
        if version >= 1 {
            w.i32(self.rebalance_timeout_ms);
        }
        w.string(&self.member_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::UnsupportedField { field: "JoinGroupRequest.group_instance_id", version });
        }
        w.string(&self.protocol_type, flexible)?;
        w.array(&self.protocols, flexible, |w, value| value.encode(w, version))?;
        if version >= 8 {
            w.nullable_string(self.reason.as_ref(), true)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::JoinGroup as i16 == 11);

impl Request for JoinGroupRequest {
    const KEY: ApiKey = ApiKey::JoinGroup;
    type Response = JoinGroupResponse;
}

/// Part of `JoinGroupRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JoinGroupRequestProtocol {
    /// Versions 0-9.
    pub name: Str,
    /// Versions 0-9.
    pub metadata: Bytes,
}

impl JoinGroupRequestProtocol {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self { name: r.string(flexible)?, metadata: r.bytes(flexible)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.bytes(&self.metadata, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 11, versions 0-9.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinGroupResponse {
    /// Versions 2-9, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-9.
    pub error_code: i16,
    /// Versions 0-9, default -1.
    pub generation_id: i32,
    /// Versions 7-9, nullable, default null, dropped in others.
    pub protocol_type: Option<Str>,
    /// Versions 0-9, nullable in versions 7-9.
    pub protocol_name: Option<Str>,
    /// Versions 0-9.
    pub leader: Str,
    /// Version 9.
    pub skip_assignment: bool,
    /// Versions 0-9.
    pub member_id: Str,
    /// Versions 0-9.
    pub members: Vec<JoinGroupResponseMember>,
}

impl Default for JoinGroupResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            generation_id: -1,
            protocol_type: None,
            protocol_name: Some(Str::default()),
            leader: Str::default(),
            skip_assignment: false,
            member_id: Str::default(),
            members: Vec::new(),
        }
    }
}

impl Message for JoinGroupResponse {
    const NAME: &'static str = "JoinGroupResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=9;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 6;
        let value = Self {
            throttle_time_ms: if version >= 2 { r.i32()? } else { 0 },
            error_code: r.i16()?,
            generation_id: r.i32()?,
            protocol_type: if version >= 7 { r.nullable_string(true)? } else { None },
            protocol_name: if version >= 7 { r.nullable_string(flexible)? } else { Some(r.string(flexible)?) },
            leader: r.string(flexible)?,
            skip_assignment: if version >= 9 { r.bool()? } else { false },
            member_id: r.string(flexible)?,
            members: r.array(flexible, 2, |r| JoinGroupResponseMember::decode(r, version))?,
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
        w.i16(self.error_code);
        w.i32(self.generation_id);
        if version >= 7 {
            w.nullable_string(self.protocol_type.as_ref(), true)?;
        }
        if version >= 7 {
            w.nullable_string(self.protocol_name.as_ref(), flexible)?;
        } else {
            let value = self
                .protocol_name
                .as_ref()
                .ok_or(EncodeError::Null { field: "JoinGroupResponse.protocol_name", version })?;
            w.string(value, flexible)?;
        }
        w.string(&self.leader, flexible)?;
        if version >= 9 {
            w.bool(self.skip_assignment);
        } else if self.skip_assignment {
            return Err(EncodeError::UnsupportedField { field: "JoinGroupResponse.skip_assignment", version });
        }
        w.string(&self.member_id, flexible)?;
        w.array(&self.members, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `JoinGroupResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JoinGroupResponseMember {
    /// Versions 0-9.
    pub member_id: Str,
    /// Versions 5-9, nullable, default null, dropped in others.
    pub group_instance_id: Option<Str>,
    /// Versions 0-9.
    pub metadata: Bytes,
}

impl JoinGroupResponseMember {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 5 { r.nullable_string(flexible)? } else { None },
            metadata: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.member_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        }
        w.bytes(&self.metadata, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
