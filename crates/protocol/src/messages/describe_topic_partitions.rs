// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Paged partition metadata with eligible leader replicas (KIP-966).

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Str, Writer};

/// API 75, version 0.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeTopicPartitionsRequest {
    /// Version 0.
    pub topics: Vec<TopicRequest>,
    /// Version 0, default 2000.
    pub response_partition_limit: i32,
    /// Version 0, nullable, default null.
    pub cursor: Option<Cursor>,
}

impl Default for DescribeTopicPartitionsRequest {
    fn default() -> Self {
        Self { topics: Vec::new(), response_partition_limit: 2000, cursor: None }
    }
}

impl Message for DescribeTopicPartitionsRequest {
    const NAME: &'static str = "DescribeTopicPartitionsRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let value = Self {
            topics: r.array(true, 2, |r| TopicRequest::decode(r, version))?,
            response_partition_limit: r.i32()?,
            cursor: r.nullable_struct(|r| Cursor::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.array(&self.topics, true, |w, value| value.encode(w, version))?;
        w.i32(self.response_partition_limit);
        w.nullable_struct(self.cursor.as_ref(), |w, value| value.encode(w, version))?;
        w.uvarint(0);
        Ok(())
    }
}

const _: () = assert!(ApiKey::DescribeTopicPartitions as i16 == 75);

impl Request for DescribeTopicPartitionsRequest {
    const KEY: ApiKey = ApiKey::DescribeTopicPartitions;
    type Response = DescribeTopicPartitionsResponse;
}

/// Part of `DescribeTopicPartitionsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicRequest {
    /// Version 0.
    pub name: Str,
}

impl TopicRequest {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { name: r.string(true)? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `DescribeTopicPartitionsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cursor {
    /// Version 0.
    pub topic_name: Str,
    /// Version 0.
    pub partition_index: i32,
}

impl Cursor {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { topic_name: r.string(true)?, partition_index: r.i32()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic_name, true)?;
        w.i32(self.partition_index);
        w.uvarint(0);
        Ok(())
    }
}

/// API 75, version 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeTopicPartitionsResponse {
    /// Version 0.
    pub throttle_time_ms: i32,
    /// Version 0.
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    /// Version 0, nullable, default null.
    pub next_cursor: Option<Cursor>,
}

impl Message for DescribeTopicPartitionsResponse {
    const NAME: &'static str = "DescribeTopicPartitionsResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let value = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(true, 26, |r| DescribeTopicPartitionsResponseTopic::decode(r, version))?,
            next_cursor: r.nullable_struct(|r| Cursor::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, true, |w, value| value.encode(w, version))?;
        w.nullable_struct(self.next_cursor.as_ref(), |w, value| value.encode(w, version))?;
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `DescribeTopicPartitionsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeTopicPartitionsResponseTopic {
    /// Version 0.
    pub error_code: i16,
    /// Version 0, nullable.
    pub name: Option<Str>,
    /// Version 0.
    pub topic_id: Uuid,
    /// Version 0.
    pub is_internal: bool,
    /// Version 0.
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    /// Version 0, default -2147483648.
    pub topic_authorized_operations: i32,
}

impl Default for DescribeTopicPartitionsResponseTopic {
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

impl DescribeTopicPartitionsResponseTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: r.i16()?,
            name: r.nullable_string(true)?,
            topic_id: r.uuid()?,
            is_internal: r.bool()?,
            partitions: r.array(true, 20, |r| DescribeTopicPartitionsResponsePartition::decode(r, version))?,
            topic_authorized_operations: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i16(self.error_code);
        w.nullable_string(self.name.as_ref(), true)?;
        w.uuid(self.topic_id);
        w.bool(self.is_internal);
        w.array(&self.partitions, true, |w, value| value.encode(w, version))?;
        w.i32(self.topic_authorized_operations);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `DescribeTopicPartitionsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeTopicPartitionsResponsePartition {
    /// Version 0.
    pub error_code: i16,
    /// Version 0.
    pub partition_index: i32,
    /// Version 0.
    pub leader_id: i32,
    /// Version 0, default -1.
    pub leader_epoch: i32,
    /// Version 0.
    pub replica_nodes: Vec<i32>,
    /// Version 0.
    pub isr_nodes: Vec<i32>,
    /// Version 0, nullable, default null.
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// Version 0, nullable, default null.
    pub last_known_elr: Option<Vec<i32>>,
    /// Version 0.
    pub offline_replicas: Vec<i32>,
}

impl Default for DescribeTopicPartitionsResponsePartition {
    fn default() -> Self {
        Self {
            error_code: 0,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            eligible_leader_replicas: None,
            last_known_elr: None,
            offline_replicas: Vec::new(),
        }
    }
}

impl DescribeTopicPartitionsResponsePartition {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: r.i16()?,
            partition_index: r.i32()?,
            leader_id: r.i32()?,
            leader_epoch: r.i32()?,
            replica_nodes: r.array(true, 4, Reader::i32)?,
            isr_nodes: r.array(true, 4, Reader::i32)?,
            eligible_leader_replicas: r.nullable_array(true, 4, Reader::i32)?,
            last_known_elr: r.nullable_array(true, 4, Reader::i32)?,
            offline_replicas: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i16(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.array(&self.replica_nodes, true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.array(&self.isr_nodes, true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.nullable_array(self.eligible_leader_replicas.as_deref(), true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.nullable_array(self.last_known_elr.as_deref(), true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.array(&self.offline_replicas, true, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        w.uvarint(0);
        Ok(())
    }
}
