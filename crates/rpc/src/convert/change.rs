use raftsman_metadata::PartitionChange;
use raftsman_types::{BrokerId, TopicIdPartition};

use super::partition::{durability_from_pb, recovery_from_pb, recovery_to_pb};
use super::{ConvertError, brokers_from_pb, brokers_to_pb, directories_from_pb, directories_to_pb};
use crate::metadata as pb;

/// On the wire "nobody" is -1, because absence already means "unchanged".
fn nobody_to_pb(leader: Option<BrokerId>) -> i32 {
    leader.unwrap_or(BrokerId::NONE).0
}

fn nobody_from_pb(leader: i32) -> Option<BrokerId> {
    (leader != BrokerId::NONE.0).then_some(BrokerId(leader))
}

fn list_to_pb(brokers: &[BrokerId]) -> pb::BrokerList {
    pb::BrokerList { brokers: brokers_to_pb(brokers) }
}

fn list_from_pb(list: &pb::BrokerList) -> Vec<BrokerId> {
    brokers_from_pb(&list.brokers)
}

impl From<&PartitionChange> for pb::PartitionChange {
    fn from(change: &PartitionChange) -> pb::PartitionChange {
        let at = TopicIdPartition { topic_id: change.topic_id, partition: change.partition };
        pb::PartitionChange {
            at: Some(at.into()),
            leader: change.leader.map(nobody_to_pb),
            bump_leader_epoch: change.bump_leader_epoch,
            isr: change.isr.as_deref().map(list_to_pb),
            elr: change.elr.as_deref().map(list_to_pb),
            last_known_leader: change.last_known_leader.map(nobody_to_pb),
            replicas: change.replicas.as_deref().map(list_to_pb),
            directories: change.directories.as_deref().map(|d| pb::DirectoryList { directories: directories_to_pb(d) }),
            adding_replicas: change.adding_replicas.as_deref().map(list_to_pb),
            removing_replicas: change.removing_replicas.as_deref().map(list_to_pb),
            recovery_state: change.recovery_state.map(recovery_to_pb),
            durability: change.durability.map(|d| pb::Durability::from(d).into()),
        }
    }
}

impl TryFrom<&pb::PartitionChange> for PartitionChange {
    type Error = ConvertError;

    fn try_from(change: &pb::PartitionChange) -> Result<PartitionChange, ConvertError> {
        let at = TopicIdPartition::try_from(change.at.as_ref().ok_or(ConvertError::Missing("change_partition.at"))?)?;
        Ok(PartitionChange {
            topic_id: at.topic_id,
            partition: at.partition,
            leader: change.leader.map(nobody_from_pb),
            bump_leader_epoch: change.bump_leader_epoch,
            isr: change.isr.as_ref().map(list_from_pb),
            elr: change.elr.as_ref().map(list_from_pb),
            last_known_leader: change.last_known_leader.map(nobody_from_pb),
            replicas: change.replicas.as_ref().map(list_from_pb),
            directories: change
                .directories
                .as_ref()
                .map(|d| directories_from_pb("directories", &d.directories))
                .transpose()?,
            adding_replicas: change.adding_replicas.as_ref().map(list_from_pb),
            removing_replicas: change.removing_replicas.as_ref().map(list_from_pb),
            recovery_state: change.recovery_state.map(recovery_from_pb).transpose()?,
            durability: change.durability.map(durability_from_pb).transpose()?,
        })
    }
}
