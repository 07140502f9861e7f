//! A follower of one partition.

use std::time::Duration;

use raftsman_types::{BrokerId, ErrorCode, LeaderEpoch, MonotonicTime, Offset};

use crate::epochs;
use crate::{Durability, LogPosition};

/// How long a follower waits before it asks again after a refusal that time may heal.
const RETRY: Duration = Duration::from_millis(20);
/// How often a follower whose disk is full looks whether it still is.
const ROOM_CHECK: Duration = Duration::from_millis(250);

/// What happens to a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerEvent {
    /// The stream to the leader is up.
    Connected,
    /// It broke; all its subscriptions are gone.
    Disconnected,
    /// The subscription asked for got this number.
    Named {
        /// The number.
        subscription: u32,
    },
    /// Records came.
    Data {
        /// Under which subscription.
        subscription: u32,
        /// Where they follow on.
        previous_offset: Offset,
        /// The epoch of the record before them; [`LeaderEpoch::NONE`] if there is none.
        previous_epoch: LeaderEpoch,
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's first offset.
        log_start_offset: Offset,
    },
    /// The records of the last [`FollowerEffect::Append`] are written.
    Appended {
        /// The offset after the last one.
        log_end_offset: Offset,
        /// The epoch of the last one.
        last_epoch: LeaderEpoch,
    },
    /// The records of the last [`FollowerEffect::Append`] are not a continuation of the log, or are damaged.
    AppendRefused,
    /// There is no room on the disk: for the records of the last [`FollowerEffect::Append`], or still none when looked for.
    NoRoom,
    /// There is room on the disk.
    Room,
    /// The disk has everything below.
    Flushed {
        /// The flushed offset.
        flushed_offset: Offset,
    },
    /// The leader's watermark moved, or the start of its log.
    Watermark {
        /// Under which subscription.
        subscription: u32,
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's first offset.
        log_start_offset: Offset,
    },
    /// The log begins elsewhere than before, or that is on the disk now.
    LogStartMoved {
        /// The log's first offset.
        log_start_offset: Offset,
        /// The first offset a crash would leave.
        kept_log_start_offset: Offset,
    },
    /// The leader says that the logs diverge.
    Diverging {
        /// Under which subscription.
        subscription: u32,
        /// Where the leader's epoch ends.
        leader_end: Offset,
        /// The largest epoch of the own log that is at most the leader's, with its end.
        own: Option<(LeaderEpoch, Offset)>,
    },
    /// The leader refuses to serve.
    Refused {
        /// Under which subscription.
        subscription: u32,
        /// Kafka's code.
        error: ErrorCode,
        /// The leader's first offset.
        log_start_offset: Offset,
    },
    /// The cut or restart asked for is done: the log is now like this.
    Cut {
        /// The log's position.
        log: LogPosition,
        /// The last epoch the log knows.
        last_epoch: LeaderEpoch,
        /// The epoch of its last record.
        last_record_epoch: LeaderEpoch,
    },
    /// Time passed.
    Tick,
}

