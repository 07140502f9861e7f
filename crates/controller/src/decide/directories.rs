//! In which log directories the replicas are, and what becomes of those whose directory is lost (KIP-858).

use raftsman_metadata::{MetadataRecord, PartitionImage};
use raftsman_types::DirectoryId;

use super::brokers::{directory_of, elect_leaderless};
use super::election::{Electorate, Wanted, change_between, partitions_where, without};
use super::outcome::{Draft, Outcome, check_sender};
use super::{AssignDirectories, BrokerReference, Reply, Situation};

/// Directories of a broker went offline: what is in them is out of ISR and ELR. It may come back, for a directory that fails once is
/// often well after a restart: whoever led last stays known as that (KIP-966), else nobody could ever lead again where all others are
/// gone. Only a directory that is missing when its broker registers, none having failed, is known to be lost.
pub(super) fn offline(situation: &Situation<'_>, broker: BrokerReference, directories: &[DirectoryId]) -> Outcome {
    if let Err(error) = check_sender(situation.image, broker) {
        return Outcome::unchanged(Reply::Done(Err(error)));
    }
    let id = broker.broker;
    let all_offline = situation.image.broker(id).is_some_and(|b| b.directories.iter().all(|d| directories.contains(d)));
    let is_offline = |p: &PartitionImage| {
        directory_of(p, id).is_some_and(|directory| all_offline || directories.contains(&directory))
    };
    let in_use = |p: &PartitionImage| p.isr.contains(&id) || p.elr.contains(&id) || p.leader == Some(id);
    let mut draft = Draft::new(situation.image);
    for (topic, partition) in partitions_where(situation.image, |p| in_use(p) && is_offline(p)) {
        let Some(before) = topic.partition(partition) else { continue };
        let after = withdrawn(situation, &draft, &topic, partition, before, broker);
        if let Some(change) = change_between(&topic, partition, before, &after) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
    draft.with_reply(Reply::Done(Ok(())))
}

/// A broker says in which of its directories it keeps which replicas. What it keeps in one that has failed is not counted on: so nothing
/// slips through that was not recorded yet when the directory failed.
pub(super) fn assign(situation: &Situation<'_>, request: &AssignDirectories) -> Outcome {
    if let Err(error) = check_sender(situation.image, request.sender) {
        return Outcome::unchanged(Reply::Done(Err(error)));
    }
    let id = request.sender.broker;
    let is_online = |directory| situation.image.broker(id).is_some_and(|b| b.directories.contains(&directory));
    let mut draft = Draft::new(situation.image);
    for assignment in &request.assignments {
        for at in &assignment.partitions {
            // A topic may be deleted and a replica moved while the message is on its way.
            let Some(topic) = draft.image().topic(at.topic_id).cloned() else { continue };
            let Some(before) = topic.partition(at.partition) else { continue };
            let Some(index) = before.replicas.iter().position(|replica| *replica == id) else { continue };
            let mut after = match assignment.failed || !is_online(assignment.directory) {
                true => withdrawn(situation, &draft, &topic, at.partition, before, request.sender),
                false => before.as_ref().clone(),
            };
            if let Some(recorded) = after.directories.get_mut(index) {
                *recorded = assignment.directory;
            }
            if let Some(change) = change_between(&topic, at.partition, before, &after) {
                draft.push(MetadataRecord::ChangePartition(change));
                draft.may_split();
            }
        }
    }
    // Who led last can lead again once it is known not to be in a directory that has failed.
    if situation.image.broker(id).is_some_and(|broker| !broker.offline_directories.is_empty()) {
        let is_placed =
            |p: &PartitionImage| directory_of(p, id).is_some_and(|directory| directory != DirectoryId::ZERO);
        elect_leaderless(situation, &mut draft, is_placed);
    }
    draft.with_reply(Reply::Done(Ok(())))
}

/// A partition without the replica of a broker that cannot reach it.
fn withdrawn(
    situation: &Situation<'_>,
    draft: &Draft,
    topic: &raftsman_metadata::TopicImage,
    partition: i32,
    before: &PartitionImage,
    broker: BrokerReference,
) -> PartitionImage {
    let (id, image) = (broker.broker, draft.image());
    let electorate = Electorate {
        image,
        unclean_default: situation.settings.unclean_leader_election,
        acceptable: &|other| other != id && image.is_active(other),
    };
    let wanted = Wanted { isr: without(&before.isr, id), unsure: vec![id], ..Wanted::default() };
    let change = electorate.settle(topic, partition, before, &wanted);
    change.map_or_else(|| before.clone(), |change| change.applied_to(before))
}
