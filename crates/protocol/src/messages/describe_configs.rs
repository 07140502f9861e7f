// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Reads topic, broker and group configurations.

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 32, versions 0-4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsRequest {
    /// Versions 0-4.
    pub resources: Vec<DescribeConfigsResource>,
    /// Versions 1-4.
    pub include_synonyms: bool,
    /// Versions 3-4.
    pub include_documentation: bool,
}

impl Message for DescribeConfigsRequest {
    const NAME: &'static str = "DescribeConfigsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            resources: r.array(flexible, 3, |r| DescribeConfigsResource::decode(r, version))?,
            include_synonyms: if version >= 1 { r.bool()? } else { false },
            include_documentation: if version >= 3 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        w.array(&self.resources, flexible, |w, value| value.encode(w, version))?;
        if version >= 1 {
            w.bool(self.include_synonyms);
        } else if self.include_synonyms {
            return Err(EncodeError::UnsupportedField { field: "DescribeConfigsRequest.include_synonyms", version });
        }
        if version >= 3 {
            w.bool(self.include_documentation);
        } else if self.include_documentation {
            return Err(EncodeError::UnsupportedField {
                field: "DescribeConfigsRequest.include_documentation",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::DescribeConfigs as i16 == 32);

impl Request for DescribeConfigsRequest {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    type Response = DescribeConfigsResponse;
}

/// Part of `DescribeConfigsRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeConfigsResource {
    /// Versions 0-4.
    pub resource_type: i8,
    /// Versions 0-4.
    pub resource_name: Str,
    /// Versions 0-4, nullable.
    pub configuration_keys: Option<Vec<Str>>,
}

impl Default for DescribeConfigsResource {
    fn default() -> Self {
        Self { resource_type: 0, resource_name: Str::default(), configuration_keys: Some(Vec::new()) }
    }
}

impl DescribeConfigsResource {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            configuration_keys: r.nullable_array(flexible, 1, |r| r.string(flexible))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.nullable_array(self.configuration_keys.as_deref(), flexible, |w, value| w.string(value, flexible))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 32, versions 0-4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsResponse {
    /// Versions 0-4.
    pub throttle_time_ms: i32,
    /// Versions 0-4.
    pub results: Vec<DescribeConfigsResult>,
}

impl Message for DescribeConfigsResponse {
    const NAME: &'static str = "DescribeConfigsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 4;
        let value = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, 6, |r| DescribeConfigsResult::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeConfigsResult {
    /// Versions 0-4.
    pub error_code: i16,
    /// Versions 0-4, nullable.
    pub error_message: Option<Str>,
    /// Versions 0-4.
    pub resource_type: i8,
    /// Versions 0-4.
    pub resource_name: Str,
    /// Versions 0-4.
    pub configs: Vec<DescribeConfigsResourceResult>,
}

impl Default for DescribeConfigsResult {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: Some(Str::default()),
            resource_type: 0,
            resource_name: Str::default(),
            configs: Vec::new(),
        }
    }
}

impl DescribeConfigsResult {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            error_code: r.i16()?,
            error_message: r.nullable_string(flexible)?,
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            configs: r.array(flexible, 4, |r| DescribeConfigsResourceResult::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.i16(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.array(&self.configs, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeConfigsResourceResult {
    /// Versions 0-4.
    pub name: Str,
    /// Versions 0-4, nullable.
    pub value: Option<Str>,
    /// Versions 0-4.
    pub read_only: bool,
    /// Versions 1-4, default -1, dropped in others.
    pub config_source: i8,
    /// Version 0.
    pub is_default: bool,
    /// Versions 0-4.
    pub is_sensitive: bool,
    /// Versions 1-4, dropped in others.
    pub synonyms: Vec<DescribeConfigsSynonym>,
    /// Versions 3-4, dropped in others.
    pub config_type: i8,
    /// Versions 3-4, nullable, dropped in others.
    pub documentation: Option<Str>,
}

impl Default for DescribeConfigsResourceResult {
    fn default() -> Self {
        Self {
            name: Str::default(),
            value: Some(Str::default()),
            read_only: false,
            config_source: -1,
            is_default: false,
            is_sensitive: false,
            synonyms: Vec::new(),
            config_type: 0,
            documentation: Some(Str::default()),
        }
    }
}

impl DescribeConfigsResourceResult {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self {
            name: r.string(flexible)?,
            value: r.nullable_string(flexible)?,
            read_only: r.bool()?,
            config_source: if version >= 1 { r.i8()? } else { -1 },
            is_default: if version <= 0 { r.bool()? } else { false },
            is_sensitive: r.bool()?,
            synonyms: if version >= 1 {
                r.array(flexible, 3, |r| DescribeConfigsSynonym::decode(r, version))?
            } else {
                Vec::new()
            },
            config_type: if version >= 3 { r.i8()? } else { 0 },
            documentation: if version >= 3 { r.nullable_string(flexible)? } else { Some(Str::default()) },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        w.bool(self.read_only);
        if version >= 1 {
            w.i8(self.config_source);
        }
        if version <= 0 {
            w.bool(self.is_default);
        } else if self.is_default {
            return Err(EncodeError::UnsupportedField { field: "DescribeConfigsResourceResult.is_default", version });
        }
        w.bool(self.is_sensitive);
        if version >= 1 {
            w.array(&self.synonyms, flexible, |w, value| value.encode(w, version))?;
        }
        if version >= 3 {
            w.i8(self.config_type);
        }
        if version >= 3 {
            w.nullable_string(self.documentation.as_ref(), flexible)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeConfigsSynonym {
    /// Versions 1-4.
    pub name: Str,
    /// Versions 1-4, nullable.
    pub value: Option<Str>,
    /// Versions 1-4.
    pub source: i8,
}

impl Default for DescribeConfigsSynonym {
    fn default() -> Self {
        Self { name: Str::default(), value: Some(Str::default()), source: 0 }
    }
}

impl DescribeConfigsSynonym {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let value = Self { name: r.string(flexible)?, value: r.nullable_string(flexible)?, source: r.i8()? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        w.i8(self.source);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
