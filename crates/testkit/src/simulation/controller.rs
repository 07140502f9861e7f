use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::replica::Clock;
use raftsman_controller::actor::{Actor, ActorConfig, Effect, Event as ActorEvent, RequestId};
use raftsman_controller::decide::{ClusterSettings, Request};
use raftsman_controller::heartbeat::{PROBE_TIMEOUT, ProbeId, ProbeResult, SessionEvent, StreamId};
use raftsman_metadata::{MetadataEntry, MetadataImage};
use raftsman_types::{BrokerId, MonotonicTime};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::event::{ConnectionId, EndEvent, Endpoint, Event, Frame, Timer};
use super::fabric::Fabric;
use super::raft::{RaftOutput, RaftStanding, SimRaft};
use super::time::{NodeClock, SimTime};

/// How many applied entries are kept for watchers that are a little behind.
const TAIL_MAX: usize = 200;
/// The port of broker 0; the others' follow.
pub(super) const FIRST_PORT: u16 = 9000;

/// What a node's controller is made with.
#[derive(Debug, Clone)]
pub(super) struct ControllerSetup {
    pub node: i32,
    pub life: u64,
    pub clock: Arc<NodeClock>,
    pub seed: u64,
    pub session_timeout: Duration,
    pub settings: ClusterSettings,
    /// How slow the disk is to sync, in microseconds at most.
    pub sync_us_max: u64,
}

/// A controller: the shipped actor, driven as its driver does, over a [`SimRaft`].
pub(super) struct ControllerProcess {
    setup: ControllerSetup,
    raft: Box<dyn SimRaft>,
    actor: Actor<StdRng>,
    /// Outputs of Raft that wait for the disk.
    held: VecDeque<RaftOutput>,
    syncing: bool,
    stalled: bool,
    effects: Vec<Effect>,
    asks: BTreeMap<RequestId, ConnectionId>,
    streams: BTreeMap<StreamId, ConnectionId>,
    probes: BTreeMap<ConnectionId, ProbeId>,
    feed: Feed,
    watchers: BTreeMap<ConnectionId, u64>,
    leads: Option<u64>,
    timer_at: Option<SimTime>,
}

/// What was applied, for watchers.
#[derive(Debug, Default)]
struct Feed {
    image: MetadataImage,
    /// Entries with the version each led to.
    tail: VecDeque<(u64, Arc<MetadataEntry>)>,
}

impl ControllerProcess {
    pub fn start(setup: ControllerSetup, raft: Box<dyn SimRaft>, fabric: &mut Fabric) -> ControllerProcess {
        let config = ActorConfig {
            node_id: BrokerId(setup.node),
            cluster_id: "simulated".into(),
            settings: setup.settings.clone(),
            session_timeout: setup.session_timeout,
            queue_limit: 1000,
        };
        let actor = Actor::new(config, StdRng::seed_from_u64(setup.seed));
        let mut controller = ControllerProcess {
            setup,
            raft,
            actor,
            held: VecDeque::new(),
            syncing: false,
            stalled: false,
            effects: Vec::new(),
            asks: BTreeMap::new(),
            streams: BTreeMap::new(),
            probes: BTreeMap::new(),
            feed: Feed::default(),
            watchers: BTreeMap::new(),
            leads: None,
            timer_at: None,
        };
        controller.settle(fabric);
        controller
    }

    /// What it has applied.
    pub fn image(&self) -> &MetadataImage {
        &self.feed.image
    }

    /// Where its Raft stands.
    pub fn standing(&self) -> RaftStanding {
        self.raft.standing()
    }

    /// While stalled its disk completes no sync.
    pub fn stall(&mut self, stalled: bool, fabric: &mut Fabric) {
        if std::mem::replace(&mut self.stalled, stalled) && !stalled && self.syncing {
            self.set_timer(fabric, Duration::from_micros(100), Timer::RaftSynced);
        }
    }

    fn me(&self) -> Endpoint {
        Endpoint::Controller(self.setup.node)
    }

    fn now(&self) -> MonotonicTime {
        self.setup.clock.monotonic()
    }

    /// A message of a peer's.
    pub fn raft_message(&mut self, from: i32, message: super::raft::RaftMessage, fabric: &mut Fabric) {
        self.raft.receive(self.now(), from, message);
        self.settle(fabric);
    }

