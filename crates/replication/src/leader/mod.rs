//! The leader of one partition.

mod effect;
mod event;
mod progress;
mod proposals;

use std::time::Duration;

use raftsman_types::{BrokerId, ErrorCode, LeaderEpoch, MonotonicTime, Offset};

pub use effect::{IsrProposal, LeaderEffect};
pub use event::{IsrAnswer, LeaderEvent, LeadershipView, ReplicaView, SubscribeRequest, SubscriptionKey};

use crate::epochs::{self, LeaderLog, LogEnd, Verdict};
use crate::isr::Isr;
use crate::{Durability, LogPosition, high_watermark};
use progress::Progress;

/// Where the log of a replica starts that has not said so (Kafka's number for it).
const UNKNOWN_START: Offset = -1;

/// A leader's time limits.
#[derive(Debug, Clone, Copy)]
pub struct LeaderSettings {
    /// How long an in-sync follower may stay behind the log end (`replica.lag.time.max.ms`).
    pub replica_lag_time_max: Duration,
    /// How long to wait before a change of the ISR is asked for again.
    pub isr_retry: Duration,
    /// How long a request whose answer never came may still take effect at the controller.
    pub isr_request_lifetime: Duration,
}

impl Default for LeaderSettings {
    fn default() -> LeaderSettings {
        LeaderSettings {
            replica_lag_time_max: Duration::from_secs(30),
            isr_retry: Duration::from_millis(200),
            isr_request_lifetime: Duration::from_secs(10),
        }
    }
}

/// Too few replicas are in sync to take a write that wants all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotEnoughReplicas {
    /// How many are in sync.
    pub in_sync: usize,
    /// How many must be.
    pub required: usize,
}

/// A partition's leader in one leader epoch. A new epoch, of the same broker too, is a new `Leader`.
#[derive(Debug, Clone)]
pub struct Leader {
    settings: LeaderSettings,
    me: BrokerId,
    leader_epoch: LeaderEpoch,
    /// The log end when this epoch began: everything below was written by earlier leaders.
    epoch_start: Offset,
    log: LogPosition,
    high_watermark: Offset,
    /// Where this broker's log starts, as a crash would leave it.
    kept_start: Offset,
    low_watermark: Offset,
    isr: Isr,
    /// All replicas in the metadata's order, this broker among them (its progress is `log`).
    replicas: Vec<Progress>,
    min_insync_replicas: usize,
    durability: Durability,
    recovering: bool,
    /// A proposal was refused: replicas are proposed one by one, lest one that may not join keeps others out.
    one_by_one: bool,
}

impl Leader {
    /// Begins to lead. The driver has recorded the epoch's start at the log end, on the disk, before.
    ///
    /// `high_watermark` is what this replica knew before: what it promised to consumers is not taken back, but it may
    /// be lower than what the last leader promised.
    ///
    /// # Panics
    /// If the view does not have this broker in the ISR, or an in-sync replica is not a replica.
    pub fn new(
        settings: LeaderSettings,
        me: BrokerId,
        view: LeadershipView,
        log: LogPosition,
        high_watermark: Offset,
        now: MonotonicTime,
        effects: &mut Vec<LeaderEffect>,
    ) -> Leader {
        let mut leader = Leader {
            settings,
            me,
            leader_epoch: view.leader_epoch,
            epoch_start: log.end,
            log,
            high_watermark: high_watermark.clamp(log.start, log.end),
            kept_start: UNKNOWN_START,
            low_watermark: UNKNOWN_START,
            isr: Isr::new(view.isr.clone(), view.partition_epoch),
            replicas: Vec::new(),
            min_insync_replicas: 1,
            durability: view.durability,
            recovering: view.recovering,
            one_by_one: false,
        };
        leader.take_standing(&view);
        for replica in &mut leader.replicas {
            if view.isr.contains(&replica.broker) {
                replica.grant_grace(now);
            }
        }
        leader.check_invariants();
        leader.advance_high_watermark(now, effects);
        leader.propose(now, effects);
        leader
    }

