//! Which brokers get a partition's replicas: spread over racks (KIP-36) and brokers, by chance where it does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_metadata::{BrokerState, MetadataImage};
use raftsman_types::BrokerId;
use rand::Rng;

/// Places partitions so that within one topic leaders and replicas are spread evenly.
pub(super) struct Placement {
    candidates: Vec<Candidate>,
}

struct Candidate {
    id: BrokerId,
    rack: Option<Arc<str>>,
    active: bool,
    leaders: u32,
    replicas: u32,
    /// Breaks ties; drawn once, so that a run of partitions goes round the brokers in a fixed random order.
    lot: u64,
}

impl Placement {
    /// Over all registered brokers. Those that cannot lead now are given replicas only when there are not enough others.
    pub(super) fn new(image: &MetadataImage, rng: &mut impl Rng) -> Placement {
        let candidates = image
            .brokers
            .values()
            .filter(|broker| broker.state != BrokerState::ControlledShutdown || image.brokers.len() > 1)
            .map(|broker| Candidate {
                id: broker.id,
                rack: broker.rack.clone(),
                active: broker.state == BrokerState::Unfenced,
                leaders: 0,
                replicas: 0,
                lot: rng.next_u64(),
            })
            .collect();
        Placement { candidates }
    }

    /// Why no partition of so many replicas can be placed, in Kafka's words.
    pub(super) fn problem(&self, replication_factor: usize) -> Option<String> {
        let reason = if replication_factor > self.candidates.len() {
            format!(
                "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are registered.",
                self.candidates.len()
            )
        } else if !self.candidates.iter().any(|candidate| candidate.active) {
            "All brokers are currently fenced.".to_owned()
        } else {
            return None;
        };
        Some(format!("Unable to replicate the partition {replication_factor} time(s): {reason}"))
    }

    /// Counts replicas that are there already, so that new partitions fill the gaps.
    pub(super) fn count(&mut self, replicas: &[BrokerId]) {
        for (at, id) in replicas.iter().enumerate() {
            if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.id == *id) {
                candidate.replicas += 1;
                candidate.leaders += u32::from(at == 0);
            }
        }
    }

    /// The replicas of the next partition, the preferred leader first. Fewer only if there is a `problem`.
    pub(super) fn place(&mut self, replication_factor: usize) -> Vec<BrokerId> {
        let mut replicas: Vec<BrokerId> = Vec::with_capacity(replication_factor.min(self.candidates.len()));
        let mut racks: BTreeMap<Option<Arc<str>>, u32> = BTreeMap::new();
        while replicas.len() < replication_factor {
            let is_leader = replicas.is_empty();
            let free = self.candidates.iter_mut().filter(|c| !replicas.contains(&c.id) && (c.active || !is_leader));
            let best = free.min_by_key(|c| {
                let in_rack = racks.get(&c.rack).copied().unwrap_or(0);
                let leaders = if is_leader { c.leaders } else { 0 };
                (!c.active, in_rack, leaders, c.replicas, c.lot)
            });
            let Some(best) = best else { break };
            best.replicas += 1;
            best.leaders += u32::from(is_leader);
            *racks.entry(best.rack.clone()).or_default() += 1;
            replicas.push(best.id);
        }
        replicas
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use raftsman_metadata::{BrokerRegistration, Durability, MetadataRecord};
    use raftsman_types::{BrokerEpoch, IncarnationId};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Brokers 1, 2, … by rack and state.
    fn image(brokers: &[(Option<&str>, BrokerState)]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for (at, (rack, state)) in brokers.iter().enumerate() {
            image.replay_record(&MetadataRecord::RegisterBroker(Arc::new(BrokerRegistration {
                id: BrokerId(at as i32 + 1),
                broker_epoch: BrokerEpoch(1),
                incarnation: IncarnationId::ZERO,
                listeners: Vec::new(),
                inter_broker_listener: "L".into(),
                rack: rack.map(Into::into),
                directories: Vec::new(),
                offline_directories: Vec::new(),
                state: *state,
                features: Vec::new(),
                boot_id: "".into(),
                log_durability: Durability::Flushed,
            })));
        }
        image
    }

    fn place(image: &MetadataImage, partitions: usize, factor: usize, seed: u64) -> Vec<Vec<BrokerId>> {
        let mut placement = Placement::new(image, &mut StdRng::seed_from_u64(seed));
        assert_eq!(placement.problem(factor), None);
        (0..partitions).map(|_| placement.place(factor)).collect()
    }

    fn spread(counts: &BTreeMap<BrokerId, usize>) -> usize {
        counts.values().max().unwrap_or(&0) - counts.values().min().unwrap_or(&0)
    }

    #[test]
    fn leaders_and_replicas_are_even_and_no_broker_is_twice_in_a_partition() {
        let brokers = [(None, BrokerState::Unfenced); 5];
        for seed in 0..50 {
            let (mut leaders, mut replicas) = (BTreeMap::new(), BTreeMap::new());
            for partition in place(&image(&brokers), 20, 3, seed) {
                assert_eq!(partition.iter().collect::<BTreeSet<_>>().len(), 3, "{partition:?}");
                *leaders.entry(partition[0]).or_default() += 1;
                for id in partition {
                    *replicas.entry(id).or_default() += 1;
                }
            }
            assert!(spread(&leaders) == 0 && spread(&replicas) <= 1, "leaders {leaders:?}, replicas {replicas:?}");
        }
    }

    #[test]
    fn replicas_are_on_as_many_racks_as_there_are() {
        let rack = |name| (Some(name), BrokerState::Unfenced);
        let image = image(&[rack("a"), rack("a"), rack("a"), rack("b"), rack("c")]);
        for seed in 0..50 {
            for partition in place(&image, 10, 3, seed) {
                let racks: BTreeSet<_> = partition.iter().map(|id| image.brokers[id].rack.clone()).collect();
                assert_eq!(racks.len(), 3, "{partition:?}");
            }
        }
    }

    #[test]
    fn where_nothing_else_decides_it_is_by_chance() {
        let image = image(&[(None, BrokerState::Unfenced); 3]);
        let firsts: BTreeSet<BrokerId> = (0..50).map(|seed| place(&image, 1, 1, seed)[0][0]).collect();
        assert_eq!(firsts.len(), 3);
        assert_eq!(place(&image, 6, 2, 9), place(&image, 6, 2, 9), "one seed, one placement");
    }

    #[test]
    fn fenced_brokers_never_lead_and_follow_only_where_others_are_missing() {
        use BrokerState::{Fenced, Unfenced};
        let image = image(&[(None, Fenced), (None, Unfenced), (None, Unfenced)]);
        for seed in 0..20 {
            assert!(place(&image, 4, 2, seed).iter().all(|partition| !partition.contains(&BrokerId(1))));
            assert!(place(&image, 4, 3, seed).iter().all(|partition| partition[2] == BrokerId(1)));
        }
    }

    #[test]
    fn what_cannot_be_placed_is_said_in_kafkas_words() {
        let mut rng = StdRng::seed_from_u64(1);
        let few = Placement::new(&image(&[(None, BrokerState::Unfenced)]), &mut rng);
        assert_eq!(
            few.problem(2).as_deref(),
            Some(
                "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because \
                 only 1 broker(s) are registered."
            )
        );
        let fenced = Placement::new(&image(&[(None, BrokerState::Fenced)]), &mut rng);
        assert_eq!(
            fenced.problem(1).as_deref(),
            Some("Unable to replicate the partition 1 time(s): All brokers are currently fenced.")
        );
    }
}