    /// Time has come for something. False if the disk failed: the process ends.
    pub fn timer(&mut self, timer: Timer, fabric: &mut Fabric) -> bool {
        match timer {
            Timer::RaftSynced if self.stalled => {}
            Timer::RaftSynced => {
                self.syncing = false;
                if self.raft.sync().is_err() {
                    return false;
                }
                self.release(fabric);
            }
            Timer::Controller => {
                self.timer_at = None;
                let now = self.now();
                if now >= self.raft.next_deadline() {
                    self.raft.tick(now);
                }
                if self.actor.next_deadline().is_some_and(|due| now >= due) {
                    self.step(ActorEvent::Tick, fabric);
                }
            }
            Timer::ProbeGivenUp(probe) => {
                let open = self.probes.iter().find(|(_, open)| **open == probe).map(|(connection, _)| *connection);
                if let Some(connection) = open {
                    self.probes.remove(&connection);
                    fabric.close(connection, self.me());
                    self.probed(probe, ProbeResult::Unanswered, fabric);
                }
            }
            _ => {}
        }
        self.settle(fabric);
        true
    }

    /// Something happened to a connection.
    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, fabric: &mut Fabric) {
        match what {
            EndEvent::Connected => {
                if let Some(probe) = self.probes.remove(&connection) {
                    fabric.close(connection, self.me());
                    self.probed(probe, ProbeResult::Answered, fabric);
                }
            }
            EndEvent::NotConnected { refused } => {
                if let Some(probe) = self.probes.remove(&connection) {
                    let result = if refused { ProbeResult::Refused } else { ProbeResult::Unanswered };
                    self.probed(probe, result, fabric);
                }
            }
            EndEvent::Closed => {
                self.watchers.remove(&connection);
                let stream = StreamId(connection.0);
                if self.streams.remove(&stream).is_some() {
                    self.step(ActorEvent::Session(SessionEvent::StreamBroken { stream }), fabric);
                }
            }
            EndEvent::Frame(frame) => self.frame(connection, frame, fabric),
        }
        self.settle(fabric);
    }

    fn frame(&mut self, connection: ConnectionId, frame: Frame, fabric: &mut Fabric) {
        match frame {
            Frame::Ask(request) => self.ask(connection, *request, fabric),
            Frame::PeerReport { unreachable } => {
                self.step(ActorEvent::Session(SessionEvent::PeerReport { unreachable }), fabric);
            }
            Frame::Heartbeat(heartbeat) => {
                let stream = StreamId(connection.0);
                self.streams.insert(stream, connection);
                self.step(ActorEvent::Session(SessionEvent::Heartbeat { stream, heartbeat }), fabric);
            }
            Frame::Watch { from_version } => {
                self.watchers.insert(connection, from_version);
                self.feed_watcher(connection, fabric);
            }
            _ => {}
        }
    }

    fn ask(&mut self, connection: ConnectionId, request: Request, fabric: &mut Fabric) {
        let id = RequestId(fabric.next_number());
        self.asks.insert(id, connection);
        self.step(ActorEvent::Request { id, request }, fabric);
    }

    fn probed(&mut self, probe: ProbeId, result: ProbeResult, fabric: &mut Fabric) {
        self.step(ActorEvent::Session(SessionEvent::ProbeResult { probe, result }), fabric);
    }

    fn step(&mut self, event: ActorEvent, fabric: &mut Fabric) {
        let mut effects = std::mem::take(&mut self.effects);
        self.actor.step(self.setup.clock.monotonic(), event, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect, fabric);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect, fabric: &mut Fabric) {
        match effect {
            Effect::Propose { proposal, entry } => {
                fabric.trace.say(fabric.now(), || format!("controller {} proposes {entry:?}", self.setup.node));
                self.raft.propose(self.now(), proposal, entry);
            }
            Effect::Reply { id, reply, .. } => {
                if let Some(connection) = self.asks.remove(&id) {
                    fabric.send(connection, self.me(), Frame::Answer(reply));
                }
            }
            Effect::AnswerHeartbeat { stream, reply } => {
                if let Some(connection) = self.streams.get(&stream) {
                    fabric.send(*connection, self.me(), Frame::HeartbeatReply(reply));
                }
            }
            Effect::CloseStream { stream } => {
                if let Some(connection) = self.streams.remove(&stream) {
                    fabric.close(connection, self.me());
                }
            }
            Effect::Probe { probe, port, .. } => {
                let target = Endpoint::Broker(i32::from(port) - i32::from(FIRST_PORT));
                let connection = fabric.dial(self.me(), self.setup.life, target);
                self.probes.insert(connection, probe);
                self.set_timer(fabric, PROBE_TIMEOUT, Timer::ProbeGivenUp(probe));
            }
            Effect::Active(active) => {
                fabric.trace.note(fabric.now(), "active", &[self.setup.node.into(), active.into()]);
                fabric.trace.say(fabric.now(), || format!("controller {} active: {active}", self.setup.node));
            }
        }
    }

    /// Takes Raft's outputs, lets go of those the disk has, and sets the next timer.
    fn settle(&mut self, fabric: &mut Fabric) {
        self.held.extend(self.raft.outputs());
        if self.raft.needs_sync() {
            if !std::mem::replace(&mut self.syncing, true) {
                let wait = fabric.between(50, self.setup.sync_us_max.max(51));
                self.set_timer(fabric, Duration::from_micros(wait), Timer::RaftSynced);
            }
        } else if !self.syncing {
            self.release(fabric);
        }
        let due = self.actor.next_deadline().into_iter().chain([self.raft.next_deadline()]).min();
        let wait = due.map_or(Duration::from_millis(50), |due| due.since(self.now()));
        let at = fabric.now() + wait.max(Duration::from_micros(500));
        if self.timer_at.is_none_or(|set| at < set) {
            self.timer_at = Some(at);
            let (node, life) = (self.setup.node, self.setup.life);
            fabric.at(at, Event::Timer { node, life, what: Timer::Controller });
        }
    }

    fn release(&mut self, fabric: &mut Fabric) {
        // What comes of it may have to be synced in turn.
        while let Some(output) = self.held.pop_front() {
            match output {
                RaftOutput::Send { to, message } => fabric.send_raft(self.setup.node, to, &message),
                RaftOutput::Applied { entry, image } => self.applied(entry, image, fabric),
                RaftOutput::Restored { image } => {
                    self.feed = Feed { image: image.clone(), tail: VecDeque::new() };
                    self.step(ActorEvent::ImageAdvanced(image), fabric);
                    self.feed_watchers(fabric);
                }
                RaftOutput::Proposed { proposal, outcome } => {
                    self.step(ActorEvent::Proposed { proposal, outcome }, fabric);
                }
                RaftOutput::Leads(term) => self.lead(term, fabric),
            }
        }
        if !self.raft.needs_sync() {
            self.held.extend(self.raft.outputs());
            if !self.held.is_empty() {
                self.release(fabric);
            }
        }
    }

    fn applied(&mut self, entry: Arc<MetadataEntry>, image: MetadataImage, fabric: &mut Fabric) {
        fabric.trace.note(fabric.now(), "applied", &[self.setup.node.into(), image.version as i64]);
        self.feed.tail.push_back((image.version, entry));
        if self.feed.tail.len() > TAIL_MAX {
            self.feed.tail.pop_front();
        }
        self.feed.image = image.clone();
        self.step(ActorEvent::ImageAdvanced(image), fabric);
        self.feed_watchers(fabric);
    }

    fn lead(&mut self, term: Option<u64>, fabric: &mut Fabric) {
        if term == self.leads {
            return;
        }
        if self.leads.is_some() {
            self.step(ActorEvent::LeadershipLost, fabric);
        }
        self.leads = term;
        if term.is_some() {
            self.step(ActorEvent::LeadershipGained, fabric);
        }
    }

    fn feed_watchers(&mut self, fabric: &mut Fabric) {
        let watchers: Vec<ConnectionId> = self.watchers.keys().copied().collect();
        for watcher in watchers {
            self.feed_watcher(watcher, fabric);
        }
    }

    fn feed_watcher(&mut self, watcher: ConnectionId, fabric: &mut Fabric) {
        let me = self.me();
        let Some(version) = self.watchers.get_mut(&watcher) else { return };
        let newest = self.feed.image.version;
        if newest <= *version {
            return;
        }
        let behind = (newest - *version) as usize;
        match self.feed.tail.len().checked_sub(behind) {
            Some(skip) => {
                for (_, entry) in self.feed.tail.iter().skip(skip) {
                    fabric.send(watcher, me, Frame::Entry(Arc::clone(entry)));
                }
            }
            None => fabric.send(watcher, me, Frame::Snapshot(self.feed.image.clone())),
        }
        *version = newest;
    }

    fn set_timer(&self, fabric: &mut Fabric, wait: Duration, what: Timer) {
        fabric.after(wait, Event::Timer { node: self.setup.node, life: self.setup.life, what });
    }
}
