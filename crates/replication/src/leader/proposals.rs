//! The part of a leader that asks the controller for changes of the ISR, one at a time.

use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, MonotonicTime, PartitionEpoch};

use super::progress::Progress;
use super::{IsrAnswer, IsrProposal, Leader, LeaderEffect};

impl Leader {
    /// Asks for the next change if none is under way and one is due.
    pub(super) fn propose(&mut self, now: MonotonicTime, effects: &mut Vec<LeaderEffect>) {
        if self.isr.pending().is_some() {
            return;
        }
        let joins = |r: &&Progress| self.may_join(r, now);
        let most = if self.one_by_one { 1 } else { self.replicas.len() };
        let joining: Vec<BrokerId> = self.replicas.iter().filter(joins).map(|r| r.broker).take(most).collect();
        let may_recover = |r: &Progress| r.broker == self.me && r.blocked_until <= now;
        if joining.is_empty() && !(self.recovering && self.replicas.iter().any(may_recover)) {
            return;
        }
        let isr = self.isr.committed();
        let grown = self.replicas.iter().map(|r| r.broker).filter(|id| isr.contains(id) || joining.contains(id));
        let grown = grown.collect();
        self.send(grown, effects);
    }

    fn send(&mut self, proposed: Vec<BrokerId>, effects: &mut Vec<LeaderEffect>) {
        self.isr.propose(proposed.clone());
        effects.push(LeaderEffect::AlterPartition(self.proposal(&proposed)));
    }

    fn proposal(&self, proposed: &[BrokerId]) -> IsrProposal {
        let epoch_of =
            |id: BrokerId| self.replicas.iter().find(|r| r.broker == id).map_or(BrokerEpoch::NONE, |r| r.broker_epoch);
        IsrProposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.isr.partition_epoch(),
            new_isr: proposed.iter().map(|&id| (id, epoch_of(id))).collect(),
            recovered: self.recovering,
        }
    }

    /// A follower joins once it has all that is or may be committed: everything below the high watermark, and
    /// everything earlier leaders wrote, for those may have committed it without this leader knowing.
    fn may_join(&self, replica: &Progress, now: MonotonicTime) -> bool {
        replica.broker != self.me
            && !self.isr.counts(replica.broker)
            && replica.eligible
            && replica.blocked_until <= now
            && replica.key.is_some()
            && replica
                .counted(self.durability)
                .is_some_and(|offset| offset >= self.high_watermark && offset >= self.epoch_start)
    }

    /// Whether something is left that only time brings about: until then a [`Tick`](super::LeaderEvent::Tick) now and
    /// then is wanted, and an idle partition wants none.
    pub fn needs_tick(&self) -> bool {
        self.isr.pending().is_some()
            || self.recovering
            || self.replicas.iter().any(|r| {
                if r.broker == self.me {
                    false
                } else if self.isr.counts(r.broker) {
                    !r.eligible
                        || r.without_room
                        || r.counted(self.durability).is_none_or(|offset| offset < self.log.end)
                } else {
                    r.eligible && r.key.is_some()
                }
            })
    }

    pub(super) fn tick(&mut self, now: MonotonicTime, effects: &mut Vec<LeaderEffect>) {
        self.observe_followers(now);
        if let Some(pending) = self.isr.pending_mut()
            && pending.resend_at.is_some_and(|at| at <= now)
        {
            pending.resend_at = None;
            let proposed = pending.proposed.clone();
            effects.push(LeaderEffect::AlterPartition(self.proposal(&proposed)));
        }
        self.shrink(now, effects);
        self.advance_high_watermark(now, effects);
        self.propose(now, effects);
    }

    /// Followers that have been behind for too long, have no room for more, or may not be in sync by the metadata, are asked out of the ISR.
    /// They count until the controller has confirmed it.
    pub(super) fn shrink(&mut self, now: MonotonicTime, effects: &mut Vec<LeaderEffect>) {
        if self.isr.pending().is_some() {
            return;
        }
        let lag = self.settings.replica_lag_time_max;
        let is_fit = |r: &Progress| r.eligible && !r.without_room && r.is_caught_up(now, lag);
        let stays = |id: &BrokerId| *id == self.me || self.replicas.iter().any(|r| r.broker == *id && is_fit(r));
        let staying: Vec<BrokerId> = self.isr.committed().iter().copied().filter(stays).collect();
        if staying.len() < self.isr.committed().len() {
            self.send(staying, effects);
        }
    }

    pub(super) fn isr_answered(
        &mut self,
        now: MonotonicTime,
        asked_on: PartitionEpoch,
        answer: IsrAnswer,
        effects: &mut Vec<LeaderEffect>,
    ) {
        if asked_on != self.isr.partition_epoch() {
            // The metadata was faster.
            return;
        }
        let (retry, lifetime) = (now + self.settings.isr_retry, now + self.settings.isr_request_lifetime);
        match (answer, self.isr.pending_mut()) {
            (_, None) => {}
            // Both the leaving and the joining count until the metadata shows it. Asking again would do no harm, and is
            // for the case that it never does.
            (IsrAnswer::Committed, Some(pending)) => pending.resend_at = Some(lifetime),
            (IsrAnswer::NotTaken, Some(pending)) => pending.resend_at = Some(retry),
            (IsrAnswer::Unknown, Some(pending)) => {
                pending.resend_at = Some(retry);
                pending.unknown_at = Some(now);
            }
            (IsrAnswer::Refused(error), Some(_)) => self.refused(now, error),
        }
        self.advance_high_watermark(now, effects);
        self.propose(now, effects);
    }

    /// The controller said a definite no to the change under way.
    fn refused(&mut self, now: MonotonicTime, error: ErrorCode) {
        let lifetime = self.settings.isr_request_lifetime;
        let Some(pending) = self.isr.pending_mut() else { return };
        match error {
            ErrorCode::IneligibleReplica | ErrorCode::InvalidRequest | ErrorCode::OperationNotAttempted => {
                if pending.unknown_at.is_some_and(|at| now.since(at) < lifetime) {
                    // This no is about the last copy. An earlier one, whose answer never came, may be on its way yet
                    // and take effect: the proposed replicas count until it cannot any more.
                    pending.resend_at = Some(now + self.settings.isr_retry);
                    return;
                }
                let proposed = std::mem::take(&mut pending.proposed);
                self.isr.abandon();
                self.one_by_one = true;
                let (until, me) = (now + self.settings.isr_retry, self.me);
                for replica in &mut self.replicas {
                    let joining = proposed.contains(&replica.broker) && !self.isr.committed().contains(&replica.broker);
                    if joining || replica.broker == me {
                        replica.blocked_until = until;
                    }
                }
            }
            // The partition has moved on, or this broker no longer leads it: only the metadata can tell how. The
            // proposed replicas count until it does.
            ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::NewLeaderElected
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId => pending.resend_at = None,
            // A passing reason.
            _ => pending.resend_at = Some(now + self.settings.isr_retry),
        }
    }

    pub(super) fn commit_isr(
        &mut self,
        now: MonotonicTime,
        isr: Vec<BrokerId>,
        partition_epoch: PartitionEpoch,
        recovering: bool,
    ) {
        let before = self.isr.committed().to_vec();
        if !self.isr.commit(isr, partition_epoch) {
            return;
        }
        self.recovering = recovering;
        self.one_by_one = false;
        for replica in &mut self.replicas {
            if self.isr.committed().contains(&replica.broker) && !before.contains(&replica.broker) {
                replica.grant_grace(now);
            }
        }
    }
}