/// What the driver of a follower has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerEffect {
    /// Subscribe on the stream with this position and say [`Named`](FollowerEvent::Named). An older subscription is over.
    Subscribe {
        /// The offset after the last record.
        log_end_offset: Offset,
        /// The last epoch the log knows.
        last_epoch: LeaderEpoch,
        /// Everything below is on the disk.
        flushed_offset: Offset,
        /// The log's first offset, as a crash would leave it.
        log_start_offset: Offset,
    },
    /// Write the records that came, and say [`Appended`](FollowerEvent::Appended), [`AppendRefused`](FollowerEvent::AppendRefused)
    /// or [`NoRoom`](FollowerEvent::NoRoom).
    Append,
    /// Cut the log at this offset, its epochs too even if no record goes, and say [`Cut`](FollowerEvent::Cut).
    Truncate {
        /// The new log end.
        to: Offset,
    },
    /// Drop the whole log and start it here, and say [`Cut`](FollowerEvent::Cut).
    Restart {
        /// The new first offset.
        at: Offset,
    },
    /// Tell the leader how far this replica is.
    Ack {
        /// Under which subscription.
        subscription: u32,
        /// Everything below is written.
        written_offset: Offset,
        /// Everything below is on the disk.
        flushed_offset: Offset,
        /// The log's first offset, as a crash would leave it.
        log_start_offset: Offset,
    },
    /// Tell the leader that this subscription is over for want of room.
    WithoutRoom {
        /// Which.
        subscription: u32,
    },
    /// Look whether there is room on the disk, and say [`Room`](FollowerEvent::Room) or [`NoRoom`](FollowerEvent::NoRoom).
    LookForRoom,
    /// Everything below is committed, as far as this replica has it.
    HighWatermarkAdvanced {
        /// The new high watermark.
        to: Offset,
    },
    /// The leader deleted everything below: delete it too, and say [`LogStartMoved`](FollowerEvent::LogStartMoved).
    AdvanceLogStart {
        /// The new first offset.
        to: Offset,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No stream.
    Disconnected,
    /// A subscription is being named.
    Subscribing,
    /// Records may come under this number.
    Subscribed(u32),
    /// Refused; asks again at this time.
    Backoff(MonotonicTime),
    /// The disk is full; looks again at this time.
    Full(MonotonicTime),
    /// Refused for good in this epoch: the metadata will bring a new one.
    Fenced,
}

/// A partition's follower of one leader in one leader epoch.
#[derive(Debug, Clone)]
pub struct Follower {
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    durability: Durability,
    log: LogPosition,
    last_epoch: LeaderEpoch,
    last_record_epoch: LeaderEpoch,
    high_watermark: Offset,
    /// What the leader said last; the log may not reach it yet.
    leaders_high_watermark: Offset,
    /// The start of the leader's log as it said last; it may lie past what this log has.
    leaders_log_start: Offset,
    /// Where this log starts, as a crash would leave it.
    kept_start: Offset,
    /// Whether records came under the present subscription.
    has_data: bool,
    state: State,
}

impl Follower {
    /// Begins to follow, with the log as it stands: nothing is cut before the leader has answered.
    pub fn new(
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        durability: Durability,
        log: LogPosition,
        (last_epoch, last_record_epoch): (LeaderEpoch, LeaderEpoch),
        high_watermark: Offset,
    ) -> Follower {
        Follower {
            leader,
            leader_epoch,
            durability,
            log,
            last_epoch,
            last_record_epoch,
            high_watermark: high_watermark.clamp(log.start, log.end),
            leaders_high_watermark: 0,
            leaders_log_start: 0,
            kept_start: 0,
            has_data: false,
            state: State::Disconnected,
        }
    }

    /// Whom it follows.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// In which epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Everything below is committed, as far as this replica knows and has it.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The subscription under which records may come.
    pub fn subscription(&self) -> Option<u32> {
        if let State::Subscribed(subscription) = self.state { Some(subscription) } else { None }
    }

    /// Whether it waits for a time to pass.
    pub fn waits(&self) -> bool {
        matches!(self.state, State::Backoff(_) | State::Full(_))
    }

