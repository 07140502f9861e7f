// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Deletes topics, by id since 6.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 20, versions 0-6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicsRequest {
    /// Version 6.
    pub topics: Vec<DeleteTopicState>,
    /// Versions 0-5, dropped in others.
    pub topic_names: Vec<Str>,
    /// Versions 0-6.
    pub timeout_ms: i32,
}

impl Message for DeleteTopicsRequest {
    const NAME: &'static str = "DeleteTopicsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            topics: if version >= 6 {
                r.array(true, 18, |r| DeleteTopicState::decode(r, version))?
            } else {
                Vec::new()
            },
            topic_names: if version <= 5 { r.array(flexible, 1, |r| r.string(flexible))? } else { Vec::new() },
            timeout_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        if version >= 6 {
            w.array(&self.topics, true, |w, value| value.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "DeleteTopicsRequest.topics", version });
        }
        if version <= 5 {
            w.array(&self.topic_names, flexible, |w, value| w.string(value, flexible))?;
        }
        w.i32(self.timeout_ms);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::DeleteTopics as i16 == 20);

impl Request for DeleteTopicsRequest {
    const KEY: ApiKey = ApiKey::DeleteTopics;
    type Response = DeleteTopicsResponse;
}

/// Part of `DeleteTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicState {
    /// Version 6, nullable, default null.
    pub name: Option<Str>,
    /// Version 6.
    pub topic_id: Uuid,
}

impl DeleteTopicState {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { name: r.nullable_string(true)?, topic_id: r.uuid()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.nullable_string(self.name.as_ref(), true)?;
        w.uuid(self.topic_id);
        w.uvarint(0);
        Ok(())
    }
}

/// API 20, versions 0-6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicsResponse {
    /// Versions 1-6, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-6.
    pub responses: Vec<DeletableTopicResult>,
}

impl Message for DeleteTopicsResponse {
    const NAME: &'static str = "DeleteTopicsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            responses: r.array(flexible, 3, |r| DeletableTopicResult::decode(r, version))?,
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
        w.array(&self.responses, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DeleteTopicsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletableTopicResult {
    /// Versions 0-6, nullable in version 6.
    pub name: Option<Str>,
    /// Version 6, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-6.
    pub error_code: i16,
    /// Versions 5-6, nullable, default null, dropped in others.
    pub error_message: Option<Str>,
}

impl Default for DeletableTopicResult {
    fn default() -> Self {
        Self { name: Some(Str::default()), topic_id: Uuid::ZERO, error_code: 0, error_message: None }
    }
}

impl DeletableTopicResult {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            name: if version >= 6 { r.nullable_string(flexible)? } else { Some(r.string(flexible)?) },
            topic_id: if version >= 6 { r.uuid()? } else { Uuid::ZERO },
            error_code: r.i16()?,
            error_message: if version >= 5 { r.nullable_string(true)? } else { None },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        if version >= 6 {
            w.nullable_string(self.name.as_ref(), flexible)?;
        } else {
            let value = self.name.as_ref().ok_or(EncodeError::Null { field: "DeletableTopicResult.name", version })?;
            w.string(value, flexible)?;
        }
        if version >= 6 {
            w.uuid(self.topic_id);
        }
        w.i16(self.error_code);
        if version >= 5 {
            w.nullable_string(self.error_message.as_ref(), true)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
