use raftsman_metadata::{BrokerState, MetadataImage, PartitionImage, TopicImage};
use raftsman_types::TopicIdPartition;

use super::{Checked, Violation};

/// What every committed image keeps: ISR and ELR apart, the ELR empty while enough are in sync, no fenced broker in an
/// ISR, and epochs that never fall.
pub(super) fn check(before: &MetadataImage, now: &MetadataImage) -> Checked {
    for topic in now.topics.values() {
        for (partition, state) in &topic.partitions {
            let at = TopicIdPartition { topic_id: topic.id, partition: *partition };
            check_partition(now, topic, at, state)?;
            if let Some(old) = before.partition(at)
                && (old.leader_epoch > state.leader_epoch || old.partition_epoch > state.partition_epoch)
            {
                return Err(Violation::new("epochs never fall", format!("{at}: {old:?} to {state:?}")));
            }
        }
    }
    for (id, broker) in &now.brokers {
        if before.broker_epoch(*id).is_some_and(|epoch| epoch > broker.broker_epoch) {
            return Err(Violation::new("epochs never fall", format!("broker {id}: {broker:?}")));
        }
    }
    Ok(())
}

fn check_partition(image: &MetadataImage, topic: &TopicImage, at: TopicIdPartition, state: &PartitionImage) -> Checked {
    if state.elr.iter().any(|member| state.isr.contains(member)) {
        return Err(Violation::new("ISR ∩ ELR = ∅", format!("{at}: {state:?}")));
    }
    if !state.elr.is_empty() && state.isr.len() as i32 >= image.min_insync_replicas(topic, state) as i32 {
        return Err(Violation::new("no ELR while enough are in sync", format!("{at}: {state:?}")));
    }
    let is_fenced = |id: &raftsman_types::BrokerId| image.broker(*id).is_none_or(|b| b.state == BrokerState::Fenced);
    if let Some(member) = state.isr.iter().find(|id| is_fenced(id)) {
        return Err(Violation::new("no fenced broker in an ISR", format!("{at}: broker {member}, {state:?}")));
    }
    Ok(())
}