    /// When a record counts on a replica.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The metadata changed within the same leader epoch.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Takes in what happened and says what to do.
    pub fn step(&mut self, now: MonotonicTime, event: FollowerEvent, effects: &mut Vec<FollowerEffect>) {
        match event {
            FollowerEvent::Connected => {
                if self.state == State::Disconnected {
                    self.subscribe(effects);
                }
            }
            FollowerEvent::Disconnected => self.state = State::Disconnected,
            FollowerEvent::Named { subscription } => {
                if self.state == State::Subscribing {
                    self.state = State::Subscribed(subscription);
                    self.has_data = false;
                }
            }
            FollowerEvent::Data { subscription, previous_offset, previous_epoch, high_watermark, log_start_offset } => {
                if self.is_current(subscription) {
                    self.data((previous_offset, previous_epoch), high_watermark, log_start_offset, effects);
                }
            }
            FollowerEvent::Appended { log_end_offset, last_epoch } => {
                self.appended(log_end_offset, last_epoch, effects)
            }
            FollowerEvent::AppendRefused => self.back_off(now),
            FollowerEvent::NoRoom => self.no_room(now, effects),
            FollowerEvent::Room => {
                if matches!(self.state, State::Full(_)) {
                    self.subscribe(effects);
                }
            }
            FollowerEvent::Flushed { flushed_offset } => self.flushed(flushed_offset, effects),
            FollowerEvent::Watermark { subscription, high_watermark, log_start_offset } => {
                if self.is_current(subscription) {
                    self.raise_high_watermark(high_watermark, effects);
                    self.leaders_log_start = log_start_offset;
                    self.follow_log_start(effects);
                }
            }
            FollowerEvent::LogStartMoved { log_start_offset, kept_log_start_offset } => {
                self.log.start = log_start_offset;
                if std::mem::replace(&mut self.kept_start, kept_log_start_offset) != kept_log_start_offset {
                    self.ack(effects);
                }
            }
            FollowerEvent::Diverging { subscription, leader_end, own } => {
                if self.is_current(subscription) {
                    let to = epochs::truncation_point(leader_end, own, self.log.start).min(self.log.end);
                    effects.push(FollowerEffect::Truncate { to });
                }
            }
            FollowerEvent::Refused { subscription, error, log_start_offset } => {
                if self.is_current(subscription) {
                    self.refused(now, error, log_start_offset, effects);
                }
            }
            FollowerEvent::Cut { log, last_epoch, last_record_epoch } => {
                self.cut(log, last_epoch, last_record_epoch);
                self.subscribe(effects);
            }
            FollowerEvent::Tick => match self.state {
                State::Backoff(until) if until <= now => self.subscribe(effects),
                State::Full(until) if until <= now => effects.push(FollowerEffect::LookForRoom),
                _ => {}
            },
        }
        self.check_invariants();
    }

    /// Answers to earlier subscriptions come late; only the present one counts.
    fn is_current(&self, subscription: u32) -> bool {
        self.state == State::Subscribed(subscription)
    }

    fn subscribe(&mut self, effects: &mut Vec<FollowerEffect>) {
        self.state = State::Subscribing;
        effects.push(FollowerEffect::Subscribe {
            log_end_offset: self.log.end,
            last_epoch: self.last_epoch,
            flushed_offset: self.log.flushed,
            log_start_offset: self.kept_start,
        });
    }

    fn back_off(&mut self, now: MonotonicTime) {
        self.state = State::Backoff(now + RETRY);
    }

    /// The leader is told at once, lest a commit wait for what will not come for as long as a replica may lag.
    fn no_room(&mut self, now: MonotonicTime, effects: &mut Vec<FollowerEffect>) {
        match self.state {
            State::Subscribed(subscription) => effects.push(FollowerEffect::WithoutRoom { subscription }),
            State::Full(_) => {}
            _ => return,
        }
        self.state = State::Full(now + ROOM_CHECK);
    }

    fn data(
        &mut self,
        (previous_offset, previous_epoch): (Offset, LeaderEpoch),
        high_watermark: Offset,
        log_start_offset: Offset,
        effects: &mut Vec<FollowerEffect>,
    ) {
        let known = |epoch: LeaderEpoch| epoch != LeaderEpoch::NONE;
        // That the first ones follow on is what the leader found when it took the subscription. Which epoch the record before
        // them is of need not be known alike: where compaction left a gap, each log knows where the epochs of its own batches begin.
        let same_epoch = !std::mem::replace(&mut self.has_data, true)
            || previous_epoch == self.last_record_epoch
            || !known(previous_epoch)
            || !known(self.last_record_epoch);
        let follows_on = previous_offset == self.log.end && same_epoch;
        if !follows_on {
            // The leader's idea of this log is wrong: tell it where the log stands and begin again.
            return self.subscribe(effects);
        }
        // Only what is written can be committed here: the watermark rises after the append.
        self.leaders_high_watermark = high_watermark;
        self.leaders_log_start = log_start_offset;
        effects.push(FollowerEffect::Append);
    }

