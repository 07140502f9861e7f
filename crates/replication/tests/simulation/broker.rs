use std::collections::{BTreeMap, VecDeque};

use raftsman_replication::{
    Durability, Follower, FollowerEffect, FollowerEvent, IsrProposal, Leader, LeaderEffect, LeaderEvent,
    LeaderSettings, SubscribeRequest, SubscriptionKey,
};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, MonotonicTime, Offset};

use super::controller::Image;
use super::log::{Log, Record};

/// What a follower says on its stream.
#[derive(Debug, Clone)]
pub enum ToLeader {
    Subscribe {
        subscription: u32,
        broker_epoch: BrokerEpoch,
        leader_epoch: LeaderEpoch,
        end: Offset,
        last: LeaderEpoch,
        flushed: Offset,
    },
    Ack {
        subscription: u32,
        broker_epoch: BrokerEpoch,
        written: Offset,
        flushed: Offset,
    },
}

/// What a leader says on it.
#[derive(Debug, Clone)]
pub enum ToFollower {
    Data { subscription: u32, previous: Offset, epoch: LeaderEpoch, records: Vec<Record>, high_watermark: Offset },
    Diverging { subscription: u32, epoch: LeaderEpoch, end: Offset },
    Refused { subscription: u32, error: ErrorCode },
    Watermark { subscription: u32, high_watermark: Offset },
}

pub enum Role {
    Idle,
    Leader { machine: Box<Leader>, cursors: BTreeMap<SubscriptionKey, Offset> },
    Follower { machine: Box<Follower>, session: Option<u64>, next_subscription: u32 },
}

/// A broker: its log, and the part of the driver that has rules to keep.
pub struct Broker {
    pub id: BrokerId,
    pub up: bool,
    pub epoch: BrokerEpoch,
    pub log: Log,
    pub high_watermark: Offset,
    pub role: Role,
    /// How many of the controller's images it has seen.
    pub seen: usize,
    pub answers: VecDeque<(SubscriptionKey, ToFollower)>,
    pub said: VecDeque<(u64, ToLeader)>,
    pub proposals: VecDeque<IsrProposal>,
}

impl Broker {
    pub fn new(id: BrokerId) -> Broker {
        Broker {
            id,
            up: true,
            epoch: BrokerEpoch(1),
            log: Log::default(),
            high_watermark: 0,
            role: Role::Idle,
            seen: 0,
            answers: VecDeque::new(),
            said: VecDeque::new(),
            proposals: VecDeque::new(),
        }
    }

    /// Takes an image, as the publisher of the broker does.
    pub fn publish(&mut self, now: MonotonicTime, image: &Image) {
        if image.epoch_of(self.id) != self.epoch {
            self.role = Role::Idle;
            return;
        }
        match image.leader {
            None => self.role = Role::Idle,
            Some(leader) if leader == self.id => self.lead(now, image),
            Some(leader) => self.follow(leader, image.leader_epoch),
        }
    }

    fn lead(&mut self, now: MonotonicTime, image: &Image) {
        if let Role::Leader { machine, .. } = &self.role
            && machine.leader_epoch() == image.leader_epoch
        {
            return self.step_leader(now, LeaderEvent::ViewChanged(image.view()));
        }
        self.role = Role::Idle;
        if self.log.latest_epoch() >= image.leader_epoch {
            return;
        }
        self.log.assign_epoch_start(image.leader_epoch);
        let mut effects = Vec::new();
        let position = self.log.position();
        let settings = LeaderSettings::default();
        let machine = Leader::new(settings, self.id, image.view(), position, self.high_watermark, now, &mut effects);
        self.role = Role::Leader { machine: Box::new(machine), cursors: BTreeMap::new() };
        self.carry_out(effects);
    }

    fn follow(&mut self, leader: BrokerId, epoch: LeaderEpoch) {
        if let Role::Follower { machine, .. } = &self.role
            && machine.leader_epoch() == epoch
        {
            return;
        }
        self.role = Role::Idle;
        if self.log.latest_epoch() > epoch {
            return;
        }
        let epochs = (self.log.latest_epoch(), self.log.last_record_epoch());
        let position = self.log.position();
        let machine = Follower::new(leader, epoch, Durability::Flushed, position, epochs, self.high_watermark);
        self.role = Role::Follower { machine: Box::new(machine), session: None, next_subscription: 0 };
    }

