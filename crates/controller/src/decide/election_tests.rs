//! Tables: who leads, who is in sync, who stays eligible.

use std::sync::Arc;

use imbl::OrdMap;
use raftsman_metadata::{ConfigResource, MetadataImage, MetadataRecord, PartitionImage, RecoveryState, TopicImage};
use raftsman_types::{BrokerId, DirectoryId, LeaderEpoch, TopicId, Uuid};

use super::election::{Electorate, Wanted};

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(BrokerId).collect()
}

/// Replicas 1, 2, 3 as they are: ISR, ELR, leader, last known leader (0 for nobody).
type State<'a> = (&'a [i32], &'a [i32], i32, i32);

fn partition((isr, elr, leader, last_known): State<'_>) -> PartitionImage {
    let broker = |id: i32| (id != 0).then_some(BrokerId(id));
    PartitionImage {
        replicas: ids(&[1, 2, 3]),
        directories: vec![DirectoryId::ZERO; 3],
        isr: ids(isr),
        elr: ids(elr),
        leader: broker(leader),
        last_known_leader: broker(last_known),
        leader_epoch: LeaderEpoch(5),
        ..PartitionImage::default()
    }
}

struct Case<'a> {
    name: &'a str,
    before: State<'a>,
    min_isr: i32,
    /// Who may lead.
    fit: &'a [i32],
    unclean: bool,
    isr: &'a [i32],
    unsure: &'a [i32],
    lost: &'a [i32],
    leader: Option<i32>,
    after: State<'a>,
    recovering: bool,
}

const CASE: Case<'_> = Case {
    name: "",
    before: (&[1, 2, 3], &[], 1, 0),
    min_isr: 2,
    fit: &[1, 2, 3],
    unclean: false,
    isr: &[],
    unsure: &[],
    lost: &[],
    leader: None,
    after: (&[], &[], 0, 0),
    recovering: false,
};

fn check(case: &Case<'_>) {
    let before = partition(case.before);
    let topic_id = TopicId(Uuid([1; 16]));
    let topic = TopicImage { id: topic_id, name: "t".into(), partitions: OrdMap::unit(0, Arc::new(before.clone())) };
    let mut image = MetadataImage::default();
    image.replay_record(&MetadataRecord::SetConfig {
        resource: ConfigResource::cluster(),
        key: "min.insync.replicas".into(),
        value: Some(case.min_isr.to_string().into()),
    });
    let fit = ids(case.fit);
    let electorate =
        Electorate { image: &image, unclean_default: case.unclean, acceptable: &|broker| fit.contains(&broker) };
    let wanted = Wanted {
        isr: ids(case.isr),
        unsure: ids(case.unsure),
        lost: ids(case.lost),
        leader: case.leader.map(BrokerId),
    };
    let change = electorate.settle(&topic, 0, &before, &wanted);
    let after = change.map_or_else(|| before.clone(), |change| change.applied_to(&before));
    let mut expected = partition(case.after);
    expected.leader_epoch = LeaderEpoch(5 + i32::from(after.leader != before.leader));
    expected.partition_epoch = after.partition_epoch;
    if case.recovering {
        expected.recovery_state = RecoveryState::Recovering;
    }
    assert_eq!(after, expected, "{}", case.name);
}

#[test]
fn a_member_leaves_the_isr() {
    let cases = [
        Case { name: "a follower, enough left", isr: &[1, 2], after: (&[1, 2], &[], 1, 0), ..CASE },
        Case { name: "the leader, enough left", isr: &[2, 3], fit: &[2, 3], after: (&[2, 3], &[], 2, 0), ..CASE },
        Case {
            name: "the leader, the next in the order of replicas is not fit",
            isr: &[2, 3],
            fit: &[3],
            after: (&[2, 3], &[], 3, 0),
            ..CASE
        },
        Case {
            name: "below the minimum: who leaves stays eligible",
            before: (&[1, 2], &[], 1, 0),
            isr: &[2],
            fit: &[2, 3],
            after: (&[2], &[1], 2, 0),
            ..CASE
        },
        Case {
            name: "below the minimum, and it may miss the tail",
            before: (&[1, 2], &[], 1, 0),
            isr: &[2],
            unsure: &[1],
            fit: &[2, 3],
            after: (&[2], &[], 2, 0),
            ..CASE
        },
        Case {
            name: "the last one: leaderless, all that are sure stay eligible",
            before: (&[2], &[1], 2, 0),
            fit: &[3],
            after: (&[], &[1, 2], 0, 2),
            ..CASE
        },
        Case {
            name: "the last one while an eligible one is fit",
            before: (&[2], &[1], 2, 0),
            fit: &[1, 3],
            after: (&[1], &[2], 1, 0),
            ..CASE
        },
        Case {
            name: "the only one that counts under a minimum of one",
            before: (&[2], &[], 2, 0),
            min_isr: 1,
            fit: &[1, 3],
            after: (&[], &[2], 0, 2),
            ..CASE
        },
    ];
    cases.iter().for_each(check);
}