    fn appended(&mut self, log_end_offset: Offset, last_epoch: LeaderEpoch, effects: &mut Vec<FollowerEffect>) {
        assert!(
            log_end_offset >= self.log.end,
            "an append moved the log end from {} to {log_end_offset}",
            self.log.end
        );
        assert!(last_epoch >= self.last_epoch, "the log's epoch fell from {} to {last_epoch}", self.last_epoch);
        self.log.end = log_end_offset;
        self.last_epoch = last_epoch;
        self.last_record_epoch = last_epoch;
        self.raise_high_watermark(self.leaders_high_watermark, effects);
        self.follow_log_start(effects);
        if self.durability == Durability::Written {
            self.ack(effects);
        }
    }

    fn flushed(&mut self, flushed_offset: Offset, effects: &mut Vec<FollowerEffect>) {
        assert!(flushed_offset <= self.log.end, "flushed {flushed_offset} past the log end {}", self.log.end);
        if flushed_offset > self.log.flushed {
            self.log.flushed = flushed_offset;
            self.ack(effects);
        }
    }

    fn ack(&self, effects: &mut Vec<FollowerEffect>) {
        if let State::Subscribed(subscription) = self.state {
            effects.push(FollowerEffect::Ack {
                subscription,
                written_offset: self.log.end,
                flushed_offset: self.log.flushed,
                log_start_offset: self.kept_start,
            });
        }
    }

    /// What the leader deleted goes here too, as far as it is known to be committed: only committed records are deleted,
    /// and a log that lacks some of them is refused and begun anew.
    fn follow_log_start(&mut self, effects: &mut Vec<FollowerEffect>) {
        let to = self.leaders_log_start.min(self.high_watermark);
        if to > self.log.start {
            self.log.start = to;
            effects.push(FollowerEffect::AdvanceLogStart { to });
        }
    }

    fn raise_high_watermark(&mut self, leaders: Offset, effects: &mut Vec<FollowerEffect>) {
        let to = leaders.min(self.log.end);
        // A new leader may know less than its predecessor told: what was committed once stays committed.
        if to > self.high_watermark {
            self.high_watermark = to;
            effects.push(FollowerEffect::HighWatermarkAdvanced { to });
        }
    }

    fn refused(
        &mut self,
        now: MonotonicTime,
        error: ErrorCode,
        log_start_offset: Offset,
        effects: &mut Vec<FollowerEffect>,
    ) {
        match error {
            ErrorCode::OffsetOutOfRange => self.begin_at(now, log_start_offset, effects),
            ErrorCode::FencedLeaderEpoch => self.state = State::Fenced,
            _ => self.back_off(now),
        }
    }

    /// The leader has no records below `start`, and cannot compare what this log has of them. As far as that is known to be
    /// committed it is what all had: then it goes like other deleted records, so that what is known of its producers stays. Else
    /// it may be what nobody else has, and goes with all that was learnt from it.
    fn begin_at(&mut self, now: MonotonicTime, start: Offset, effects: &mut Vec<FollowerEffect>) {
        if self.high_watermark < start || self.log.start > start {
            return effects.push(FollowerEffect::Restart { at: start });
        }
        self.leaders_log_start = start;
        self.follow_log_start(effects);
        if self.log.end > start {
            return effects.push(FollowerEffect::Truncate { to: start });
        }
        // The leader agrees once a crash would leave no other start.
        self.back_off(now);
    }

    fn cut(&mut self, log: LogPosition, last_epoch: LeaderEpoch, last_record_epoch: LeaderEpoch) {
        self.log = log;
        self.leaders_log_start = 0;
        // Until the driver says what a crash would leave now.
        self.kept_start = 0;
        self.last_epoch = last_epoch;
        self.last_record_epoch = last_record_epoch;
        self.high_watermark = self.high_watermark.clamp(log.start, log.end);
    }

    fn check_invariants(&self) {
        assert!(self.log.flushed <= self.log.end, "flushed past the log end: {:?}", self.log);
        assert!(
            self.high_watermark <= self.log.end,
            "high watermark {} past log end {}",
            self.high_watermark,
            self.log.end
        );
        assert!(
            self.last_epoch <= self.leader_epoch,
            "the log has epoch {}, and the leader is in {}",
            self.last_epoch,
            self.leader_epoch
        );
    }
}
