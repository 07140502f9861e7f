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