    /// A client's records; says the offset after them if they were taken.
    pub fn produce(&mut self, now: MonotonicTime, ids: &[u64], all: bool) -> Option<Offset> {
        let Role::Leader { machine, .. } = &self.role else { return None };
        if all && machine.check_append().is_err() {
            return None;
        }
        let epoch = machine.leader_epoch();
        for id in ids {
            self.log.append((epoch, *id));
        }
        let log_end_offset = self.log.end();
        self.step_leader(now, LeaderEvent::Appended { log_end_offset });
        Some(log_end_offset)
    }

    pub fn flush(&mut self, now: MonotonicTime, upto: usize) {
        self.log.flush(upto);
        let flushed_offset = self.log.position().flushed;
        match self.role {
            Role::Idle => {}
            Role::Leader { .. } => self.step_leader(now, LeaderEvent::Flushed { flushed_offset }),
            Role::Follower { .. } => self.step_follower(now, FollowerEvent::Flushed { flushed_offset }, &[]),
        }
    }

    pub fn hear_follower(&mut self, now: MonotonicTime, session: u64, from: BrokerId, said: ToLeader) {
        let key =
            |broker_epoch, subscription| SubscriptionKey { broker: from, broker_epoch, stream: session, subscription };
        match said {
            ToLeader::Subscribe { subscription, broker_epoch, leader_epoch, end, last, flushed } => {
                if !matches!(self.role, Role::Leader { .. }) {
                    let error = ErrorCode::NotLeaderOrFollower;
                    let key = key(broker_epoch, subscription);
                    self.answers.push_back((key, ToFollower::Refused { subscription, error }));
                    return;
                }
                let request = SubscribeRequest {
                    key: key(broker_epoch, subscription),
                    leader_epoch,
                    log_end_offset: end,
                    last_epoch: last,
                    flushed_offset: flushed,
                    log_start_offset: 0,
                };
                let epoch_end = self.log.end_offset_for(last);
                self.step_leader(now, LeaderEvent::Subscribed { request, log_start_offset: 0, epoch_end });
            }
            ToLeader::Ack { subscription, broker_epoch, written, flushed } => {
                let event = LeaderEvent::Acked {
                    key: key(broker_epoch, subscription),
                    written_offset: written,
                    flushed_offset: flushed,
                    log_start_offset: 0,
                };
                self.step_leader(now, event);
            }
        }
    }

    pub fn hear_leader(&mut self, now: MonotonicTime, session: u64, said: ToFollower) {
        let current = matches!(&self.role, Role::Follower { session: Some(mine), .. } if *mine == session);
        if !current {
            return;
        }
        match said {
            ToFollower::Data { subscription, previous, epoch, records, high_watermark } => {
                let event = FollowerEvent::Data {
                    subscription,
                    previous_offset: previous,
                    previous_epoch: epoch,
                    high_watermark,
                    log_start_offset: 0,
                };
                self.step_follower(now, event, &records);
            }
            ToFollower::Diverging { subscription, epoch, end } => {
                let own = self.log.end_offset_for(epoch);
                self.step_follower(now, FollowerEvent::Diverging { subscription, leader_end: end, own }, &[]);
            }
            ToFollower::Refused { subscription, error } => {
                self.step_follower(now, FollowerEvent::Refused { subscription, error, log_start_offset: 0 }, &[]);
            }
            ToFollower::Watermark { subscription, high_watermark } => {
                let event = FollowerEvent::Watermark { subscription, high_watermark, log_start_offset: 0 };
                self.step_follower(now, event, &[]);
            }
        }
    }

    /// A follower's stream has ended.
    pub fn lose_stream(&mut self, now: MonotonicTime, from: BrokerId, stream: u64) {
        let Role::Leader { cursors, .. } = &mut self.role else { return };
        let lost: Vec<SubscriptionKey> =
            cursors.keys().filter(|key| key.broker == from && key.stream == stream).copied().collect();
        for key in lost {
            if let Role::Leader { cursors, .. } = &mut self.role {
                cursors.remove(&key);
            }
            self.step_leader(now, LeaderEvent::Unsubscribed { key });
        }
    }

