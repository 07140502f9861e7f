// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Which APIs and versions the broker speaks; the response header is always version 0 so that any client can read it (KIP-511).

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 18, versions 0-5.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiVersionsRequest {
    /// Versions 3-5, dropped in others.
    pub client_software_name: Str,
    /// Versions 3-5, dropped in others.
    pub client_software_version: Str,
    /// Version 5, nullable, default null, dropped in others.
    pub cluster_id: Option<Str>,
    /// Version 5, default -1, dropped in others.
    pub node_id: i32,
}

impl Default for ApiVersionsRequest {
    fn default() -> Self {
        Self {
            client_software_name: Str::default(),
            client_software_version: Str::default(),
            cluster_id: None,
            node_id: -1,
        }
    }
}

impl Message for ApiVersionsRequest {
    const NAME: &'static str = "ApiVersionsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let value = Self {
            client_software_name: if version >= 3 { r.string(true)? } else { Str::default() },
            client_software_version: if version >= 3 { r.string(true)? } else { Str::default() },
            cluster_id: if version >= 5 { r.nullable_string(true)? } else { None },
            node_id: if version >= 5 { r.i32()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 3;
        if version >= 3 {
            w.string(&self.client_software_name, true)?;
        }
        if version >= 3 {
            w.string(&self.client_software_version, true)?;
        }
        if version >= 5 {
            w.nullable_string(self.cluster_id.as_ref(), true)?;
        }
        if version >= 5 {
            w.i32(self.node_id);
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::ApiVersions as i16 == 18);

impl Request for ApiVersionsRequest {
    const KEY: ApiKey = ApiKey::ApiVersions;
    type Response = ApiVersionsResponse;
}

/// API 18, versions 0-5.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiVersionsResponse {
    /// Versions 0-5.
    pub error_code: i16,
    /// Versions 0-5.
    pub api_keys: Vec<ApiVersion>,
    /// Versions 1-5, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 3-5, tag 0, dropped in others.
    pub supported_features: Vec<SupportedFeatureKey>,
    /// Versions 3-5, tag 1, default -1, dropped in others.
    pub finalized_features_epoch: i64,
    /// Versions 3-5, tag 2, dropped in others.
    pub finalized_features: Vec<FinalizedFeatureKey>,
    /// Versions 3-5, tag 3, dropped in others.
    pub zk_migration_ready: bool,
}

impl Default for ApiVersionsResponse {
    fn default() -> Self {
        Self {
            error_code: 0,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        }
    }
}

impl Message for ApiVersionsResponse {
    const NAME: &'static str = "ApiVersionsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 3;
        let mut value = Self {
            error_code: r.i16()?,
            api_keys: r.array(flexible, 6, |r| ApiVersion::decode(r, version))?,
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 => value.supported_features = r.array(true, 6, |r| SupportedFeatureKey::decode(r, version))?,
                    1 => value.finalized_features_epoch = r.i64()?,
                    2 => value.finalized_features = r.array(true, 6, |r| FinalizedFeatureKey::decode(r, version))?,
                    3 => value.zk_migration_ready = r.bool()?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 3;
        w.i16(self.error_code);
        w.array(&self.api_keys, flexible, |w, value| value.encode(w, version))?;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if flexible {
            let has_supported_features = !self.supported_features.is_empty();
            let has_finalized_features_epoch = self.finalized_features_epoch != -1;
            let has_finalized_features = !self.finalized_features.is_empty();
            let has_zk_migration_ready = self.zk_migration_ready;
            w.uvarint(
                u32::from(has_supported_features)
                    + u32::from(has_finalized_features_epoch)
                    + u32::from(has_finalized_features)
                    + u32::from(has_zk_migration_ready),
            );
            if has_supported_features {
                w.tagged_field(0, |w| w.array(&self.supported_features, true, |w, value| value.encode(w, version)))?;
            }
            if has_finalized_features_epoch {
                w.tagged_field(1, |w| {
                    w.i64(self.finalized_features_epoch);
                    Ok(())
                })?;
            }
            if has_finalized_features {
                w.tagged_field(2, |w| w.array(&self.finalized_features, true, |w, value| value.encode(w, version)))?;
            }
            if has_zk_migration_ready {
                w.tagged_field(3, |w| {
                    w.bool(self.zk_migration_ready);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Part of `ApiVersionsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiVersion {
    /// Versions 0-5.
    pub api_key: i16,
    /// Versions 0-5.
    pub min_version: i16,
    /// Versions 0-5.
    pub max_version: i16,
}

impl ApiVersion {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let value = Self { api_key: r.i16()?, min_version: r.i16()?, max_version: r.i16()? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.i16(self.api_key);
        w.i16(self.min_version);
        w.i16(self.max_version);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ApiVersionsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SupportedFeatureKey {
    /// Versions 3-5.
    pub name: Str,
    /// Versions 3-5.
    pub min_version: i16,
    /// Versions 3-5.
    pub max_version: i16,
}

impl SupportedFeatureKey {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { name: r.string(true)?, min_version: r.i16()?, max_version: r.i16()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.i16(self.min_version);
        w.i16(self.max_version);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `ApiVersionsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FinalizedFeatureKey {
    /// Versions 3-5.
    pub name: Str,
    /// Versions 3-5.
    pub max_version_level: i16,
    /// Versions 3-5.
    pub min_version_level: i16,
}

impl FinalizedFeatureKey {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { name: r.string(true)?, max_version_level: r.i16()?, min_version_level: r.i16()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.i16(self.max_version_level);
        w.i16(self.min_version_level);
        w.uvarint(0);
        Ok(())
    }
}
