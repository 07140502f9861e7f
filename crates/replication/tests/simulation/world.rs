use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use raftsman_replication::{FollowerEvent, IsrAnswer, IsrProposal, LeaderEvent};
use raftsman_types::{BrokerEpoch, BrokerId, MonotonicTime, PartitionEpoch};

use super::broker::{Broker, Role, ToFollower, ToLeader};
use super::controller::Controller;
use super::log::Record;

/// A stream between a follower and a leader. Each direction keeps its order; streams do not wait for each other.
struct Stream {
    follower: usize,
    leader: usize,
    open: bool,
    up: VecDeque<ToLeader>,
    down: VecDeque<ToFollower>,
}

/// An AlterPartition request on its way, or its answer.
enum Flight {
    Request { from: usize, epoch: BrokerEpoch, proposal: IsrProposal, answer_wanted: bool },
    Answer { to: usize, epoch: BrokerEpoch, asked_on: PartitionEpoch, answer: IsrAnswer },
}

pub struct World {
    random: u64,
    now: MonotonicTime,
    brokers: Vec<Broker>,
    controller: Controller,
    streams: BTreeMap<u64, Stream>,
    flights: VecDeque<Flight>,
    next_session: u64,
    next_record: u64,
    /// Everything that was ever below a leader's high watermark.
    committed: Vec<Record>,
    faults: bool,
    /// One fault in so many steps.
    calm: usize,
}

const SEND_MOST: usize = 4;

impl World {
    pub fn new(seed: u64, min_insync: usize) -> World {
        let ids: Vec<BrokerId> = (1..=3).map(BrokerId).collect();
        World {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            now: MonotonicTime::default(),
            brokers: ids.iter().map(|id| Broker::new(*id)).collect(),
            controller: Controller::new(&ids, min_insync),
            streams: BTreeMap::new(),
            flights: VecDeque::new(),
            next_session: 0,
            next_record: 0,
            committed: Vec::new(),
            faults: true,
            calm: [5, 20, 80][seed as usize % 3],
        }
    }

