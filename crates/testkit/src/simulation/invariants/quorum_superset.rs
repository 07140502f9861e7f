use raftsman_broker::replica::stepped::LeaderInspection;
use raftsman_metadata::PartitionImage;
use raftsman_types::TopicIdPartition;

use super::{Checked, Violation};

/// ReplicationQuorumSuperset: the leader of the present epoch counts on everyone the controllers hold for in sync.
pub(super) fn check(node: i32, at: TopicIdPartition, leader: &LeaderInspection, state: &PartitionImage) -> Checked {
    if leader.leader_epoch != state.leader_epoch {
        return Ok(());
    }
    if let Some(missed) = state.isr.iter().find(|member| !leader.maximal_isr.contains(member)) {
        let what = format!(
            "{at}: leader {node} does not count broker {missed}: its maximal ISR is {:?}, the committed one {:?}",
            leader.maximal_isr, state.isr
        );
        return Err(Violation::new("ReplicationQuorumSuperset", what));
    }
    Ok(())
}
