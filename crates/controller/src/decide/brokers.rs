//! Brokers that are fenced, unfenced, stop, lose a disk or leave for good.

use raftsman_metadata::{BrokerState, MetadataRecord, PartitionImage, TopicImage};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode};

use super::election::{Electorate, Wanted, partitions_where, without};
use super::outcome::{Draft, Outcome, check_sender};
use super::{BrokerReference, Reply, RequestError, Situation};

/// A broker is dead: it leaves every ISR, and its leaderships move.
pub(super) fn fence(situation: &Situation<'_>, broker: BrokerReference) -> Outcome {
    retire(
        situation,
        broker,
        |state| state != BrokerState::Fenced,
        |broker| MetadataRecord::FenceBroker { broker: broker.broker, broker_epoch: broker.broker_epoch },
    )
}

/// A broker lives, but its disk does not answer: it is fenced where that helps, which is while some partition it holds
/// up has enough other replicas in sync. Otherwise nothing would move without it either, and it stays: three nodes on
/// one busy disk do not fence each other.
pub(super) fn stand_aside(situation: &Situation<'_>, broker: BrokerReference) -> Outcome {
    let image = situation.image;
    let is_held_up = |topic: &TopicImage, partition: &PartitionImage| {
        let others = partition.isr.iter().filter(|id| **id != broker.broker && image.is_active(**id)).count();
        partition.has_replica(broker.broker) && others >= image.min_insync_replicas(topic, partition)
    };
    let helps = image.topics.values().any(|topic| topic.partitions.values().any(|state| is_held_up(topic, state)));
    if helps { fence(situation, broker) } else { Outcome::unchanged(Reply::Done(Ok(()))) }
}

/// A broker wants to stop: the same while it still serves.
pub(super) fn controlled_shutdown(situation: &Situation<'_>, broker: BrokerReference) -> Outcome {
    retire(
        situation,
        broker,
        |state| state == BrokerState::Unfenced,
        |broker| MetadataRecord::StartControlledShutdown { broker: broker.broker, broker_epoch: broker.broker_epoch },
    )
}

/// A broker is forgotten. What it holds stays assigned to it, in case one comes back under its id.
pub(super) fn unregister(situation: &Situation<'_>, broker: BrokerReference) -> Outcome {
    retire(
        situation,
        broker,
        |_| true,
        |broker| MetadataRecord::UnregisterBroker { broker: broker.broker, broker_epoch: broker.broker_epoch },
    )
}

/// The partitions change first and the broker's state last: wherever the records are cut, no fenced broker is in an ISR.
fn retire(
    situation: &Situation<'_>,
    broker: BrokerReference,
    concerns: impl Fn(BrokerState) -> bool,
    last: impl Fn(BrokerReference) -> MetadataRecord,
) -> Outcome {
    if let Err(error) = check_sender(situation.image, broker) {
        return Outcome::unchanged(Reply::Done(Err(error)));
    }
    let mut draft = Draft::new(situation.image);
    let state = situation.image.broker(broker.broker).map(|registration| registration.state);
    if state.is_some_and(&concerns) {
        leave_isrs(situation, &mut draft, broker.broker);
        draft.push(last(broker));
    }
    draft.with_reply(Reply::Done(Ok(())))
}

fn leave_isrs(situation: &Situation<'_>, draft: &mut Draft, broker: BrokerId) {
    let concerned = partitions_where(draft.image(), |p| p.isr.contains(&broker) || p.leader == Some(broker));
    for (topic, partition) in concerned {
        let Some(before) = topic.partition(partition) else { continue };
        let wanted = Wanted { isr: without(&before.isr, broker), ..Wanted::default() };
        let image = draft.image();
        let electorate = Electorate {
            image,
            unclean_default: situation.settings.unclean_leader_election,
            acceptable: &|id| id != broker && image.is_active(id),
        };
        if let Some(change) = electorate.settle(&topic, partition, before, &wanted) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
}

/// A broker is fit: it may be given leaderships, first of all those that nobody else can take.
pub(super) fn unfence(situation: &Situation<'_>, broker: BrokerReference) -> Outcome {
    if let Err(error) = check_sender(situation.image, broker) {
        return Outcome::unchanged(Reply::Done(Err(error)));
    }
    let mut draft = Draft::new(situation.image);
    let is_fenced = situation.image.broker(broker.broker).is_some_and(|b| b.state == BrokerState::Fenced);
    if is_fenced {
        draft.push(MetadataRecord::UnfenceBroker { broker: broker.broker, broker_epoch: broker.broker_epoch });
        let waiting = |p: &PartitionImage| p.leader.is_none() && p.has_replica(broker.broker);
        elect_leaderless(situation, &mut draft, waiting);
    }
    draft.with_reply(Reply::Done(Ok(())))
}

/// Gives leaderless partitions a leader where there is one to be had now.
pub(super) fn elect_leaderless(
    situation: &Situation<'_>,
    draft: &mut Draft,
    concerned: impl Fn(&PartitionImage) -> bool,
) {
    for (topic, partition) in partitions_where(draft.image(), |p| p.leader.is_none() && concerned(p)) {
        let Some(before) = topic.partition(partition) else { continue };
        let image = draft.image();
        let electorate = Electorate {
            image,
            unclean_default: situation.settings.unclean_leader_election,
            acceptable: &|id| image.is_active(id),
        };
        let wanted = Wanted { isr: before.isr.clone(), ..Wanted::default() };
        if let Some(change) = electorate.settle(&topic, partition, before, &wanted) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
}

/// The directory a broker's replica is recorded in; zero where it is not known.
pub(super) fn directory_of(partition: &PartitionImage, broker: BrokerId) -> Option<DirectoryId> {
    let at = partition.replicas.iter().position(|id| *id == broker)?;
    partition.directories.get(at).copied()
}

/// A refusal of the whole request.
pub(super) fn refusal(code: ErrorCode, message: impl Into<String>) -> RequestError {
    RequestError { code, message: message.into() }
}