    /// Runs with faults, then without until everything is well again.
    pub fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
            self.check();
        }
        self.faults = false;
        for _ in 0..40_000 {
            self.heal();
            self.step();
            self.check();
            if self.is_well() {
                return;
            }
        }
        panic!("the cluster does not come to rest: {}", self.summary());
    }

    pub fn committed(&self) -> u64 {
        self.committed.len() as u64
    }

    pub fn summary(&self) -> String {
        let mut text = format!("{:?}\ncommitted {}", self.controller.image(), self.committed.len());
        for broker in &self.brokers {
            let role = match &broker.role {
                Role::Idle => "idle".to_owned(),
                Role::Leader { machine, .. } => format!("leads {:?}", machine.isr()),
                Role::Follower { machine, session, .. } => {
                    format!("follows in {} over {session:?}", machine.leader_epoch())
                }
            };
            let log = broker.log.position();
            text.push_str(&format!(
                "\n{} up {} seen {} hw {} {log:?} {role} log {:?}",
                broker.id,
                broker.up,
                broker.seen,
                broker.high_watermark,
                broker.log.records.last()
            ));
        }
        text
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) % below.max(1) as u64) as usize
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.draw(chance) == 0
    }

    fn step(&mut self) {
        let ms = self.draw(20) as u64;
        self.now = self.now + Duration::from_millis(ms);
        let i = self.draw(self.brokers.len());
        if self.faults && self.one_in(self.calm) {
            self.fault(i);
        }
        match self.draw(32) {
            0..4 => self.produce(i),
            4..8 => self.flush(i),
            8..12 => self.push(i),
            12..20 => self.deliver(),
            20..22 => self.see_image(i),
            22..24 => self.fly(),
            24 => self.connect(i),
            25 => self.tick(i),
            26..28 => self.carry(i),
            28 => self.restart(i),
            29 => self.fence_the_dead(),
            30 => self.unfence(i),
            _ => self.connect(i),
        }
        for i in 0..self.brokers.len() {
            self.post(i);
        }
    }

    fn fault(&mut self, i: usize) {
        match self.draw(9) {
            0 => self.crash(i),
            1 => self.fence_wrongly(i),
            2 => self.move_leader(i),
            3..6 => self.break_stream(),
            6 => {
                let long = self.one_in(4);
                self.now = self.now + Duration::from_millis(if long { 31_000 } else { 500 });
            }
            7 => {
                let min_insync = 1 + self.draw(self.brokers.len());
                self.controller.set_min_insync(min_insync);
                self.check_leader();
            }
            _ => self.lose_flight(),
        }
    }

    /// Without faults everyone comes back and everything is delivered.
    fn heal(&mut self) {
        for i in 0..self.brokers.len() {
            if !self.brokers[i].up {
                self.restart(i);
            }
            self.unfence(i);
            self.connect(i);
            self.see_image(i);
        }
        if self.one_in(50) {
            self.now = self.now + Duration::from_millis(11_000);
        }
    }

    fn produce(&mut self, i: usize) {
        if !self.brokers[i].up || (!self.faults && self.one_in(2)) {
            return;
        }
        let count = 1 + self.draw(3);
        if !self.faults && self.next_record > 1_000_000 {
            return;
        }
        let ids: Vec<u64> = (0..count as u64).map(|n| self.next_record + n).collect();
        self.next_record += count as u64;
        let all = self.one_in(2);
        if self.faults {
            self.brokers[i].produce(self.now, &ids, all);
        }
    }

    fn flush(&mut self, i: usize) {
        // What was written while the disk was busy is not in a flush.
        let unflushed = self.brokers[i].log.unflushed();
        let missed = if self.faults && self.one_in(2) { self.draw(unflushed + 1) } else { 0 };
        let broker = &mut self.brokers[i];
        if broker.up {
            let upto = broker.log.records.len() - missed;
            broker.flush(self.now, upto);
        }
    }

    fn push(&mut self, i: usize) {
        let (choice, most) = (self.draw(1000), 1 + self.draw(SEND_MOST));
        if self.brokers[i].up {
            self.brokers[i].push(choice, most);
        }
    }

    fn see_image(&mut self, i: usize) {
        let broker = &mut self.brokers[i];
        if broker.up && broker.seen < self.controller.images.len() {
            let image = self.controller.images[broker.seen].clone();
            broker.seen += 1;
            broker.publish(self.now, &image);
            self.check();
            // A broker that catches up gets the newest snapshot and skips what lies between.
            if self.one_in(3) {
                let broker = &mut self.brokers[i];
                broker.seen = self.controller.images.len();
                let image = self.controller.image().clone();
                broker.publish(self.now, &image);
            }
        }
    }

    fn tick(&mut self, i: usize) {
        let now = self.now;
        let broker = &mut self.brokers[i];
        match broker.role {
            _ if !broker.up => {}
            Role::Idle => {}
            Role::Leader { .. } => broker.step_leader(now, LeaderEvent::Tick),
            Role::Follower { .. } => broker.step_follower(now, FollowerEvent::Tick, &[]),
        }
    }

    /// A follower without a stream to its leader opens one; its older one may linger.
    fn connect(&mut self, i: usize) {
        let Role::Follower { machine, session, .. } = &self.brokers[i].role else { return };
        let leader = machine.leader().0 as usize - 1;
        let stands = session.and_then(|s| self.streams.get(&s)).is_some_and(|s| s.open && s.leader == leader);
        if !self.brokers[i].up || stands || !self.brokers[leader].up {
            return;
        }
        let id = self.next_session;
        self.next_session += 1;
        let stream = Stream { follower: i, leader, open: true, up: VecDeque::new(), down: VecDeque::new() };
        self.streams.insert(id, stream);
        let now = self.now;
        let broker = &mut self.brokers[i];
        broker.step_follower(now, FollowerEvent::Disconnected, &[]);
        if let Role::Follower { session, .. } = &mut broker.role {
            *session = Some(id);
        }
        broker.step_follower(now, FollowerEvent::Connected, &[]);
    }

    /// Puts what a broker said onto its streams.
    fn post(&mut self, i: usize) {
        while let Some((session, said)) = self.brokers[i].said.pop_front() {
            if let Some(stream) = self.streams.get_mut(&session).filter(|s| s.open) {
                stream.up.push_back(said);
            }
        }
        while let Some((key, said)) = self.brokers[i].answers.pop_front() {
            if let Some(stream) = self.streams.get_mut(&key.stream).filter(|s| s.open) {
                stream.down.push_back(said);
            }
        }
    }

    fn deliver(&mut self) {
        let count = self.streams.len();
        let choice = self.draw(count);
        let Some((&id, stream)) = self.streams.iter_mut().nth(choice) else { return };
        let (follower, leader) = (stream.follower, stream.leader);
        let (up, down) = (stream.up.pop_front(), stream.down.pop_front());
        let over = !stream.open && stream.up.is_empty();
        if over {
            self.streams.remove(&id);
        }
        let from = self.brokers[follower].id;
        if let Some(said) = up
            && self.brokers[leader].up
        {
            self.brokers[leader].hear_follower(self.now, id, from, said);
        }
        if over && self.brokers[leader].up {
            self.brokers[leader].lose_stream(self.now, from, id);
        }
        if let Some(said) = down
            && self.brokers[follower].up
        {
            self.brokers[follower].hear_leader(self.now, id, said);
        }
    }

    /// A stream breaks. What was said down is lost; what was said up may still come, late.
    fn break_stream(&mut self) {
        let count = self.streams.len();
        let (choice, lose) = (self.draw(count), self.one_in(2));
        let Some((&id, stream)) = self.streams.iter_mut().nth(choice) else { return };
        stream.open = false;
        stream.down.clear();
        if lose {
            stream.up.clear();
        }
        let follower = stream.follower;
        let mine = matches!(self.brokers[follower].role, Role::Follower { session: Some(s), .. } if s == id);
        if mine && self.brokers[follower].up {
            self.brokers[follower].step_follower(self.now, FollowerEvent::Disconnected, &[]);
        }
    }

    /// A leader's proposals go out.
    fn carry(&mut self, i: usize) {
        let broker = &mut self.brokers[i];
        if broker.up
            && let Some(proposal) = broker.proposals.pop_front()
        {
            let (from, epoch) = (i, broker.epoch);
            self.flights.push_back(Flight::Request { from, epoch, proposal, answer_wanted: true });
        }
    }

    /// A request arrives at the controller, or an answer at a leader; in any order.
    fn fly(&mut self) {
        let count = self.flights.len();
        let choice = self.draw(count);
        match self.flights.remove(choice) {
            None => {}
            Some(Flight::Request { from, epoch, proposal, answer_wanted }) => {
                let asked_on = proposal.partition_epoch;
                let answer = self.controller.alter_partition(self.brokers[from].id, epoch, &proposal);
                self.check_leader();
                if answer_wanted {
                    self.flights.push_back(Flight::Answer { to: from, epoch, asked_on, answer });
                }
            }
            Some(Flight::Answer { to, epoch, asked_on, answer }) => self.answer(to, epoch, asked_on, answer),
        }
    }

    fn answer(&mut self, to: usize, epoch: BrokerEpoch, partition_epoch: PartitionEpoch, answer: IsrAnswer) {
        let broker = &mut self.brokers[to];
        if broker.up && broker.epoch == epoch {
            broker.step_leader(self.now, LeaderEvent::IsrAnswered { partition_epoch, answer });
        }
    }

    /// A deadline passes: the leader does not know what became of its request. The request may be lost, or arrive within its
    /// lifetime.
    fn lose_flight(&mut self) {
        let count = self.flights.len();
        let (choice, lost) = (self.draw(count), self.one_in(2));
        let Some(flight) = self.flights.get_mut(choice) else { return };
        let (to, epoch, asked_on) = match flight {
            Flight::Request { answer_wanted: false, .. } => return,
            Flight::Request { from, epoch, proposal, answer_wanted } => {
                *answer_wanted = false;
                (*from, *epoch, proposal.partition_epoch)
            }
            Flight::Answer { to, epoch, asked_on, .. } => (*to, *epoch, *asked_on),
        };
        if lost || matches!(flight, Flight::Answer { .. }) {
            self.flights.remove(choice);
        }
        self.answer(to, epoch, asked_on, IsrAnswer::Unknown);
    }

    fn crash(&mut self, i: usize) {
        let unflushed = self.brokers[i].log.unflushed();
        let survives = self.draw(unflushed + 1);
        let broker = &mut self.brokers[i];
        if !broker.up {
            return;
        }
        broker.up = false;
        broker.role = Role::Idle;
        broker.log.crash(survives);
        // The checkpoint of the watermark is older than what was told, as a file written now and then is.
        broker.high_watermark = broker.high_watermark.min(broker.log.end()) / 2;
        broker.proposals.clear();
        for stream in self.streams.values_mut().filter(|s| s.follower == i || s.leader == i) {
            stream.open = false;
            stream.down.clear();
        }
        for f in 0..self.brokers.len() {
            let lost = matches!(&self.brokers[f].role, Role::Follower { session: Some(s), .. }
                if self.streams.get(s).is_none_or(|stream| !stream.open));
            if lost && self.brokers[f].up {
                self.brokers[f].step_follower(self.now, FollowerEvent::Disconnected, &[]);
            }
        }
    }

    fn restart(&mut self, i: usize) {
        if self.brokers[i].up {
            return;
        }
        let epoch = self.controller.register(self.brokers[i].id);
        self.check_leader();
        // Its first image may be from before its registration.
        let oldest = self.brokers[i].seen;
        let from = oldest + self.draw(self.controller.images.len() - oldest);
        let broker = &mut self.brokers[i];
        broker.up = true;
        broker.epoch = epoch;
        broker.seen = from;
    }

    /// A broker that is slow, not dead, loses its session.
    fn fence_wrongly(&mut self, i: usize) {
        self.controller.fence(self.brokers[i].id);
        self.check_leader();
    }

    fn fence_the_dead(&mut self) {
        for i in 0..self.brokers.len() {
            if !self.brokers[i].up {
                self.controller.fence(self.brokers[i].id);
                self.check_leader();
            }
        }
    }

    fn unfence(&mut self, i: usize) {
        if self.brokers[i].up {
            self.controller.unfence(self.brokers[i].id);
            self.check_leader();
        }
    }

    fn move_leader(&mut self, i: usize) {
        self.controller.move_leader(self.brokers[i].id);
        self.check_leader();
    }

    /// Whoever the controller elected has everything that was committed.
    fn check_leader(&self) {
        if let Some(leader) = self.controller.image().leader {
            let broker = &self.brokers[leader.0 as usize - 1];
            let has = broker.log.records.get(..self.committed.len());
            assert_eq!(has, Some(&self.committed[..]), "leader {leader} lacks what was committed: {}", self.summary());
        }
    }

    fn check(&mut self) {
        for i in 0..self.brokers.len() {
            let broker = &self.brokers[i];
            let high_watermark = broker.high_watermark as usize;
            assert!(high_watermark <= broker.log.records.len(), "{}", self.summary());
            let below = &broker.log.records[..high_watermark];
            let known = high_watermark.min(self.committed.len());
            assert_eq!(below[..known], self.committed[..known], "broker {} differs: {}", broker.id, self.summary());
            if high_watermark > known {
                assert!(matches!(broker.role, Role::Leader { .. }), "only a leader commits: {}", self.summary());
                let more = below[known..].to_vec();
                self.committed.extend(more);
            }
        }
        let image = self.controller.image();
        let holders = self.brokers.iter().filter(|b| image.isr.contains(&b.id) || image.elr.contains(&b.id));
        for broker in holders {
            let has = broker.log.records.get(..self.committed.len());
            assert_eq!(has, Some(&self.committed[..]), "{} may be elected: {}", broker.id, self.summary());
        }
    }

    fn is_well(&self) -> bool {
        let image = self.controller.image();
        let first = &self.brokers[0].log.records;
        image.isr.len() == self.brokers.len()
            && self.committed.len() == first.len()
            && self.brokers.iter().all(|b| b.log.records == *first && b.high_watermark as usize == first.len())
    }
}
