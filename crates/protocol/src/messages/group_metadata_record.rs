// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Records of __consumer_offsets: a classic group. The key's version is its record type, 2.

use bytes::Bytes;

use crate::message::{check_decode_version, check_encode_version};
use crate::{DecodeError, EncodeError, Message, Reader, Str, Writer};

/// Version 2.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupMetadataKey {
    /// Version 2.
    pub group: Str,
}

impl Message for GroupMetadataKey {
    const NAME: &'static str = "GroupMetadataKey";
    const VERSIONS: std::ops::RangeInclusive<i16> = 2..=2;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        Ok(Self { group: r.string(false)? })
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.string(&self.group, false)?;
        Ok(())
    }
}

/// Versions 0-4.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMetadataValue {
    /// Versions 0-4.
    pub protocol_type: Str,
    /// Versions 0-4.
    pub generation: i32,
    /// Versions 0-4, nullable.
    pub protocol: Option<Str>,
    /// Versions 0-4, nullable.
    pub leader: Option<Str>,
    /// Versions 2-4, default -1, dropped in others.
    pub current_state_timestamp: i64,
    /// Versions 0-4.
    pub members: Vec<MemberMetadata>,
}

impl Default for GroupMetadataValue {
    fn default() -> Self {
        Self {
            protocol_type: Str::default(),
            generation: 0,
            protocol: Some(Str::default()),
            leader: Some(Str::default()),
            current_state_timestamp: -1,
            members: Vec::new(),
        }
    }
}

impl Message for GroupMetadataValue {
    const NAME: &'static str = "GroupMetadataValue";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            protocol_type: r.string(flexible)?,
            generation: r.i32()?,
            protocol: r.nullable_string(flexible)?,
            leader: r.nullable_string(flexible)?,
            current_state_timestamp: if version >= 2 { r.i64()? } else { -1 },
            members: r.array(flexible, 9, |r| MemberMetadata::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        w.string(&self.protocol_type, flexible)?;
        w.i32(self.generation);
        w.nullable_string(self.protocol.as_ref(), flexible)?;
        w.nullable_string(self.leader.as_ref(), flexible)?;
        if version >= 2 {
            w.i64(self.current_state_timestamp);
        }
        w.array(&self.members, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `GroupMetadataValue`.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberMetadata {
    /// Versions 0-4.
    pub member_id: Str,
    /// Versions 3-4, nullable, default null, dropped in others.
    pub group_instance_id: Option<Str>,
    /// Versions 0-4.
    pub client_id: Str,
    /// Versions 0-4.
    pub client_host: Str,
    /// Versions 1-4, default -1, dropped in others.
    pub rebalance_timeout: i32,
    /// Versions 0-4.
    pub session_timeout: i32,
    /// Versions 0-4.
    pub subscription: Bytes,
    /// Versions 0-4.
    pub assignment: Bytes,
}

impl Default for MemberMetadata {
    fn default() -> Self {
        Self {
            member_id: Str::default(),
            group_instance_id: None,
            client_id: Str::default(),
            client_host: Str::default(),
            rebalance_timeout: -1,
            session_timeout: 0,
            subscription: Bytes::new(),
            assignment: Bytes::new(),
        }
    }
}

impl MemberMetadata {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 3 { r.nullable_string(flexible)? } else { None },
            client_id: r.string(flexible)?,
            client_host: r.string(flexible)?,
            rebalance_timeout: if version >= 1 { r.i32()? } else { -1 },
            session_timeout: r.i32()?,
            subscription: r.bytes(flexible)?,
            assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.member_id, flexible)?;
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        }
        w.string(&self.client_id, flexible)?;
        w.string(&self.client_host, flexible)?;
        if version >= 1 {
            w.i32(self.rebalance_timeout);
        }
        w.i32(self.session_timeout);
        w.bytes(&self.subscription, flexible)?;
        w.bytes(&self.assignment, flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
