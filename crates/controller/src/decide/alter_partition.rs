//! A leader changes its in-sync replicas (KIP-497, KIP-903, KIP-966). Epochs are compared before anything else.

use raftsman_metadata::{BrokerState, MetadataImage, MetadataRecord, PartitionChange, PartitionImage, RecoveryState};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::election::{Electorate, Wanted, change_between};
use super::outcome::{Draft, Outcome, check_sender};
use super::{AlterPartition, BrokerReference, PartitionIsr, PartitionIsrResult, Reply, Situation};

pub(super) fn alter_partition(situation: &Situation<'_>, request: &AlterPartition) -> Outcome {
    if let Err(error) = check_sender(situation.image, request.sender) {
        return Outcome::unchanged(Reply::AlterPartition(Err(error)));
    }
    let mut draft = Draft::new(situation.image);
    let mut errors = Vec::with_capacity(request.partitions.len());
    for wanted in &request.partitions {
        errors.push(match alter_one(situation, draft.image(), request.sender, wanted) {
            Ok(change) => {
                change.into_iter().for_each(|change| draft.push(MetadataRecord::ChangePartition(change)));
                draft.may_split();
                ErrorCode::None
            }
            Err(error) => error,
        });
    }
    let results = request.partitions.iter().zip(errors);
    let results = results
        .map(|(wanted, error)| PartitionIsrResult {
            at: wanted.at,
            error,
            state: draft.image().partition(wanted.at).cloned(),
        })
        .collect();
    draft.with_reply(Reply::AlterPartition(Ok(results)))
}

fn alter_one(
    situation: &Situation<'_>,
    image: &MetadataImage,
    sender: BrokerReference,
    wanted: &PartitionIsr,
) -> Result<Option<PartitionChange>, ErrorCode> {
    let topic = image.topic(wanted.at.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let before = topic.partition(wanted.at.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epochs(sender.broker, before, wanted)?;
    check_members(image, sender, before, wanted)?;
    let isr: Vec<BrokerId> = wanted.new_isr.iter().map(|member| member.broker).collect();
    let is_same = isr.len() == before.isr.len() && isr.iter().all(|id| before.isr.contains(id));
    let isr = if is_same { before.isr.clone() } else { isr };
    let electorate = Electorate {
        image,
        unclean_default: situation.settings.unclean_leader_election,
        // The leader was just checked, and stays even while it is stopping in an orderly way.
        acceptable: &|id| id == sender.broker,
    };
    let settled = electorate.settle(topic, wanted.at.partition, before, &Wanted { isr, ..Wanted::default() });
    let mut after = settled.map_or_else(|| before.as_ref().clone(), |change| change.applied_to(before));
    if wanted.recovered {
        after.recovery_state = RecoveryState::Recovered;
    }
    Ok(change_between(topic, wanted.at.partition, before, &after))
}

fn check_epochs(sender: BrokerId, before: &PartitionImage, wanted: &PartitionIsr) -> Result<(), ErrorCode> {
    if wanted.leader_epoch < before.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    // A leader ahead of this image has heard of a later controller.
    if wanted.leader_epoch > before.leader_epoch || wanted.partition_epoch > before.partition_epoch {
        return Err(ErrorCode::NotController);
    }
    if before.leader != Some(sender) {
        return Err(ErrorCode::InvalidRequest);
    }
    if wanted.partition_epoch < before.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    Ok(())
}

fn check_members(
    image: &MetadataImage,
    sender: BrokerReference,
    before: &PartitionImage,
    wanted: &PartitionIsr,
) -> Result<(), ErrorCode> {
    let members = &wanted.new_isr;
    let is_twice = |at: usize| members[..at].iter().any(|other| other.broker == members[at].broker);
    if members.len() > before.replicas.len()
        || !members.iter().all(|member| before.has_replica(member.broker))
        || !members.iter().any(|member| member.broker == sender.broker)
        || (0..members.len()).any(is_twice)
    {
        return Err(ErrorCode::InvalidRequest);
    }
    // Until the leader has recovered, nobody can be in sync with it (KIP-704).
    if before.recovery_state == RecoveryState::Recovering && !wanted.recovered && members.len() > 1 {
        return Err(ErrorCode::InvalidRequest);
    }
    let is_eligible = |member: &BrokerReference| {
        if member.broker == sender.broker {
            return member.broker_epoch == sender.broker_epoch || member.broker_epoch == BrokerEpoch::NONE;
        }
        image
            .broker(member.broker)
            .is_some_and(|b| b.broker_epoch == member.broker_epoch && b.state == BrokerState::Unfenced)
    };
    if members.iter().all(is_eligible) { Ok(()) } else { Err(ErrorCode::IneligibleReplica) }
}
