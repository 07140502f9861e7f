// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Reads record batches from partitions; consumers and, by replica id, followers. Sessions since 7 (KIP-227), topic ids since 13.

use raftsman_types::Uuid;

use crate::message::{check_decode_version, check_encode_version};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Records, Request, Str, Writer};

/// API 1, versions 0-18.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRequest {
    /// Versions 0-14, default -1.
    pub replica_id: i32,
    /// Versions 0-18.
    pub max_wait_ms: i32,
    /// Versions 0-18.
    pub min_bytes: i32,
    /// Versions 3-18, default 2147483647, dropped in others.
    pub max_bytes: i32,
    /// Versions 4-18, dropped in others.
    pub isolation_level: i8,
    /// Versions 7-18, dropped in others.
    pub session_id: i32,
    /// Versions 7-18, default -1, dropped in others.
    pub session_epoch: i32,
    /// Versions 0-18.
    pub topics: Vec<FetchTopic>,
    /// Versions 7-18.
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    /// Versions 11-18, dropped in others.
    pub rack_id: Str,
    /// Versions 12-18, tag 0, nullable, default null, dropped in others.
    pub cluster_id: Option<Str>,
    /// Versions 15-18, tag 1.
    pub replica_state: ReplicaState,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self {
            replica_id: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics_data: Vec::new(),
            rack_id: Str::default(),
            cluster_id: None,
            replica_state: ReplicaState::default(),
        }
    }
}

impl Message for FetchRequest {
    const NAME: &'static str = "FetchRequest";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=18;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 12;
        let mut value = Self {
            replica_id: if version <= 14 { r.i32()? } else { -1 },
            max_wait_ms: r.i32()?,
            min_bytes: r.i32()?,
            max_bytes: if version >= 3 { r.i32()? } else { i32::MAX },
            isolation_level: if version >= 4 { r.i8()? } else { 0 },
            session_id: if version >= 7 { r.i32()? } else { 0 },
            session_epoch: if version >= 7 { r.i32()? } else { -1 },
            topics: r.array(flexible, 1, |r| FetchTopic::decode(r, version))?,
            forgotten_topics_data: if version >= 7 {
                r.array(flexible, 1, |r| ForgottenTopic::decode(r, version))?
            } else {
                Vec::new()
            },
            rack_id: if version >= 11 { r.string(flexible)? } else { Str::default() },
            cluster_id: None,
            replica_state: ReplicaState::default(),
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 => value.cluster_id = r.nullable_string(true)?,
                    1 if version >= 15 => value.replica_state = ReplicaState::decode(r, version)?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode_version::<Self>(version)?;
        let flexible = version >= 12;
        if version <= 14 {
            w.i32(self.replica_id);
        } else if self.replica_id != -1 {
            return Err(EncodeError::UnsupportedField { field: "FetchRequest.replica_id", version });
        }
        w.i32(self.max_wait_ms);
        w.i32(self.min_bytes);
        if version >= 3 {
            w.i32(self.max_bytes);
        }
        if version >= 4 {
            w.i8(self.isolation_level);
        }
        if version >= 7 {
            w.i32(self.session_id);
        }
        if version >= 7 {
            w.i32(self.session_epoch);
        }
        w.array(&self.topics, flexible, |w, value| value.encode(w, version))?;
        if version >= 7 {
            w.array(&self.forgotten_topics_data, flexible, |w, value| value.encode(w, version))?;
        } else if !self.forgotten_topics_data.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FetchRequest.forgotten_topics_data", version });
        }
        if version >= 11 {
            w.string(&self.rack_id, flexible)?;
        }
        if version < 15 && self.replica_state != ReplicaState::default() {
            return Err(EncodeError::UnsupportedField { field: "FetchRequest.replica_state", version });
        }
        if flexible {
            let has_cluster_id = self.cluster_id.is_some();
            let has_replica_state = version >= 15 && self.replica_state != ReplicaState::default();
            w.uvarint(u32::from(has_cluster_id) + u32::from(has_replica_state));
            if has_cluster_id {
                w.tagged_field(0, |w| w.nullable_string(self.cluster_id.as_ref(), true))?;
            }
            if has_replica_state {
                w.tagged_field(1, |w| self.replica_state.encode(w, version))?;
            }
        }
        Ok(())
    }
}

