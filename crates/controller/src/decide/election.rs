//! Who leads a partition, who is in sync, who is eligible (KIP-966).

use raftsman_metadata::{Durability, MetadataImage, PartitionChange, PartitionImage, RecoveryState, TopicImage};
use raftsman_types::{BrokerId, DirectoryId};

use super::brokers::directory_of;

/// What a partition's leader and members shall be, before it is known who can be.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The ISR that is wanted.
    pub(super) isr: Vec<BrokerId>,
    /// Replicas that may miss acknowledged data: they lose their place in the ELR as well.
    pub(super) unsure: Vec<BrokerId>,
    /// Replicas that are known to miss data: they do not even count as last known leader.
    pub(super) lost: Vec<BrokerId>,
    /// The leader that is wanted, if it can be had.
    pub(super) leader: Option<BrokerId>,
}

/// Who may lead, and under which settings.
pub(super) struct Electorate<'a> {
    /// Its settings count.
    pub(super) image: &'a MetadataImage,
    /// `unclean.leader.election.enable` of the controller's file.
    pub(super) unclean_default: bool,
    /// Who may lead from now on.
    pub(super) acceptable: &'a dyn Fn(BrokerId) -> bool,
}

impl Electorate<'_> {
    /// What has to change of a partition for its ISR to become the wanted one: leader and ELR follow. `None` if nothing has to.
    pub(super) fn settle(
        &self,
        topic: &TopicImage,
        partition: i32,
        before: &PartitionImage,
        wanted: &Wanted,
    ) -> Option<PartitionChange> {
        let mut after = before.clone();
        after.isr.clone_from(&wanted.isr);
        after.elr = self.eligible(topic, before, &after.isr, wanted);
        self.elect(topic, before, &mut after, wanted);
        change_between(topic, partition, before, &after)
    }

    /// While the ISR is below the minimum nothing is committed, so who leaves it still has everything committed.
    fn eligible(
        &self,
        topic: &TopicImage,
        before: &PartitionImage,
        isr: &[BrokerId],
        wanted: &Wanted,
    ) -> Vec<BrokerId> {
        if isr.len() >= self.image.min_insync_replicas(topic, before) {
            return Vec::new();
        }
        let was_sure = |id: &BrokerId| before.isr.contains(id) || before.elr.contains(id);
        let is_unsure = |id: &BrokerId| wanted.unsure.contains(id) || wanted.lost.contains(id);
        before.replicas.iter().filter(|id| was_sure(id) && !isr.contains(id) && !is_unsure(id)).copied().collect()
    }

    fn elect(&self, topic: &TopicImage, before: &PartitionImage, after: &mut PartitionImage, wanted: &Wanted) {
        let from_isr = |id: BrokerId| after.isr.contains(&id) && (self.acceptable)(id);
        let first = wanted.leader.into_iter().chain(before.leader).chain(before.replicas.iter().copied());
        let leader = first.into_iter().find(|id| from_isr(*id));
        if let Some(leader) = leader {
            after.leader = Some(leader);
            after.last_known_leader = None;
            return;
        }
        // Nobody in the ISR can lead. Its members, if any, have everything as well and wait with the eligible ones.
        let waiting: Vec<BrokerId> =
            before.replicas.iter().filter(|id| after.isr.contains(id) || after.elr.contains(id)).copied().collect();
        after.isr.clear();
        after.elr = waiting;
        let last_known = before.leader.or(before.last_known_leader).filter(|id| !wanted.lost.contains(id));
        if let Some(leader) = after.elr.iter().copied().find(|id| (self.acceptable)(*id)) {
            self.enthrone(topic, after, leader);
            return;
        }
        let unclean = self.image.unclean_leader_election(&topic.name, self.unclean_default);
        let can_serve = |id: BrokerId| (self.acceptable)(id) && self.reaches(before, id);
        let last_resort = last_known.filter(|id| can_serve(*id) && after.elr.is_empty());
        let anyone = || before.replicas.iter().copied().find(|id| unclean && can_serve(*id));
        if let Some(leader) = last_resort.or_else(anyone) {
            after.elr.clear();
            self.enthrone(topic, after, leader);
            after.recovery_state = RecoveryState::Recovering;
            return;
        }
        after.leader = None;
        after.last_known_leader = last_known;
    }

    /// Whether a broker has its replica's directory. Who is in ISR or ELR does: it left them when the directory failed.
    fn reaches(&self, partition: &PartitionImage, id: BrokerId) -> bool {
        let directory = directory_of(partition, id).unwrap_or(DirectoryId::ZERO);
        self.image.broker(id).is_none_or(|broker| broker.reaches(directory))
    }

    /// A leader from outside of the ISR is its only member.
    fn enthrone(&self, topic: &TopicImage, after: &mut PartitionImage, leader: BrokerId) {
        after.leader = Some(leader);
        after.last_known_leader = None;
        after.isr = vec![leader];
        after.elr.retain(|id| *id != leader);
        if self.image.min_insync_replicas(topic, after) <= 1 {
            after.elr.clear();
        }
    }
}

/// The change that makes one state of a partition the other, its epochs aside; a new leader gets a new leader epoch.
pub(super) fn change_between(
    topic: &TopicImage,
    partition: i32,
    before: &PartitionImage,
    after: &PartitionImage,
) -> Option<PartitionChange> {
    fn new<T: PartialEq + Clone>(before: &T, after: &T) -> Option<T> {
        (before != after).then(|| after.clone())
    }
    let change = PartitionChange {
        leader: new(&before.leader, &after.leader),
        bump_leader_epoch: before.leader != after.leader,
        isr: new(&before.isr, &after.isr),
        elr: new(&before.elr, &after.elr),
        last_known_leader: new(&before.last_known_leader, &after.last_known_leader),
        directories: new::<Vec<DirectoryId>>(&before.directories, &after.directories),
        recovery_state: new(&before.recovery_state, &after.recovery_state),
        durability: new::<Durability>(&before.durability, &after.durability),
        ..PartitionChange::default()
    };
    let nothing = change == PartitionChange::default();
    (!nothing).then_some(PartitionChange { topic_id: topic.id, partition, ..change })
}

/// Every partition that satisfies a condition, in the order of topic ids and indexes.
pub(super) fn partitions_where(
    image: &MetadataImage,
    condition: impl Fn(&PartitionImage) -> bool,
) -> Vec<(std::sync::Arc<TopicImage>, i32)> {
    let mut found = Vec::new();
    for topic in image.topics.values() {
        found.extend(
            topic
                .partitions
                .iter()
                .filter(|(_, state)| condition(state))
                .map(|(partition, _)| (topic.clone(), *partition)),
        );
    }
    found
}

/// A list of members without one of them.
pub(super) fn without(members: &[BrokerId], broker: BrokerId) -> Vec<BrokerId> {
    members.iter().copied().filter(|id| *id != broker).collect()
}
