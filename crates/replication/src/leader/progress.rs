use std::time::Duration;

use raftsman_types::{BrokerEpoch, BrokerId, MonotonicTime, Offset};

use super::SubscriptionKey;
use crate::Durability;

/// What a leader knows of one follower.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub broker: BrokerId,
    /// The present registration, by the metadata.
    pub broker_epoch: BrokerEpoch,
    /// Whether it may be in the ISR, by the metadata.
    pub eligible: bool,
    /// The subscription its acks come under.
    pub key: Option<SubscriptionKey>,
    /// The newest subscription it ever had. What an earlier stream still says comes too late: taken up, it would end
    /// the newer one.
    pub newest: Option<SubscriptionKey>,
    /// What it acked in this leader epoch, and in which registration.
    acked: Option<Acked>,
    /// When its counted offset was last at the leader's log end.
    last_caught_up: Option<MonotonicTime>,
    mark: Option<Mark>,
    /// How long it took to reach the one before.
    last_span: Option<Duration>,
    /// Until when the watermark waits for it, for it is about to be in sync.
    joins_until: Option<MonotonicTime>,
    /// Its disk was full when it was last heard of.
    pub without_room: bool,
    /// No proposal to take it into the ISR before this time.
    pub blocked_until: MonotonicTime,
}

/// A follower that reaches a log end of the leader's so soon after is near enough to be waited for.
const NEAR: Duration = Duration::from_millis(250);
/// Or with so many acks, if its disk is slow: what it took in during one flush is in the next, and what came meanwhile in a third.
const NEAR_ACKS: u32 = 3;
/// Whoever takes longer is never near: all acks would wait for so long once it is in sync.
const NEAR_MAX: Duration = Duration::from_secs(5);
/// Beside twice the time that took: what came meanwhile should take it no longer.
const JOIN_MARGIN: Duration = Duration::from_millis(250);

/// A past log end of the leader: reaching it shows that the follower was caught up at that time.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: Offset,
    at: MonotonicTime,
    /// Acks since then.
    acks: u32,
}

#[derive(Debug, Clone, Copy)]
struct Acked {
    broker_epoch: BrokerEpoch,
    written: Offset,
    flushed: Offset,
    log_start: Offset,
}

impl Progress {
    pub fn new(broker: BrokerId, broker_epoch: BrokerEpoch, eligible: bool) -> Progress {
        Progress {
            broker,
            broker_epoch,
            eligible,
            key: None,
            newest: None,
            acked: None,
            last_caught_up: None,
            mark: None,
            last_span: None,
            joins_until: None,
            without_room: false,
            blocked_until: MonotonicTime::default(),
        }
    }

    /// Gives a member of the ISR a full lag time, as of now.
    pub fn grant_grace(&mut self, now: MonotonicTime) {
        self.last_caught_up = Some(now);
    }

    pub fn subscribed(&mut self, key: SubscriptionKey, written: Offset, flushed: Offset, log_start: Offset) {
        self.key = Some(key);
        self.newest = Some(key);
        self.without_room = false;
        self.acked = Some(Acked { broker_epoch: key.broker_epoch, written, flushed, log_start });
        (self.mark, self.last_span, self.joins_until) = (None, None, None);
    }

    /// Takes an ack in. Under one subscription offsets only rise; a lower one is late and ignored.
    pub fn acked(&mut self, written: Offset, flushed: Offset, log_start: Offset) {
        if let Some(acked) = &mut self.acked {
            // It falls if the log is begun anew before its old start: a follower has it whole batch by whole batch.
            acked.log_start = log_start;
            acked.written = acked.written.max(written);
            acked.flushed = acked.flushed.max(flushed);
        }
        if let Some(mark) = &mut self.mark {
            mark.acks = mark.acks.saturating_add(1);
        }
    }

    /// Up to where its log counts, if it said so in its present registration.
    pub fn counted(&self, durability: Durability) -> Option<Offset> {
        let acked = self.acked.filter(|a| a.broker_epoch == self.broker_epoch)?;
        Some(match durability {
            Durability::Written => acked.written,
            Durability::Flushed => acked.flushed,
        })
    }

    /// Where its log starts, if it said so in its present registration.
    pub fn log_start(&self) -> Option<Offset> {
        self.acked.filter(|a| a.broker_epoch == self.broker_epoch).map(|acked| acked.log_start)
    }

    /// Notes when it was caught up, given the leader's log end as it is now.
    ///
    /// Called before the end moves and with each ack, so that a follower which always trails by a little is not taken
    /// for one that stands still.
    pub fn observe(&mut self, durability: Durability, leader_end: Offset, now: MonotonicTime) {
        let Some(offset) = self.counted(durability) else { return };
        if offset >= leader_end {
            self.last_caught_up = Some(now);
            self.mark = None;
            self.joins_until = Some(now + JOIN_MARGIN);
            return;
        }
        if let Some(mark) = self.mark.filter(|mark| offset >= mark.end) {
            self.last_caught_up = self.last_caught_up.max(Some(mark.at));
            self.mark = None;
            let took = now.since(mark.at);
            if self.is_near(took, mark.acks) {
                self.joins_until = Some(now + took * 2 + JOIN_MARGIN);
            }
            self.last_span = Some(took);
        }
        if self.mark.is_none() {
            self.mark = Some(Mark { end: leader_end, at: now, acks: 0 });
        }
    }

    /// Whether a follower is near that reached a past end in that time, with so many acks.
    fn is_near(&self, took: Duration, acks: u32) -> bool {
        // Where the time falls no more, the way there and the disk take that long: it gets no nearer.
        let gets_no_nearer = || self.last_span.is_some_and(|last| took * 5 >= last * 4);
        took <= NEAR || (took <= NEAR_MAX && (acks <= NEAR_ACKS || gets_no_nearer()))
    }

    /// Whether it is so near that it will be in sync in a moment if the watermark stays where it is.
    ///
    /// Kafka waits for any that was caught up within `replica.lag.time.max.ms`, so that all acks wait while a broker that was away for
    /// less than that fetches what it missed.
    pub fn is_about_to_join(&self, now: MonotonicTime) -> bool {
        self.joins_until.is_some_and(|until| now <= until)
    }

    /// Whether it was caught up no longer than `lag` ago.
    pub fn is_caught_up(&self, now: MonotonicTime, lag: Duration) -> bool {
        self.last_caught_up.is_some_and(|at| now.since(at) <= lag)
    }
}
