use raftsman_metadata::{Durability, PartitionImage, RecoveryState};
use raftsman_types::{BrokerId, LeaderEpoch, PartitionEpoch};

use super::{ConvertError, brokers_from_pb, brokers_to_pb, directories_from_pb, directories_to_pb};
use crate::metadata as pb;

/// A partition as it stands in a message.
pub fn partition_to_pb(partition: &PartitionImage) -> pb::Partition {
    pb::Partition {
        replicas: brokers_to_pb(&partition.replicas),
        directories: directories_to_pb(&partition.directories),
        adding_replicas: brokers_to_pb(&partition.adding_replicas),
        removing_replicas: brokers_to_pb(&partition.removing_replicas),
        isr: brokers_to_pb(&partition.isr),
        elr: brokers_to_pb(&partition.elr),
        last_known_leader: partition.last_known_leader.map(|b| b.0),
        leader: partition.leader.map(|b| b.0),
        leader_epoch: partition.leader_epoch.0,
        partition_epoch: partition.partition_epoch.0,
        recovery_state: recovery_to_pb(partition.recovery_state),
        durability: pb::Durability::from(partition.durability).into(),
    }
}

/// A partition from a message.
///
/// # Errors
/// Names the field that cannot be.
pub fn partition_from_pb(partition: &pb::Partition) -> Result<PartitionImage, ConvertError> {
    Ok(PartitionImage {
        replicas: brokers_from_pb(&partition.replicas),
        directories: directories_from_pb("directories", &partition.directories)?,
        adding_replicas: brokers_from_pb(&partition.adding_replicas),
        removing_replicas: brokers_from_pb(&partition.removing_replicas),
        isr: brokers_from_pb(&partition.isr),
        elr: brokers_from_pb(&partition.elr),
        last_known_leader: partition.last_known_leader.map(BrokerId),
        leader: partition.leader.map(BrokerId),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        partition_epoch: PartitionEpoch(partition.partition_epoch),
        recovery_state: recovery_from_pb(partition.recovery_state)?,
        durability: durability_from_pb(partition.durability)?,
    })
}

pub(super) fn recovery_to_pb(state: RecoveryState) -> i32 {
    match state {
        RecoveryState::Recovered => 0,
        RecoveryState::Recovering => 1,
    }
}

pub(super) fn recovery_from_pb(code: i32) -> Result<RecoveryState, ConvertError> {
    match code {
        0 => Ok(RecoveryState::Recovered),
        1 => Ok(RecoveryState::Recovering),
        _ => Err(ConvertError::OutOfRange { field: "recovery_state", value: code.into() }),
    }
}

pub(super) fn durability_from_pb(code: i32) -> Result<Durability, ConvertError> {
    pb::Durability::try_from(code)
        .map(Durability::from)
        .map_err(|_| ConvertError::OutOfRange { field: "durability", value: code.into() })
}

impl From<Durability> for pb::Durability {
    fn from(durability: Durability) -> pb::Durability {
        match durability {
            Durability::Written => pb::Durability::Written,
            Durability::Flushed => pb::Durability::Flushed,
        }
    }
}

impl From<pb::Durability> for Durability {
    fn from(durability: pb::Durability) -> Durability {
        match durability {
            pb::Durability::Written => Durability::Written,
            pb::Durability::Flushed => Durability::Flushed,
        }
    }
}
