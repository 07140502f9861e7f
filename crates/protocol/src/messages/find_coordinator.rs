// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Which broker coordinates a group or transactional id; several keys at once since 4 (KIP-699).

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 10, versions 0-6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FindCoordinatorRequest {
    /// Versions 0-3.
    pub key: Str,
    /// Versions 1-6.
    pub key_type: i8,
    /// Versions 4-6.
    pub coordinator_keys: Vec<Str>,
}

impl Message for FindCoordinatorRequest {
    const NAME: &'static str = "FindCoordinatorRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let value = Self {
            key: if version <= 3 { r.string(flexible)? } else { Str::default() },
            key_type: if version >= 1 { r.i8()? } else { 0 },
            coordinator_keys: if version >= 4 { r.array(true, 1, |r| r.string(true))? } else { Vec::new() },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 3;
        if version <= 3 {
            w.string(&self.key, flexible)?;
        } else if !self.key.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorRequest.key", version });
        }
        if version >= 1 {
            w.i8(self.key_type);
        } else if self.key_type != 0 {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorRequest.key_type", version });
        }
        if version >= 4 {
            w.array(&self.coordinator_keys, true, |w, value| w.string(value, true))?;
        } else if !self.coordinator_keys.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorRequest.coordinator_keys", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::FindCoordinator as i16 == 10);

impl Request for FindCoordinatorRequest {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    type Response = FindCoordinatorResponse;
}

/// API 10, versions 0-6.
#[derive(Debug, Clone, PartialEq)]
pub struct FindCoordinatorResponse {
    /// Versions 1-6, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 4-6.
    pub coordinators: Vec<Coordinator>,
    /// Versions 0-3.
    pub error_code: i16,
    /// Versions 1-3, nullable, dropped in others.
    pub error_message: Option<Str>,
    /// Versions 0-3.
    pub node_id: i32,
    /// Versions 0-3.
    pub host: Str,
    /// Versions 0-3.
    pub port: i32,
}

impl Default for FindCoordinatorResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            coordinators: Vec::new(),
            error_code: 0,
            error_message: Some(Str::default()),
            node_id: 0,
            host: Str::default(),
            port: 0,
        }
    }
}

impl Message for FindCoordinatorResponse {
    const NAME: &'static str = "FindCoordinatorResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            coordinators: if version >= 4 {
                r.array(true, 14, |r| Coordinator::decode(r, version))?
            } else {
                Vec::new()
            },
            error_code: if version <= 3 { r.i16()? } else { 0 },
            error_message: if (1..=3).contains(&version) { r.nullable_string(flexible)? } else { Some(Str::default()) },
            node_id: if version <= 3 { r.i32()? } else { 0 },
            host: if version <= 3 { r.string(flexible)? } else { Str::default() },
            port: if version <= 3 { r.i32()? } else { 0 },
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
        if version >= 4 {
            w.array(&self.coordinators, true, |w, value| value.encode(w, version))?;
        } else if !self.coordinators.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorResponse.coordinators", version });
        }
        if version <= 3 {
            w.i16(self.error_code);
        } else if self.error_code != 0 {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorResponse.error_code", version });
        }
        if (1..=3).contains(&version) {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if version <= 3 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorResponse.node_id", version });
        }
        if version <= 3 {
            w.string(&self.host, flexible)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorResponse.host", version });
        }
        if version <= 3 {
            w.i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::UnsupportedField { field: "FindCoordinatorResponse.port", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `FindCoordinatorResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinator {
    /// Versions 4-6.
    pub key: Str,
    /// Versions 4-6.
    pub node_id: i32,
    /// Versions 4-6.
    pub host: Str,
    /// Versions 4-6.
    pub port: i32,
    /// Versions 4-6.
    pub error_code: i16,
    /// Versions 4-6, nullable.
    pub error_message: Option<Str>,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            key: Str::default(),
            node_id: 0,
            host: Str::default(),
            port: 0,
            error_code: 0,
            error_message: Some(Str::default()),
        }
    }
}

impl Coordinator {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            key: r.string(true)?,
            node_id: r.i32()?,
            host: r.string(true)?,
            port: r.i32()?,
            error_code: r.i16()?,
            error_message: r.nullable_string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.key, true)?;
        w.i32(self.node_id);
        w.string(&self.host, true)?;
        w.i32(self.port);
        w.i16(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.uvarint(0);
        Ok(())
    }
}
