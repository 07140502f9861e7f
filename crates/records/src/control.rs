use bytes::Bytes;
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use crate::batch::RecordBatch;
use crate::builder::BatchBuilder;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::NO_SEQUENCE;

/// What a control record says (KIP-98, KIP-595, KIP-853).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecordType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// A new leader's first record in a Raft log.
    LeaderChange,
    /// Start of a metadata snapshot.
    SnapshotHeader,
    /// End of a metadata snapshot.
    SnapshotFooter,
    /// The Raft protocol's version.
    KRaftVersion,
    /// The Raft voters.
    KRaftVoters,
    /// A type of a later version, to be skipped.
    Unknown(i16),
}

impl ControlRecordType {
    /// The type's number in the record's key.
    pub fn id(self) -> i16 {
        match self {
            ControlRecordType::Abort => 0,
            ControlRecordType::Commit => 1,
            ControlRecordType::LeaderChange => 2,
            ControlRecordType::SnapshotHeader => 3,
            ControlRecordType::SnapshotFooter => 4,
            ControlRecordType::KRaftVersion => 5,
            ControlRecordType::KRaftVoters => 6,
            ControlRecordType::Unknown(id) => id,
        }
    }

    /// The type with this number.
    pub fn from_id(id: i16) -> ControlRecordType {
        match id {
            0 => ControlRecordType::Abort,
            1 => ControlRecordType::Commit,
            2 => ControlRecordType::LeaderChange,
            3 => ControlRecordType::SnapshotHeader,
            4 => ControlRecordType::SnapshotFooter,
            5 => ControlRecordType::KRaftVersion,
            6 => ControlRecordType::KRaftVoters,
            id => ControlRecordType::Unknown(id),
        }
    }
}

/// The one record of a control batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// The record's offset.
    pub offset: Offset,
    /// ms since 1970.
    pub timestamp: i64,
    /// What it says.
    pub control_type: ControlRecordType,
    /// For transaction markers: the epoch of the coordinator that wrote it. -1 for other types.
    pub coordinator_epoch: i32,
}

impl RecordBatch {
    /// The control record of a control batch; `None` for a batch of data, and for a control batch that compaction
    /// emptied.
    ///
    /// # Errors
    /// What is wrong with the record, if it cannot be read.
    pub fn control_record(&self) -> Result<Option<ControlRecord>, BatchError> {
        if !self.is_control() || self.header().record_count == 0 {
            return Ok(None);
        }
        let base_offset = self.base_offset();
        let malformed = |what| BatchError::MalformedRecord { base_offset, index: 0, what };
        let record = self.records().next().ok_or_else(|| malformed("a control batch without a record"))??;
        let key = record.key.ok_or_else(|| malformed("a control record without a key"))?;
        let [_, _, a, b, ..] = key[..] else { return Err(malformed("a control record's key is too short")) };
        let control_type = ControlRecordType::from_id(i16::from_be_bytes([a, b]));
        let coordinator_epoch = match (control_type, record.value.as_deref()) {
            (ControlRecordType::Abort | ControlRecordType::Commit, Some(&[_, _, a, b, c, d, ..])) => {
                i32::from_be_bytes([a, b, c, d])
            }
            (ControlRecordType::Abort | ControlRecordType::Commit, _) => {
                return Err(malformed("a transaction marker's value is too short"));
            }
            _ => -1,
        };
        Ok(Some(ControlRecord { offset: record.offset, timestamp: record.timestamp, control_type, coordinator_epoch }))
    }
}

/// The control batch that ends a producer's transaction in one partition.
pub fn end_transaction_marker(
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    commit: bool,
    coordinator_epoch: i32,
    timestamp_ms: i64,
) -> Bytes {
    let control_type = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
    let mut key = [0; 4];
    key[2..4].copy_from_slice(&control_type.id().to_be_bytes());
    let mut value = [0; 6];
    value[2..6].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new(Compression::None)
        .producer(producer_id, producer_epoch, NO_SEQUENCE)
        .transactional(true)
        .control();
    builder.append(timestamp_ms, Some(&key), Some(&value), &[]);
    builder.build(0, LeaderEpoch::NONE)
}
