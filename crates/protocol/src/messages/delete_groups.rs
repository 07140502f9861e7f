// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Deletes empty groups.

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 42, versions 0-3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteGroupsRequest {
    /// Versions 0-3.
    pub groups_names: Vec<Str>,
}

impl Message for DeleteGroupsRequest {
    const NAME: &'static str = "DeleteGroupsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 2;
        let value = Self { groups_names: r.array(flexible, 1, |r| r.string(flexible))? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 2;
        w.array(&self.groups_names, flexible, |w, value| w.string(value, flexible))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::DeleteGroups as i16 == 42);

impl Request for DeleteGroupsRequest {
    const KEY: ApiKey = ApiKey::DeleteGroups;
    type Response = DeleteGroupsResponse;
}

/// API 42, versions 0-3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteGroupsResponse {
    /// Versions 0-3.
    pub throttle_time_ms: i32,
    /// Versions 0-3.
    pub results: Vec<DeletableGroupResult>,
}

impl Message for DeleteGroupsResponse {
    const NAME: &'static str = "DeleteGroupsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 2;
        let value = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, 3, |r| DeletableGroupResult::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DeleteGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeletableGroupResult {
    /// Versions 0-3.
    pub group_id: Str,
    /// Versions 0-3.
    pub error_code: i16,
    /// Version 3, nullable, default null, dropped in others.
    pub error_message: Option<Str>,
}

impl DeletableGroupResult {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let value = Self {
            group_id: r.string(flexible)?,
            error_code: r.i16()?,
            error_message: if version >= 3 { r.nullable_string(true)? } else { None },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.group_id, flexible)?;
        w.i16(self.error_code);
        if version >= 3 {
            w.nullable_string(self.error_message.as_ref(), true)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