    /// The epoch it leads in.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Where its epoch began.
    pub fn epoch_start_offset(&self) -> Offset {
        self.epoch_start
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Whether the high watermark is certainly the partition's: a new leader's own may be older (KIP-207).
    pub fn high_watermark_is_current(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }

    /// No live replica has records below (KIP-107): the least log start of those the metadata shows alive, in sync or
    /// not. -1 while one of them has not said where its log starts.
    pub fn low_watermark(&self) -> Offset {
        self.low_watermark
    }

    /// The in-sync replicas.
    pub fn isr(&self) -> &Isr {
        &self.isr
    }

    /// When a record counts on a replica.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether a write that wants all in-sync replicas may be taken.
    ///
    /// # Errors
    /// If fewer replicas are in sync than `min.insync.replicas`, capped by the number of replicas.
    pub fn check_append(&self) -> Result<(), NotEnoughReplicas> {
        let in_sync = self.isr.committed().len();
        let required = self.required_in_sync();
        if in_sync < required { Err(NotEnoughReplicas { in_sync, required }) } else { Ok(()) }
    }

    /// Takes in what happened and says what to do.
    pub fn step(&mut self, now: MonotonicTime, event: LeaderEvent, effects: &mut Vec<LeaderEffect>) {
        match event {
            LeaderEvent::Appended { log_end_offset } => self.appended(now, log_end_offset, effects),
            LeaderEvent::Flushed { flushed_offset } => self.flushed(now, flushed_offset, effects),
            LeaderEvent::Subscribed { request, log_start_offset, epoch_end } => {
                self.log.start = log_start_offset;
                self.subscribed(now, request, epoch_end, effects);
            }
            LeaderEvent::Acked { key, written_offset, flushed_offset, log_start_offset } => {
                self.acked(now, key, (written_offset, flushed_offset, log_start_offset), effects);
            }
            LeaderEvent::LogStartMoved { log_start_offset, kept_log_start_offset } => {
                self.log.start = log_start_offset;
                self.kept_start = kept_log_start_offset;
            }
            LeaderEvent::Unsubscribed { key } => {
                // What it acked stays true: its log has it. Lag, or the controller, takes it out of the ISR.
                if let Some(replica) = self.replicas.iter_mut().find(|r| r.key == Some(key)) {
                    replica.key = None;
                    // One about to join holds the watermark no longer.
                    self.advance_high_watermark(now, effects);
                }
            }
            LeaderEvent::WithoutRoom { key } => self.without_room(now, key, effects),
            LeaderEvent::ViewChanged(view) => self.view_changed(now, view, effects),
            LeaderEvent::IsrAnswered { partition_epoch, answer } => {
                self.isr_answered(now, partition_epoch, answer, effects);
            }
            LeaderEvent::Tick => self.tick(now, effects),
        }
        self.move_low_watermark(effects);
        self.check_invariants();
    }

    /// It may fall, too: a broker that comes back has what was deleted while it was away.
    fn move_low_watermark(&mut self, effects: &mut Vec<LeaderEffect>) {
        let alive = self.replicas.iter().filter(|replica| replica.broker != self.me && replica.eligible);
        let starts = alive.map(|replica| replica.log_start().unwrap_or(UNKNOWN_START));
        let to = starts.fold(self.kept_start, Offset::min);
        if to != self.low_watermark {
            self.low_watermark = to;
            effects.push(LeaderEffect::LowWatermarkMoved { to });
        }
    }

    fn appended(&mut self, now: MonotonicTime, log_end_offset: Offset, effects: &mut Vec<LeaderEffect>) {
        assert!(log_end_offset >= self.log.end, "a leader's log only grows: {} to {log_end_offset}", self.log.end);
        self.observe_followers(now);
        self.log.end = log_end_offset;
        if self.durability == Durability::Written {
            self.advance_high_watermark(now, effects);
        }
    }

    fn flushed(&mut self, now: MonotonicTime, flushed_offset: Offset, effects: &mut Vec<LeaderEffect>) {
        assert!(flushed_offset <= self.log.end, "flushed {flushed_offset} past the log end {}", self.log.end);
        self.log.flushed = self.log.flushed.max(flushed_offset);
        self.advance_high_watermark(now, effects);
    }

    fn subscribed(
        &mut self,
        now: MonotonicTime,
        request: SubscribeRequest,
        epoch_end: Option<(LeaderEpoch, Offset)>,
        effects: &mut Vec<LeaderEffect>,
    ) {
        let key = request.key;
        let log_start_offset = self.log.start;
        if let Err(error) = self.check_subscriber(&request) {
            return effects.push(LeaderEffect::Refuse { key, error, log_start_offset });
        }
        let (start, end, last_epoch) = (request.log_start_offset, request.log_end_offset, request.last_epoch);
        let follower = LogEnd { start, end, last_epoch };
        let log = LeaderLog { start: self.log.start, end: self.log.end, epoch_end };
        match epochs::compare(follower, log) {
            Verdict::Agree => {}
            Verdict::Diverging { epoch, end } => {
                return effects.push(LeaderEffect::Diverge { key, epoch, end_offset: end });
            }
            Verdict::OutOfRange => {
                let error = ErrorCode::OffsetOutOfRange;
                return effects.push(LeaderEffect::Refuse { key, error, log_start_offset });
            }
        }
        let (durability, log_end) = (self.durability, self.log.end);
        let Some(replica) = self.replica_mut(key.broker) else { return };
        if let Some(old) = replica.key.filter(|&old| old != key) {
            effects.push(LeaderEffect::Forget { key: old });
        }
        let flushed = request.flushed_offset.min(request.log_end_offset);
        replica.subscribed(key, request.log_end_offset, flushed, request.log_start_offset);
        replica.observe(durability, log_end, now);
        effects.push(LeaderEffect::Accept { key, from: request.log_end_offset });
        self.advance_high_watermark(now, effects);
        self.propose(now, effects);
    }

    /// Epochs first: the leader's, then the broker's.
    fn check_subscriber(&self, request: &SubscribeRequest) -> Result<(), ErrorCode> {
        if request.leader_epoch < self.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if request.leader_epoch > self.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        let Some(replica) = self.replicas.iter().find(|r| r.broker == request.key.broker && r.broker != self.me) else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if request.key.broker_epoch < replica.broker_epoch {
            return Err(ErrorCode::StaleBrokerEpoch);
        }
        let late = replica.newest.is_some_and(|newest| request.key <= newest);
        if late || request.log_end_offset < 0 || request.last_epoch > self.leader_epoch {
            return Err(ErrorCode::InvalidRequest);
        }
        Ok(())
    }

    fn acked(
        &mut self,
        now: MonotonicTime,
        key: SubscriptionKey,
        (written, flushed, log_start): (Offset, Offset, Offset),
        effects: &mut Vec<LeaderEffect>,
    ) {
        let (durability, log_end, log_start_offset) = (self.durability, self.log.end, self.log.start);
        let Some(replica) = self.replicas.iter_mut().find(|r| r.key == Some(key)) else { return };
        if written > log_end || flushed > written {
            // It claims records this leader never wrote. Nothing it says can be counted.
            replica.key = None;
            let error = ErrorCode::InvalidRequest;
            return effects.push(LeaderEffect::Refuse { key, error, log_start_offset });
        }
        replica.acked(written, flushed, log_start);
        replica.observe(durability, log_end, now);
        self.advance_high_watermark(now, effects);
        self.propose(now, effects);
    }

    /// A follower cannot write what comes next: waiting for it is in vain, so it is asked out of the ISR without being given
    /// the time that one gets which is merely slow.
    fn without_room(&mut self, now: MonotonicTime, key: SubscriptionKey, effects: &mut Vec<LeaderEffect>) {
        let Some(replica) = self.replicas.iter_mut().find(|r| r.key == Some(key)) else { return };
        replica.key = None;
        replica.without_room = true;
        effects.push(LeaderEffect::Forget { key });
        self.shrink(now, effects);
        self.advance_high_watermark(now, effects);
    }

    fn view_changed(&mut self, now: MonotonicTime, view: LeadershipView, effects: &mut Vec<LeaderEffect>) {
        assert_eq!(view.leader_epoch, self.leader_epoch, "another leader epoch needs another leader");
        let enough_before = self.check_append().is_ok();
        self.take_standing(&view);
        self.commit_isr(now, view.isr, view.partition_epoch, view.recovering);
        self.durability = view.durability;
        if enough_before && self.check_append().is_err() {
            effects.push(LeaderEffect::TooFewInSync);
        }
        self.advance_high_watermark(now, effects);
        self.propose(now, effects);
    }

    /// Takes the replicas' standing from the metadata; what followers acked stays with them.
    fn take_standing(&mut self, view: &LeadershipView) {
        self.min_insync_replicas = view.min_insync_replicas;
        let mut before = std::mem::take(&mut self.replicas);
        for standing in &view.replicas {
            let known = before.iter().position(|p| p.broker == standing.broker).map(|i| before.swap_remove(i));
            let mut progress =
                known.unwrap_or_else(|| Progress::new(standing.broker, standing.broker_epoch, standing.eligible));
            progress.broker_epoch = standing.broker_epoch;
            progress.eligible = standing.eligible;
            self.replicas.push(progress);
        }
    }

    fn observe_followers(&mut self, now: MonotonicTime) {
        let (durability, log_end) = (self.durability, self.log.end);
        for replica in &mut self.replicas {
            replica.observe(durability, log_end, now);
        }
    }

    fn replica_mut(&mut self, broker: BrokerId) -> Option<&mut Progress> {
        self.replicas.iter_mut().find(|r| r.broker == broker)
    }

    /// Whether the watermark, and with it acks, wait for what a broker has on its disk.
    pub fn waits_for(&self, broker: BrokerId, now: MonotonicTime) -> bool {
        self.replicas.iter().any(|replica| replica.broker == broker && self.holds_high_watermark(replica, now))
    }

    fn required_in_sync(&self) -> usize {
        self.min_insync_replicas.min(self.replicas.len()).max(1)
    }

    fn advance_high_watermark(&mut self, now: MonotonicTime, effects: &mut Vec<LeaderEffect>) {
        let members = self.replicas.iter().filter(|r| self.holds_high_watermark(r, now)).map(|r| {
            if r.broker == self.me { Some(self.log.counted(self.durability)) } else { r.counted(self.durability) }
        });
        let candidate = high_watermark::candidate(members);
        let to = high_watermark::advance(self.high_watermark, candidate, self.epoch_start, self.check_append().is_ok());
        if to > self.high_watermark {
            self.high_watermark = to;
            effects.push(LeaderEffect::HighWatermarkAdvanced { to });
        }
    }

    /// The maximal ISR counts for safety. A follower that is about to join counts too: else the watermark of a lone leader
    /// would run ahead of it with every append and it could never join.
    fn holds_high_watermark(&self, replica: &Progress, now: MonotonicTime) -> bool {
        self.isr.counts(replica.broker)
            || (replica.eligible
                && replica.key.is_some()
                && replica.counted(self.durability).is_some()
                && replica.is_about_to_join(now))
    }

    fn check_invariants(&self) {
        assert!(self.log.start <= self.log.end, "log start {} past log end {}", self.log.start, self.log.end);
        assert!(
            self.high_watermark <= self.log.end,
            "high watermark {} past log end {}",
            self.high_watermark,
            self.log.end
        );
        assert!(self.isr.counts(self.me), "leader {} is not in its ISR {:?}", self.me, self.isr);
        assert!(
            self.isr.committed().iter().all(|id| self.replicas.iter().any(|r| r.broker == *id)),
            "ISR {:?} has a broker without a replica",
            self.isr
        );
    }
}
