// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Groups this broker coordinates.

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 16, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListGroupsRequest {
    /// Versions 4-5.
    pub states_filter: Vec<Str>,
    /// Version 5.
    pub types_filter: Vec<Str>,
}

impl Message for ListGroupsRequest {
    const NAME: &'static str = "ListGroupsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let value = Self {
            states_filter: if version >= 4 { r.array(true, 1, |r| r.string(true))? } else { Vec::new() },
            types_filter: if version >= 5 { r.array(true, 1, |r| r.string(true))? } else { Vec::new() },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 3;
        if version >= 4 {
            w.array(&self.states_filter, true, |w, value| w.string(value, true))?;
        } else if !self.states_filter.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "ListGroupsRequest.states_filter", version });
        }
        if version >= 5 {
            w.array(&self.types_filter, true, |w, value| w.string(value, true))?;
        } else if !self.types_filter.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "ListGroupsRequest.types_filter", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::ListGroups as i16 == 16);

impl Request for ListGroupsRequest {
    const KEY: ApiKey = ApiKey::ListGroups;
    type Response = ListGroupsResponse;
}

/// API 16, versions 0-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListGroupsResponse {
    /// Versions 1-5, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-5.
    pub error_code: i16,
    /// Versions 0-5.
    pub groups: Vec<ListedGroup>,
}

impl Message for ListGroupsResponse {
    const NAME: &'static str = "ListGroupsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.i16()?,
            groups: r.array(flexible, 2, |r| ListedGroup::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 3;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.i16(self.error_code);
        w.array(&self.groups, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ListGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListedGroup {
    /// Versions 0-5.
    pub group_id: Str,
    /// Versions 0-5.
    pub protocol_type: Str,
    /// Versions 4-5, dropped in others.
    pub group_state: Str,
    /// Version 5, dropped in others.
    pub group_type: Str,
}

impl ListedGroup {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let value = Self {
            group_id: r.string(flexible)?,
            protocol_type: r.string(flexible)?,
            group_state: if version >= 4 { r.string(true)? } else { Str::default() },
            group_type: if version >= 5 { r.string(true)? } else { Str::default() },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.group_id, flexible)?;
        w.string(&self.protocol_type, flexible)?;
        if version >= 4 {
            w.string(&self.group_state, true)?;
        }
        if version >= 5 {
            w.string(&self.group_type, true)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
