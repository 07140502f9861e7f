// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Creates topics.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 19, versions 0-7.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTopicsRequest {
    /// Versions 0-7.
    pub topics: Vec<CreatableTopic>,
    /// Versions 0-7, default 60000.
    pub timeout_ms: i32,
    /// Versions 1-7.
    pub validate_only: bool,
}

impl Default for CreateTopicsRequest {
    fn default() -> Self {
        Self { topics: Vec::new(), timeout_ms: 60000, validate_only: false }
    }
}

impl Message for CreateTopicsRequest {
    const NAME: &'static str = "CreateTopicsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=7;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 5;
        let value = Self {
            topics: r.array(flexible, 9, |r| CreatableTopic::decode(r, version))?,
            timeout_ms: r.i32()?,
            validate_only: if version >= 1 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 5;
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        w.i32(self.timeout_ms);
        if version >= 1 {
            w.bool(self.validate_only);
        } else if self.validate_only {
            return Err(EncodeError::UnsupportedField { field: "CreateTopicsRequest.validate_only", version });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::CreateTopics as i16 == 19);

impl Request for CreateTopicsRequest {
    const KEY: ApiKey = ApiKey::CreateTopics;
    type Response = CreateTopicsResponse;
}

/// Part of `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatableTopic {
    /// Versions 0-7.
    pub name: Str,
    /// Versions 0-7.
    pub num_partitions: i32,
    /// Versions 0-7.
    pub replication_factor: i16,
    /// Versions 0-7.
    pub assignments: Vec<CreatableReplicaAssignment>,
    /// Versions 0-7.
    pub configs: Vec<CreatableTopicConfig>,
}

impl CreatableTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let value = Self {
            name: r.string(flexible)?,
            num_partitions: r.i32()?,
            replication_factor: r.i16()?,
            assignments: r.array(flexible, 5, |r| CreatableReplicaAssignment::decode(r, version))?,
            configs: r.array(flexible, 2, |r| CreatableTopicConfig::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        w.i32(self.num_partitions);
        w.i16(self.replication_factor);
        w.array(&self.assignments, flexible, |w, value| value.encode(w, version))?;
        w.array(&self.configs, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatableReplicaAssignment {
    /// Versions 0-7.
    pub partition_index: i32,
    /// Versions 0-7.
    pub broker_ids: Vec<i32>,
}

impl CreatableReplicaAssignment {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let value = Self { partition_index: r.i32()?, broker_ids: r.array(flexible, 4, Reader::i32)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.i32(self.partition_index);
        w.array(&self.broker_ids, flexible, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatableTopicConfig {
    /// Versions 0-7.
    pub name: Str,
    /// Versions 0-7, nullable.
    pub value: Option<Str>,
}

impl Default for CreatableTopicConfig {
    fn default() -> Self {
        Self { name: Str::default(), value: Some(Str::default()) }
    }
}

impl CreatableTopicConfig {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let value = Self { name: r.string(flexible)?, value: r.nullable_string(flexible)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 19, versions 0-7.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreateTopicsResponse {
    /// Versions 2-7, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-7.
    pub topics: Vec<CreatableTopicResult>,
}

impl Message for CreateTopicsResponse {
    const NAME: &'static str = "CreateTopicsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=7;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 5;
        let value = Self {
            throttle_time_ms: if version >= 2 { r.i32()? } else { 0 },
            topics: r.array(flexible, 3, |r| CreatableTopicResult::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 5;
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

/// Part of `CreateTopicsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatableTopicResult {
    /// Versions 0-7.
    pub name: Str,
    /// Version 7, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-7.
    pub error_code: i16,
    /// Versions 1-7, nullable, dropped in others.
    pub error_message: Option<Str>,
    /// Versions 5-7, default -1, dropped in others.
    pub num_partitions: i32,
    /// Versions 5-7, default -1, dropped in others.
    pub replication_factor: i16,
    /// Versions 5-7, nullable, dropped in others.
    pub configs: Option<Vec<CreatableTopicConfigs>>,
    /// Versions 5-7, tag 0, dropped in others.
    pub topic_config_error_code: i16,
}

impl Default for CreatableTopicResult {
    fn default() -> Self {
        Self {
            name: Str::default(),
            topic_id: Uuid::ZERO,
            error_code: 0,
            error_message: Some(Str::default()),
            num_partitions: -1,
            replication_factor: -1,
            configs: Some(Vec::new()),
            topic_config_error_code: 0,
        }
    }
}

impl CreatableTopicResult {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let mut value = Self {
            name: r.string(flexible)?,
            topic_id: if version >= 7 { r.uuid()? } else { Uuid::ZERO },
            error_code: r.i16()?,
            error_message: if version >= 1 { r.nullable_string(flexible)? } else { Some(Str::default()) },
            num_partitions: if version >= 5 { r.i32()? } else { -1 },
            replication_factor: if version >= 5 { r.i16()? } else { -1 },
            configs: if version >= 5 {
                r.nullable_array(true, 6, |r| CreatableTopicConfigs::decode(r, version))?
            } else {
                Some(Vec::new())
            },
            topic_config_error_code: 0,
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 => value.topic_config_error_code = r.i16()?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        if version >= 7 {
            w.uuid(self.topic_id);
        }
        w.i16(self.error_code);
        if version >= 1 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if version >= 5 {
            w.i32(self.num_partitions);
        }
        if version >= 5 {
            w.i16(self.replication_factor);
        }
        if version >= 5 {
            w.nullable_array(self.configs.as_deref(), true, |w, value| value.encode(w, version))?;
        }
        if flexible {
            let has_topic_config_error_code = self.topic_config_error_code != 0;
            w.uvarint(u32::from(has_topic_config_error_code));
            if has_topic_config_error_code {
                w.tagged_field(0, |w| {
                    w.i16(self.topic_config_error_code);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Part of `CreateTopicsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatableTopicConfigs {
    /// Versions 5-7.
    pub name: Str,
    /// Versions 5-7, nullable.
    pub value: Option<Str>,
    /// Versions 5-7.
    pub read_only: bool,
    /// Versions 5-7, default -1.
    pub config_source: i8,
    /// Versions 5-7.
    pub is_sensitive: bool,
}

impl Default for CreatableTopicConfigs {
    fn default() -> Self {
        Self {
            name: Str::default(),
            value: Some(Str::default()),
            read_only: false,
            config_source: -1,
            is_sensitive: false,
        }
    }
}

impl CreatableTopicConfigs {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            name: r.string(true)?,
            value: r.nullable_string(true)?,
            read_only: r.bool()?,
            config_source: r.i8()?,
            is_sensitive: r.bool()?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.nullable_string(self.value.as_ref(), true)?;
        w.bool(self.read_only);
        w.i8(self.config_source);
        w.bool(self.is_sensitive);
        w.uvarint(0);
        Ok(())
    }
}
