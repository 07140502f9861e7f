// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Appends record batches to partitions. Version 13 names topics by id (KIP-516); KIP-951 tags lead to the new leader.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Records, Request, Str, Writer};

/// API 0, versions 0-13.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceRequest {
    /// Versions 3-13, nullable, default null.
    pub transactional_id: Option<Str>,
    /// Versions 0-13.
    pub acks: i16,
    /// Versions 0-13.
    pub timeout_ms: i32,
    /// Versions 0-13.
    pub topic_data: Vec<TopicProduceData>,
}

impl Message for ProduceRequest {
    const NAME: &'static str = "ProduceRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 9;
        let value = Self {
            transactional_id: if version >= 3 { r.nullable_string(flexible)? } else { None },
            acks: r.i16()?,
            timeout_ms: r.i32()?,
            topic_data: r.array(flexible, 1, |r| TopicProduceData::decode(r, version))?,
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
            w.nullable_string(self.transactional_id.as_ref(), flexible)?;
        } else if self.transactional_id.is_some() {
            return Err(EncodeError::UnsupportedField { field: "ProduceRequest.transactional_id", version });
        }
        w.i16(self.acks);
        w.i32(self.timeout_ms);
        w.array(&self.topic_data, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::Produce as i16 == 0);

impl Request for ProduceRequest {
    const KEY: ApiKey = ApiKey::Produce;
    type Response = ProduceResponse;
}

/// Part of `ProduceRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduceData {
    /// Version 13, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-12, dropped in others.
    pub name: Str,
    /// Versions 0-13.
    pub partition_data: Vec<PartitionProduceData>,
}

impl TopicProduceData {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 12 { r.string(flexible)? } else { Str::default() },
            partition_data: r.array(flexible, 5, |r| PartitionProduceData::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version <= 12 {
            w.string(&self.name, flexible)?;
        }
        w.array(&self.partition_data, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ProduceRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartitionProduceData {
    /// Versions 0-13.
    pub index: i32,
    /// Versions 0-13, nullable, default null.
    pub records: Option<Records>,
}

impl PartitionProduceData {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self { index: r.i32()?, records: r.nullable_records(flexible)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.index);
        w.nullable_records(self.records.as_ref(), flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// API 0, versions 0-13.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceResponse {
    /// Versions 0-13.
    pub responses: Vec<TopicProduceResponse>,
    /// Versions 1-13, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 10-13, tag 0.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Message for ProduceResponse {
    const NAME: &'static str = "ProduceResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 9;
        let mut value = Self {
            responses: r.array(flexible, 1, |r| TopicProduceResponse::decode(r, version))?,
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            node_endpoints: Vec::new(),
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 if version >= 10 => {
                        value.node_endpoints = r.array(true, 11, |r| NodeEndpoint::decode(r, version))?
                    }
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 9;
        w.array(&self.responses, flexible, |w, value| value.encode(w, version))?;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version < 10 && !self.node_endpoints.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "ProduceResponse.node_endpoints", version });
        }
        if flexible {
            let has_node_endpoints = version >= 10 && !self.node_endpoints.is_empty();
            w.uvarint(u32::from(has_node_endpoints));
            if has_node_endpoints {
                w.tagged_field(0, |w| w.array(&self.node_endpoints, true, |w, value| value.encode(w, version)))?;
            }
        }
        Ok(())
    }
}

/// Part of `ProduceResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduceResponse {
    /// Version 13, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-12, dropped in others.
    pub name: Str,
    /// Versions 0-13.
    pub partition_responses: Vec<PartitionProduceResponse>,
}

impl TopicProduceResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self {
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            name: if version <= 12 { r.string(flexible)? } else { Str::default() },
            partition_responses: r.array(flexible, 14, |r| PartitionProduceResponse::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version <= 12 {
            w.string(&self.name, flexible)?;
        }
        w.array(&self.partition_responses, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ProduceResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionProduceResponse {
    /// Versions 0-13.
    pub index: i32,
    /// Versions 0-13.
    pub error_code: i16,
    /// Versions 0-13.
    pub base_offset: i64,
    /// Versions 2-13, default -1, dropped in others.
    pub log_append_time_ms: i64,
    /// Versions 5-13, default -1, dropped in others.
    pub log_start_offset: i64,
    /// Versions 8-13, dropped in others.
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// Versions 8-13, nullable, default null, dropped in others.
    pub error_message: Option<Str>,
    /// Versions 10-13, tag 0.
    pub current_leader: LeaderIdAndEpoch,
}

impl Default for PartitionProduceResponse {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl PartitionProduceResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let mut value = Self {
            index: r.i32()?,
            error_code: r.i16()?,
            base_offset: r.i64()?,
            log_append_time_ms: if version >= 2 { r.i64()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            record_errors: if version >= 8 {
                r.array(flexible, 5, |r| BatchIndexAndErrorMessage::decode(r, version))?
            } else {
                Vec::new()
            },
            error_message: if version >= 8 { r.nullable_string(flexible)? } else { None },
            current_leader: LeaderIdAndEpoch::default(),
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 if version >= 10 => value.current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.index);
        w.i16(self.error_code);
        w.i64(self.base_offset);
        if version >= 2 {
            w.i64(self.log_append_time_ms);
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 8 {
            w.array(&self.record_errors, flexible, |w, value| value.encode(w, version))?;
        }
        if version >= 8 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if version < 10 && self.current_leader != LeaderIdAndEpoch::default() {
            return Err(EncodeError::UnsupportedField { field: "PartitionProduceResponse.current_leader", version });
        }
        if flexible {
            let has_current_leader = version >= 10 && self.current_leader != LeaderIdAndEpoch::default();
            w.uvarint(u32::from(has_current_leader));
            if has_current_leader {
                w.tagged_field(0, |w| self.current_leader.encode(w, version))?;
            }
        }
        Ok(())
    }
}

/// Part of `ProduceResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchIndexAndErrorMessage {
    /// Versions 8-13.
    pub batch_index: i32,
    /// Versions 8-13, nullable, default null.
    pub batch_index_error_message: Option<Str>,
}

impl BatchIndexAndErrorMessage {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let value = Self { batch_index: r.i32()?, batch_index_error_message: r.nullable_string(flexible)? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.batch_index);
        w.nullable_string(self.batch_index_error_message.as_ref(), flexible)?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `ProduceResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// Versions 10-13, default -1.
    pub leader_id: i32,
    /// Versions 10-13, default -1.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self { leader_id: -1, leader_epoch: -1 }
    }
}

impl LeaderIdAndEpoch {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { leader_id: r.i32()?, leader_epoch: r.i32()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `ProduceResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeEndpoint {
    /// Versions 10-13.
    pub node_id: i32,
    /// Versions 10-13.
    pub host: Str,
    /// Versions 10-13.
    pub port: i32,
    /// Versions 10-13, nullable, default null.
    pub rack: Option<Str>,
}

impl NodeEndpoint {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { node_id: r.i32()?, host: r.string(true)?, port: r.i32()?, rack: r.nullable_string(true)? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.node_id);
        w.string(&self.host, true)?;
        w.i32(self.port);
        w.nullable_string(self.rack.as_ref(), true)?;
        w.uvarint(0);
        Ok(())
    }
}