    /// The leader sends up to so many records under one of its subscriptions, or the watermark if there are none.
    pub fn push(&mut self, choice: usize, most: usize) {
        let Role::Leader { machine, cursors } = &mut self.role else { return };
        let count = cursors.len().max(1);
        let Some((key, cursor)) = cursors.iter_mut().nth(choice % count) else { return };
        let subscription = key.subscription;
        let high_watermark = machine.high_watermark();
        if *cursor >= self.log.end() {
            self.answers.push_back((*key, ToFollower::Watermark { subscription, high_watermark }));
            return;
        }
        let from = *cursor as usize;
        let records: Vec<Record> = self.log.records[from..].iter().take(most).copied().collect();
        let epoch = self.log.epoch_before(*cursor);
        let previous = *cursor;
        *cursor += records.len() as Offset;
        self.answers.push_back((*key, ToFollower::Data { subscription, previous, epoch, records, high_watermark }));
    }

    pub fn step_leader(&mut self, now: MonotonicTime, event: LeaderEvent) {
        let Role::Leader { machine, .. } = &mut self.role else { return };
        let mut effects = Vec::new();
        machine.step(now, event, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<LeaderEffect>) {
        let Role::Leader { cursors, .. } = &mut self.role else { return };
        for effect in effects {
            match effect {
                LeaderEffect::Accept { key, from } => {
                    cursors.insert(key, from);
                }
                LeaderEffect::Diverge { key, epoch, end_offset } => {
                    let subscription = key.subscription;
                    self.answers.push_back((key, ToFollower::Diverging { subscription, epoch, end: end_offset }));
                }
                LeaderEffect::Refuse { key, error, .. } => {
                    cursors.remove(&key);
                    self.answers.push_back((key, ToFollower::Refused { subscription: key.subscription, error }));
                }
                LeaderEffect::Forget { key } => {
                    cursors.remove(&key);
                }
                LeaderEffect::HighWatermarkAdvanced { to } => self.high_watermark = to,
                LeaderEffect::TooFewInSync | LeaderEffect::LowWatermarkMoved { .. } => {}
                LeaderEffect::AlterPartition(proposal) => self.proposals.push_back(proposal),
            }
        }
    }

    pub fn step_follower(&mut self, now: MonotonicTime, event: FollowerEvent, records: &[Record]) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let Role::Follower { machine, session, next_subscription } = &mut self.role else { return };
            let mut effects = Vec::new();
            machine.step(now, event, &mut effects);
            let leader_epoch = machine.leader_epoch();
            let mut cut = false;
            for effect in effects {
                match effect {
                    FollowerEffect::Subscribe { log_end_offset, last_epoch, flushed_offset, .. } => {
                        let subscription = *next_subscription;
                        *next_subscription += 1;
                        events.push(FollowerEvent::Named { subscription });
                        let said = ToLeader::Subscribe {
                            subscription,
                            broker_epoch: self.epoch,
                            leader_epoch,
                            end: log_end_offset,
                            last: last_epoch,
                            flushed: flushed_offset,
                        };
                        self.said.extend(session.map(|session| (session, said)));
                    }
                    FollowerEffect::Append => {
                        records.iter().for_each(|record| self.log.append(*record));
                        let (log_end_offset, last_epoch) = (self.log.end(), self.log.latest_epoch());
                        events.push(FollowerEvent::Appended { log_end_offset, last_epoch });
                    }
                    FollowerEffect::Truncate { to } => {
                        self.log.truncate(to);
                        cut = true;
                    }
                    FollowerEffect::Restart { at } => {
                        self.log.reset(at);
                        cut = true;
                    }
                    FollowerEffect::Ack { subscription, written_offset, flushed_offset, .. } => {
                        let (broker_epoch, written, flushed) = (self.epoch, written_offset, flushed_offset);
                        let said = ToLeader::Ack { subscription, broker_epoch, written, flushed };
                        self.said.extend(session.map(|session| (session, said)));
                    }
                    FollowerEffect::WithoutRoom { .. } | FollowerEffect::LookForRoom => {
                        unreachable!("no disk of this simulation is ever full")
                    }
                    FollowerEffect::HighWatermarkAdvanced { to } => self.high_watermark = to,
                    // No leader's log here ever starts past 0.
                    FollowerEffect::AdvanceLogStart { to } => unreachable!("told to delete below {to}"),
                }
            }
            if cut {
                self.high_watermark = self.high_watermark.min(self.log.end());
                let (last_epoch, last_record_epoch) = (self.log.latest_epoch(), self.log.last_record_epoch());
                events.push(FollowerEvent::Cut { log: self.log.position(), last_epoch, last_record_epoch });
            }
        }
    }
}