#[test]
fn who_misses_data_neither_leads_nor_stays_eligible() {
    let cases = [
        Case {
            name: "nobody clean, unclean allowed",
            before: (&[2], &[], 2, 0),
            min_isr: 1,
            fit: &[1, 3],
            unclean: true,
            after: (&[1], &[], 1, 0),
            recovering: true,
            ..CASE
        },
        Case {
            name: "the last one misses data for certain",
            before: (&[2], &[], 2, 0),
            lost: &[2],
            fit: &[1, 2, 3],
            after: (&[], &[], 0, 0),
            ..CASE
        },
        Case {
            name: "an eligible one loses its disk",
            before: (&[2], &[1], 2, 0),
            isr: &[2],
            lost: &[1],
            after: (&[2], &[], 2, 0),
            ..CASE
        },
    ];
    cases.iter().for_each(check);
}

#[test]
fn a_leaderless_partition_gets_a_leader_when_one_is_fit() {
    let leaderless: State<'_> = (&[], &[1, 2], 0, 2);
    let cases = [
        Case { name: "nobody", before: leaderless, fit: &[], after: leaderless, ..CASE },
        Case { name: "not an eligible one", before: leaderless, fit: &[3], after: leaderless, ..CASE },
        Case { name: "an eligible one", before: leaderless, fit: &[2, 3], after: (&[2], &[1], 2, 0), ..CASE },
        Case {
            name: "an eligible one, which is enough by itself",
            before: leaderless,
            min_isr: 1,
            fit: &[2],
            after: (&[2], &[], 2, 0),
            ..CASE
        },
        Case {
            name: "an eligible one goes before an unclean one",
            before: leaderless,
            fit: &[2, 3],
            unclean: true,
            after: (&[2], &[1], 2, 0),
            ..CASE
        },
        Case {
            name: "unclean, where only that is left",
            before: leaderless,
            fit: &[3],
            unclean: true,
            after: (&[3], &[], 3, 0),
            recovering: true,
            ..CASE
        },
        Case {
            name: "nobody is eligible, not even the last known leader is back",
            before: (&[], &[], 0, 2),
            fit: &[1, 3],
            after: (&[], &[], 0, 2),
            ..CASE
        },
        Case {
            name: "nobody is eligible, the last known leader is back (KIP-966)",
            before: (&[], &[], 0, 2),
            fit: &[1, 2, 3],
            after: (&[2], &[], 2, 0),
            recovering: true,
            ..CASE
        },
        Case {
            name: "the last known leader never goes before an eligible replica that is away",
            before: (&[], &[1], 0, 2),
            fit: &[2, 3],
            after: (&[], &[1], 0, 2),
            ..CASE
        },
    ];
    cases.iter().for_each(check);
}

#[test]
fn a_member_joins_or_the_leader_moves() {
    let cases = [
        Case {
            name: "up to the minimum: nobody else needs to be eligible",
            before: (&[2], &[1], 2, 0),
            isr: &[2, 3],
            after: (&[2, 3], &[], 2, 0),
            ..CASE
        },
        Case {
            name: "still below the minimum: an eligible one joins, the other stays so",
            before: (&[2], &[1, 3], 2, 0),
            min_isr: 3,
            isr: &[2, 1],
            after: (&[2, 1], &[3], 2, 0),
            ..CASE
        },
        Case {
            name: "back to the preferred one",
            before: (&[1, 2, 3], &[], 3, 0),
            isr: &[1, 2, 3],
            leader: Some(1),
            after: (&[1, 2, 3], &[], 1, 0),
            ..CASE
        },
        Case {
            name: "the preferred one is not fit: nothing changes",
            before: (&[1, 2, 3], &[], 3, 0),
            isr: &[1, 2, 3],
            fit: &[2, 3],
            leader: Some(1),
            after: (&[1, 2, 3], &[], 3, 0),
            ..CASE
        },
    ];
    cases.iter().for_each(check);
}
