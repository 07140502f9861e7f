//! Which replicas count as in sync while a change of the ISR is under way.

use raftsman_types::{BrokerId, MonotonicTime, PartitionEpoch};

/// The in-sync replicas as a leader knows them: what the controller committed, and one change it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isr {
    committed: Vec<BrokerId>,
    partition_epoch: PartitionEpoch,
    pending: Option<Pending>,
}

/// A change that was asked for and not decided, as far as the leader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The ISR asked for.
    pub proposed: Vec<BrokerId>,
    /// When to ask again. `None` while an answer is due, and once only the metadata can tell.
    pub resend_at: Option<MonotonicTime>,
    /// When the request was last sent with an outcome that stayed unknown.
    pub unknown_at: Option<MonotonicTime>,
}

impl Isr {
    /// The ISR of a partition's state.
    pub fn new(committed: Vec<BrokerId>, partition_epoch: PartitionEpoch) -> Isr {
        Isr { committed, partition_epoch, pending: None }
    }

    /// What the controller committed last.
    pub fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    /// The partition epoch of what was committed.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// The change under way.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Every replica that is in sync by what was committed or by what may have been: the high watermark counts all of
    /// them, so that it is right whichever way the change goes (KIP-497).
    pub fn maximal(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let proposed = self.pending.iter().flat_map(|p| p.proposed.iter());
        self.committed.iter().chain(proposed.filter(|id| !self.committed.contains(id))).copied()
    }

    /// Whether the replica is in the maximal ISR.
    pub fn counts(&self, broker: BrokerId) -> bool {
        self.maximal().any(|id| id == broker)
    }

    /// A change was sent for the first time.
    ///
    /// # Panics
    /// If one is under way already: there is exactly one.
    pub fn propose(&mut self, proposed: Vec<BrokerId>) {
        assert!(self.pending.is_none(), "one ISR change at a time: {:?} is under way", self.pending);
        self.pending = Some(Pending { proposed, resend_at: None, unknown_at: None });
    }

    /// The change under way is sent again, or its outcome became unknown.
    pub fn pending_mut(&mut self) -> Option<&mut Pending> {
        self.pending.as_mut()
    }

    /// The change under way certainly did not and will not take effect.
    pub fn abandon(&mut self) {
        self.pending = None;
    }

    /// The partition's state at an epoch became known. A newer one ends the change under way: it was asked for on an
    /// older epoch and can no longer take effect unless this is it. Says whether anything was new.
    pub fn commit(&mut self, isr: Vec<BrokerId>, partition_epoch: PartitionEpoch) -> bool {
        if partition_epoch <= self.partition_epoch {
            return false;
        }
        self.committed = isr;
        self.partition_epoch = partition_epoch;
        self.pending = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().map(|&id| BrokerId(id)).collect()
    }

    #[test]
    fn the_maximal_isr_is_the_union_until_the_change_is_decided() {
        let mut isr = Isr::new(ids(&[1, 2]), PartitionEpoch(4));
        isr.propose(ids(&[1, 3]));
        assert_eq!(isr.maximal().collect::<Vec<_>>(), ids(&[1, 2, 3]));
        assert!(!isr.commit(ids(&[1]), PartitionEpoch(4)), "an epoch already known changes nothing");
        assert_eq!(isr.maximal().collect::<Vec<_>>(), ids(&[1, 2, 3]));
        assert!(isr.commit(ids(&[1, 3]), PartitionEpoch(5)));
        assert_eq!(isr.maximal().collect::<Vec<_>>(), ids(&[1, 3]));
        assert!(isr.pending().is_none());
    }

    #[test]
    #[should_panic(expected = "one ISR change at a time")]
    fn there_is_one_change_at_a_time() {
        let mut isr = Isr::new(ids(&[1, 2]), PartitionEpoch(4));
        isr.propose(ids(&[1]));
        isr.propose(ids(&[1]));
    }
}
