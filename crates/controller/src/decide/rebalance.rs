//! Leaderships go back to preferred replicas (`auto.leader.rebalance.enable`).

use raftsman_metadata::{MetadataImage, MetadataRecord, PartitionImage};

use super::election::{Electorate, Wanted, partitions_where};
use super::outcome::{Draft, Outcome};
use super::{Reply, Situation};

/// How many leaderships move at once: each costs its clients a refresh of their metadata.
pub const LEADERS_MOVED_AT_ONCE: usize = 1000;

/// Whether a partition's preferred replica could lead it and does not.
pub fn is_imbalanced(image: &MetadataImage, partition: &PartitionImage) -> bool {
    partition.leader.is_some()
        && partition.preferred_replica() != partition.leader
        && partition.preferred_replica().is_some_and(|id| partition.isr.contains(&id) && image.is_active(id))
}

pub(super) fn rebalance(situation: &Situation<'_>) -> Outcome {
    let image = situation.image;
    let mut draft = Draft::new(image);
    let electorate = Electorate {
        image,
        unclean_default: situation.settings.unclean_leader_election,
        acceptable: &|id| image.is_active(id),
    };
    let imbalanced = partitions_where(image, |p| is_imbalanced(image, p));
    for (topic, partition) in imbalanced.into_iter().take(LEADERS_MOVED_AT_ONCE) {
        let Some(before) = topic.partition(partition) else { continue };
        let wanted = Wanted { isr: before.isr.clone(), leader: before.preferred_replica(), ..Wanted::default() };
        if let Some(change) = electorate.settle(&topic, partition, before, &wanted) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
    draft.with_reply(Reply::Done(Ok(())))
}
