// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Brokers, topics, partitions and their leaders: the first thing a client asks.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 3, versions 0-13.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataRequest {
    /// Versions 0-13, nullable in versions 1-13.
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// Versions 4-13, default true.
    pub allow_auto_topic_creation: bool,
    /// Versions 8-10.
    pub include_cluster_authorized_operations: bool,
    /// Versions 8-13.
    pub include_topic_authorized_operations: bool,
}

impl Default for MetadataRequest {
    fn default() -> Self {
        Self {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }
}

impl Message for MetadataRequest {
    const NAME: &'static str = "MetadataRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 9;
        let value = Self {
            topics: if version >= 1 {
                r.nullable_array(flexible, 1, |r| MetadataRequestTopic::decode(r, version))?
            } else {
                Some(r.array(flexible, 1, |r| MetadataRequestTopic::decode(r, version))?)
            },
            allow_auto_topic_creation: if version >= 4 { r.bool()? } else { true },
            include_cluster_authorized_operations: if (8..=10).contains(&version) { r.bool()? } else { false },
            include_topic_authorized_operations: if version >= 8 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 9;
        if version >= 1 {
            w.nullable_array(self.topics.as_deref(), flexible, |w, value| value.encode(w, version))?;
        } else {
            let value = self.topics.as_deref().ok_or(EncodeError::Null { field: "MetadataRequest.topics", version })?;
            w.array(value, flexible, |w, value| value.encode(w, version))?;
        }
        if version >= 4 {
            w.bool(self.allow_auto_topic_creation);
        } else if !self.allow_auto_topic_creation {
            return Err(EncodeError::UnsupportedField { field: "MetadataRequest.allow_auto_topic_creation", version });
        }
        if (8..=10).contains(&version) {
            w.bool(self.include_cluster_authorized_operations);
        } else if self.include_cluster_authorized_operations {
            return Err(EncodeError::UnsupportedField {
                field: "MetadataRequest.include_cluster_authorized_operations",
                version,
            });
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else if self.include_topic_authorized_operations {
            return Err(EncodeError::UnsupportedField {
                field: "MetadataRequest.include_topic_authorized_operations",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::Metadata as i16 == 3);

impl Request for MetadataRequest {
    const KEY: ApiKey = ApiKey::Metadata;
    type Response = MetadataResponse;
}

/// Part of `MetadataRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataRequestTopic {
    /// Versions 10-13, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-13, nullable in versions 10-13.
    pub name: Option<Str>,
}

impl Default for MetadataRequestTopic {
    fn default() -> Self {
        Self { topic_id: Uuid::ZERO, name: Some(Str::default()) }
    }
}

impl MetadataRequestTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: if version >= 10 { r.nullable_string(flexible)? } else { Some(r.string(flexible)?) },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 10 {
            w.nullable_string(self.name.as_ref(), flexible)?;
        } else {
            let value = self.name.as_ref().ok_or(EncodeError::Null { field: "MetadataRequestTopic.name", version })?;
            w.string(value, flexible)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 3, versions 0-13.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponse {
    /// Versions 3-13, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 0-13.
    pub brokers: Vec<MetadataResponseBroker>,
    /// Versions 2-13, nullable, default null, dropped in others.
    pub cluster_id: Option<Str>,
    /// Versions 1-13, default -1, dropped in others.
    pub controller_id: i32,
    /// Versions 0-13.
    pub topics: Vec<MetadataResponseTopic>,
    /// Version 13, dropped in others.
    pub error_code: i16,
    /// Versions 8-10, default -2147483648.
    pub cluster_authorized_operations: i32,
}

impl Default for MetadataResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: -1,
            topics: Vec::new(),
            error_code: 0,
            cluster_authorized_operations: i32::MIN,
        }
    }
}

impl Message for MetadataResponse {
    const NAME: &'static str = "MetadataResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 9;
        let value = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            brokers: r.array(flexible, 9, |r| MetadataResponseBroker::decode(r, version))?,
            cluster_id: if version >= 2 { r.nullable_string(flexible)? } else { None },
            controller_id: if version >= 1 { r.i32()? } else { -1 },
            topics: r.array(flexible, 4, |r| MetadataResponseTopic::decode(r, version))?,
            error_code: if version >= 13 { r.i16()? } else { 0 },
            cluster_authorized_operations: if (8..=10).contains(&version) { r.i32()? } else { i32::MIN },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 9;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.brokers, flexible, |w, value| value.encode(w, version))?;
        if version >= 2 {
            w.nullable_string(self.cluster_id.as_ref(), flexible)?;
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if version >= 13 {
            w.i16(self.error_code);
        }
        if (8..=10).contains(&version) {
            w.i32(self.cluster_authorized_operations);
        } else if self.cluster_authorized_operations != i32::MIN {
            return Err(EncodeError::UnsupportedField {
                field: "MetadataResponse.cluster_authorized_operations",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `MetadataResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataResponseBroker {
    /// Versions 0-13.
    pub node_id: i32,
    /// Versions 0-13.
    pub host: Str,
    /// Versions 0-13.
    pub port: i32,
    /// Versions 1-13, nullable, default null, dropped in others.
    pub rack: Option<Str>,
}

impl MetadataResponseBroker {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            node_id: r.i32()?,
            host: r.string(flexible)?,
            port: r.i32()?,
            rack: if version >= 1 { r.nullable_string(flexible)? } else { None },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.node_id);
        w.string(&self.host, flexible)?;
        w.i32(self.port);
        if version >= 1 {
            w.nullable_string(self.rack.as_ref(), flexible)?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `MetadataResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponseTopic {
    /// Versions 0-13.
    pub error_code: i16,
    /// Versions 0-13, nullable in versions 12-13.
    pub name: Option<Str>,
    /// Versions 10-13, dropped in others.
    pub topic_id: Uuid,
    /// Versions 1-13, dropped in others.
    pub is_internal: bool,
    /// Versions 0-13.
    pub partitions: Vec<MetadataResponsePartition>,
    /// Versions 8-13, default -2147483648.
    pub topic_authorized_operations: i32,
}

impl Default for MetadataResponseTopic {
    fn default() -> Self {
        Self {
            error_code: 0,
            name: Some(Str::default()),
            topic_id: Uuid::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: i32::MIN,
        }
    }
}

impl MetadataResponseTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            error_code: r.i16()?,
            name: if version >= 12 { r.nullable_string(flexible)? } else { Some(r.string(flexible)?) },
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            is_internal: if version >= 1 { r.bool()? } else { false },
            partitions: r.array(flexible, 12, |r| MetadataResponsePartition::decode(r, version))?,
            topic_authorized_operations: if version >= 8 { r.i32()? } else { i32::MIN },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i16(self.error_code);
        if version >= 12 {
            w.nullable_string(self.name.as_ref(), flexible)?;
        } else {
            let value = self.name.as_ref().ok_or(EncodeError::Null { field: "MetadataResponseTopic.name", version })?;
            w.string(value, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 1 {
            w.bool(self.is_internal);
        }
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if version >= 8 {
            w.i32(self.topic_authorized_operations);
        } else if self.topic_authorized_operations != i32::MIN {
            return Err(EncodeError::UnsupportedField {
                field: "MetadataResponseTopic.topic_authorized_operations",
                version,
            });
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `MetadataResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponsePartition {
    /// Versions 0-13.
    pub error_code: i16,
    /// Versions 0-13.
    pub partition_index: i32,
    /// Versions 0-13.
    pub leader_id: i32,
    /// Versions 7-13, default -1, dropped in others.
    pub leader_epoch: i32,
    /// Versions 0-13.
    pub replica_nodes: Vec<i32>,
    /// Versions 0-13.
    pub isr_nodes: Vec<i32>,
    /// Versions 5-13, dropped in others.
    pub offline_replicas: Vec<i32>,
}

impl Default for MetadataResponsePartition {
    fn default() -> Self {
        Self {
            error_code: 0,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            offline_replicas: Vec::new(),
        }
    }
}

impl MetadataResponsePartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            error_code: r.i16()?,
            partition_index: r.i32()?,
            leader_id: r.i32()?,
            leader_epoch: if version >= 7 { r.i32()? } else { -1 },
            replica_nodes: r.array(flexible, 4, Reader::i32)?,
            isr_nodes: r.array(flexible, 4, Reader::i32)?,
            offline_replicas: if version >= 5 { r.array(flexible, 4, Reader::i32)? } else { Vec::new() },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i16(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        if version >= 7 {
            w.i32(self.leader_epoch);
        }
        w.array(&self.replica_nodes, flexible, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.array(&self.isr_nodes, flexible, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        if version >= 5 {
            w.array(&self.offline_replicas, flexible, |w, value| {
                w.i32(*value);
                Ok(())
            })?;
        }
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}
