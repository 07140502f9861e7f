// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! State and members of classic groups.

use bytes::Bytes;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 15, versions 0-6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeGroupsRequest {
    /// Versions 0-6.
    pub groups: Vec<Str>,
    /// Versions 3-6.
    pub include_authorized_operations: bool,
}

impl Message for DescribeGroupsRequest {
    const NAME: &'static str = "DescribeGroupsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 5;
        let value = Self {
            groups: r.array(flexible, 1, |r| r.string(flexible))?,
            include_authorized_operations: if version >= 3 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 5;
        w.array(&self.groups, flexible, |w, value| w.string(value, flexible))?;
        if version >= 3 {
            w.bool(self.include_authorized_operations);
        } else if self.include_authorized_operations {
            return Err(EncodeError::UnsupportedField {
                field: "DescribeGroupsRequest.include_authorized_operations",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::DescribeGroups as i16 == 15);

impl Request for DescribeGroupsRequest {
    const KEY: ApiKey = ApiKey::DescribeGroups;
    type Response = DescribeGroupsResponse;
}

/// API 15, versions 0-6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeGroupsResponse {
    /// Versions 1-6, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-6.
    pub groups: Vec<DescribedGroup>,
}

impl Message for DescribeGroupsResponse {
    const NAME: &'static str = "DescribeGroupsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 5;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            groups: r.array(flexible, 7, |r| DescribedGroup::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 5;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.groups, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DescribeGroupsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedGroup {
    /// Versions 0-6.
    pub error_code: i16,
    /// Version 6, nullable, default null.
    pub error_message: Option<Str>,
    /// Versions 0-6.
    pub group_id: Str,
    /// Versions 0-6.
    pub group_state: Str,
    /// Versions 0-6.
    pub protocol_type: Str,
    /// Versions 0-6.
    pub protocol_data: Str,
    /// Versions 0-6.
    pub members: Vec<DescribedGroupMember>,
    /// Versions 3-6, default -2147483648.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: None,
            group_id: Str::default(),
            group_state: Str::default(),
            protocol_type: Str::default(),
            protocol_data: Str::default(),
            members: Vec::new(),
            authorized_operations: i32::MIN,
        }
    }
}

impl DescribedGroup {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let value = Self {
            error_code: r.i16()?,
            error_message: if version >= 6 { r.nullable_string(true)? } else { None },
            group_id: r.string(flexible)?,
            group_state: r.string(flexible)?,
            protocol_type: r.string(flexible)?,
            protocol_data: r.string(flexible)?,
            members: r.array(flexible, 5, |r| DescribedGroupMember::decode(r, version))?,
            authorized_operations: if version >= 3 { r.i32()? } else { i32::MIN },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.i16(self.error_code);
        if version >= 6 {
            w.nullable_string(self.error_message.as_ref(), true)?;
        } else if self.error_message.is_some() {
            return Err(EncodeError::UnsupportedField { field: "DescribedGroup.error_message", version });
        }
        w.string(&self.group_id, flexible)?;
        w.string(&self.group_state, flexible)?;
        w.string(&self.protocol_type, flexible)?;
        w.string(&self.protocol_data, flexible)?;
        w.array(&self.members, flexible, |w, value| value.encode(w, version))?;
        if version >= 3 {
            w.i32(self.authorized_operations);
        } else if self.authorized_operations != i32::MIN {
            return Err(EncodeError::UnsupportedField { field: "DescribedGroup.authorized_operations", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DescribeGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribedGroupMember {
    /// Versions 0-6.
    pub member_id: Str,
    /// Versions 4-6, nullable, default null, dropped in others.
    pub group_instance_id: Option<Str>,
    /// Versions 0-6.
    pub client_id: Str,
    /// Versions 0-6.
    pub client_host: Str,
    /// Versions 0-6.
    pub member_metadata: Bytes,
    /// Versions 0-6.
    pub member_assignment: Bytes,
}

impl DescribedGroupMember {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 4 { r.nullable_string(flexible)? } else { None },
            client_id: r.string(flexible)?,
            client_host: r.string(flexible)?,
            member_metadata: r.bytes(flexible)?,
            member_assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.member_id, flexible)?;
        if version >= 4 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        }
        w.string(&self.client_id, flexible)?;
        w.string(&self.client_host, flexible)?;
        w.bytes(&self.member_metadata, flexible)?;
        w.bytes(&self.member_assignment, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