const _: () = assert!(ApiKey::Fetch as i16 == 1);

impl Request for FetchRequest {
    const KEY: ApiKey = ApiKey::Fetch;
    type Response = FetchResponse;
}

/// Part of `FetchRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchTopic {
    /// Versions 13-18, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-12, dropped in others.
    pub topic: Str,
    /// Versions 0-18.
    pub partitions: Vec<FetchPartition>,
}

impl FetchTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let value = Self {
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            topic: if version <= 12 { r.string(flexible)? } else { Str::default() },
            partitions: r.array(flexible, 16, |r| FetchPartition::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version <= 12 {
            w.string(&self.topic, flexible)?;
        }
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `FetchRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchPartition {
    /// Versions 0-18.
    pub partition: i32,
    /// Versions 9-18, default -1, dropped in others.
    pub current_leader_epoch: i32,
    /// Versions 0-18.
    pub fetch_offset: i64,
    /// Versions 12-18, default -1.
    pub last_fetched_epoch: i32,
    /// Versions 5-18, default -1, dropped in others.
    pub log_start_offset: i64,
    /// Versions 0-18.
    pub partition_max_bytes: i32,
    /// Versions 17-18, tag 0, dropped in others.
    pub replica_directory_id: Uuid,
    /// Version 18, tag 1, default 9223372036854775807, dropped in others.
    pub high_watermark: i64,
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            partition: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 0,
            replica_directory_id: Uuid::ZERO,
            high_watermark: i64::MAX,
        }
    }
}

impl FetchPartition {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let mut value = Self {
            partition: r.i32()?,
            current_leader_epoch: if version >= 9 { r.i32()? } else { -1 },
            fetch_offset: r.i64()?,
            last_fetched_epoch: if version >= 12 { r.i32()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            partition_max_bytes: r.i32()?,
            replica_directory_id: Uuid::ZERO,
            high_watermark: i64::MAX,
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 if version >= 17 => value.replica_directory_id = r.uuid()?,
                    1 if version >= 18 => value.high_watermark = r.i64()?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i32(self.partition);
        if version >= 9 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.fetch_offset);
        if version >= 12 {
            w.i32(self.last_fetched_epoch);
        } else if self.last_fetched_epoch != -1 {
            return Err(EncodeError::UnsupportedField { field: "FetchPartition.last_fetched_epoch", version });
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.i32(self.partition_max_bytes);
        if flexible {
            let has_replica_directory_id = version >= 17 && !self.replica_directory_id.is_zero();
            let has_high_watermark = version >= 18 && self.high_watermark != i64::MAX;
            w.uvarint(u32::from(has_replica_directory_id) + u32::from(has_high_watermark));
            if has_replica_directory_id {
                w.tagged_field(0, |w| {
                    w.uuid(self.replica_directory_id);
                    Ok(())
                })?;
            }
            if has_high_watermark {
                w.tagged_field(1, |w| {
                    w.i64(self.high_watermark);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Part of `FetchRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForgottenTopic {
    /// Versions 13-18, dropped in others.
    pub topic_id: Uuid,
    /// Versions 7-12, dropped in others.
    pub topic: Str,
    /// Versions 7-18.
    pub partitions: Vec<i32>,
}

impl ForgottenTopic {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let value = Self {
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            topic: if version <= 12 { r.string(flexible)? } else { Str::default() },
            partitions: r.array(flexible, 4, Reader::i32)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version <= 12 {
            w.string(&self.topic, flexible)?;
        }
        w.array(&self.partitions, flexible, |w, value| {
            w.i32(*value);
            Ok(())
        })?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `FetchRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaState {
    /// Versions 15-18, default -1.
    pub replica_id: i32,
    /// Versions 15-18, default -1.
    pub replica_epoch: i64,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self { replica_id: -1, replica_epoch: -1 }
    }
}

impl ReplicaState {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { replica_id: r.i32()?, replica_epoch: r.i64()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.replica_id);
        w.i64(self.replica_epoch);
        w.uvarint(0);
        Ok(())
    }
}

/// API 1, versions 0-18.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchResponse {
    /// Versions 1-18, dropped in others.
    pub throttle_time_ms: i32,
    /// Versions 7-18, dropped in others.
    pub error_code: i16,
    /// Versions 7-18.
    pub session_id: i32,
    /// Versions 0-18.
    pub responses: Vec<FetchableTopicResponse>,
    /// Versions 16-18, tag 0.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Message for FetchResponse {
    const NAME: &'static str = "FetchResponse";
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=18;

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode_version::<Self>(version)?;
        let flexible = version >= 12;
        let mut value = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: if version >= 7 { r.i16()? } else { 0 },
            session_id: if version >= 7 { r.i32()? } else { 0 },
            responses: r.array(flexible, 1, |r| FetchableTopicResponse::decode(r, version))?,
            node_endpoints: Vec::new(),
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 if version >= 16 => {
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
        let flexible = version >= 12;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version >= 7 {
            w.i16(self.error_code);
        }
        if version >= 7 {
            w.i32(self.session_id);
        } else if self.session_id != 0 {
            return Err(EncodeError::UnsupportedField { field: "FetchResponse.session_id", version });
        }
        w.array(&self.responses, flexible, |w, value| value.encode(w, version))?;
        if version < 16 && !self.node_endpoints.is_empty() {
            return Err(EncodeError::UnsupportedField { field: "FetchResponse.node_endpoints", version });
        }
        if flexible {
            let has_node_endpoints = version >= 16 && !self.node_endpoints.is_empty();
            w.uvarint(u32::from(has_node_endpoints));
            if has_node_endpoints {
                w.tagged_field(0, |w| w.array(&self.node_endpoints, true, |w, value| value.encode(w, version)))?;
            }
        }
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchableTopicResponse {
    /// Versions 13-18, dropped in others.
    pub topic_id: Uuid,
    /// Versions 0-12, dropped in others.
    pub topic: Str,
    /// Versions 0-18.
    pub partitions: Vec<PartitionData>,
}

impl FetchableTopicResponse {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let value = Self {
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            topic: if version <= 12 { r.string(flexible)? } else { Str::default() },
            partitions: r.array(flexible, 15, |r| PartitionData::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version <= 12 {
            w.string(&self.topic, flexible)?;
        }
        w.array(&self.partitions, flexible, |w, value| value.encode(w, version))?;
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData {
    /// Versions 0-18.
    pub partition_index: i32,
    /// Versions 0-18.
    pub error_code: i16,
    /// Versions 0-18.
    pub high_watermark: i64,
    /// Versions 4-18, default -1, dropped in others.
    pub last_stable_offset: i64,
    /// Versions 5-18, default -1, dropped in others.
    pub log_start_offset: i64,
    /// Versions 4-18, nullable, dropped in others.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Versions 11-18, default -1.
    pub preferred_read_replica: i32,
    /// Versions 0-18, nullable, default null.
    pub records: Option<Records>,
    /// Versions 12-18, tag 0.
    pub diverging_epoch: EpochEndOffset,
    /// Versions 12-18, tag 1.
    pub current_leader: LeaderIdAndEpoch,
    /// Versions 12-18, tag 2.
    pub snapshot_id: SnapshotId,
}

impl Default for PartitionData {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: Some(Vec::new()),
            preferred_read_replica: -1,
            records: None,
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
        }
    }
}

impl PartitionData {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let mut value = Self {
            partition_index: r.i32()?,
            error_code: r.i16()?,
            high_watermark: r.i64()?,
            last_stable_offset: if version >= 4 { r.i64()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            aborted_transactions: if version >= 4 {
                r.nullable_array(flexible, 16, |r| AbortedTransaction::decode(r, version))?
            } else {
                Some(Vec::new())
            },
            preferred_read_replica: if version >= 11 { r.i32()? } else { -1 },
            records: r.nullable_records(flexible)?,
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
        };
        if flexible {
            for _ in 0..r.tagged_field_count()? {
                let (tag, end) = r.tagged_field()?;
                match tag {
                    0 => value.diverging_epoch = EpochEndOffset::decode(r, version)?,
                    1 => value.current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    2 => value.snapshot_id = SnapshotId::decode(r, version)?,
                    _ => r.skip_tagged_field(end)?,
                }
                r.end_tagged_field(tag, end)?;
            }
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i32(self.partition_index);
        w.i16(self.error_code);
        w.i64(self.high_watermark);
        if version >= 4 {
            w.i64(self.last_stable_offset);
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 4 {
            w.nullable_array(self.aborted_transactions.as_deref(), flexible, |w, value| value.encode(w, version))?;
        }
        if version >= 11 {
            w.i32(self.preferred_read_replica);
        } else if self.preferred_read_replica != -1 {
            return Err(EncodeError::UnsupportedField { field: "PartitionData.preferred_read_replica", version });
        }
        w.nullable_records(self.records.as_ref(), flexible)?;
        if version < 12 && self.diverging_epoch != EpochEndOffset::default() {
            return Err(EncodeError::UnsupportedField { field: "PartitionData.diverging_epoch", version });
        }
        if version < 12 && self.current_leader != LeaderIdAndEpoch::default() {
            return Err(EncodeError::UnsupportedField { field: "PartitionData.current_leader", version });
        }
        if version < 12 && self.snapshot_id != SnapshotId::default() {
            return Err(EncodeError::UnsupportedField { field: "PartitionData.snapshot_id", version });
        }
        if flexible {
            let has_diverging_epoch = self.diverging_epoch != EpochEndOffset::default();
            let has_current_leader = self.current_leader != LeaderIdAndEpoch::default();
            let has_snapshot_id = self.snapshot_id != SnapshotId::default();
            w.uvarint(u32::from(has_diverging_epoch) + u32::from(has_current_leader) + u32::from(has_snapshot_id));
            if has_diverging_epoch {
                w.tagged_field(0, |w| self.diverging_epoch.encode(w, version))?;
            }
            if has_current_leader {
                w.tagged_field(1, |w| self.current_leader.encode(w, version))?;
            }
            if has_snapshot_id {
                w.tagged_field(2, |w| self.snapshot_id.encode(w, version))?;
            }
        }
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AbortedTransaction {
    /// Versions 4-18.
    pub producer_id: i64,
    /// Versions 4-18.
    pub first_offset: i64,
}

impl AbortedTransaction {
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let value = Self { producer_id: r.i64()?, first_offset: r.i64()? };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i64(self.producer_id);
        w.i64(self.first_offset);
        if flexible {
            w.uvarint(0);
        }
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochEndOffset {
    /// Versions 12-18, default -1.
    pub epoch: i32,
    /// Versions 12-18, default -1.
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self { epoch: -1, end_offset: -1 }
    }
}

impl EpochEndOffset {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { epoch: r.i32()?, end_offset: r.i64()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.epoch);
        w.i64(self.end_offset);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// Versions 12-18, default -1.
    pub leader_id: i32,
    /// Versions 12-18, default -1.
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

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotId {
    /// Versions 12-18, default -1.
    pub end_offset: i64,
    /// Versions 12-18, default -1.
    pub epoch: i32,
}

impl Default for SnapshotId {
    fn default() -> Self {
        Self { end_offset: -1, epoch: -1 }
    }
}

impl SnapshotId {
    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let value = Self { end_offset: r.i64()?, epoch: r.i32()? };
        r.skip_tagged_fields()?;
        Ok(value)
    }

    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i64(self.end_offset);
        w.i32(self.epoch);
        w.uvarint(0);
        Ok(())
    }
}

/// Part of `FetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeEndpoint {
    /// Versions 16-18.
    pub node_id: i32,
    /// Versions 16-18.
    pub host: Str,
    /// Versions 16-18.
    pub port: i32,
    /// Versions 16-18, nullable, default null.
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
