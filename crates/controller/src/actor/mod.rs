//! The active controller's mind. Shape B, pure: which request is decided when, and which reply may leave. Driven by a tokio task
//! that carries events in and effects out.
//!
//! # Rules
//!
//! - Requests are decided in turn against the image *as decided so far*; their records go out as one entry at a time.
//! - A reply leaves when the entry it may depend on is committed: an error or a read as well.
//! - An entry that was not applied takes all that was decided on top of it along: the image is reloaded, never rolled
//!   back, and the controller activates itself anew before it decides again. Whatever of the old
//!   is still under way is stale after that.
//! - "Not done" is told only where it is certain; else the outcome is unknown.
//!
//! # Driving it
//!
//! One task owns the actor. It calls [`Actor::step`] for each event, one at a time, and carries out the effects in order:
//!
//! 1. `Event::ImageAdvanced(image)` whenever the state machine has applied something, on every node, from the start on (also what
//!    was loaded from disk). A clone of the image is O(1). It must come *before* the `Proposed { Applied }` of an entry in it.
//! 2. `Event::LeadershipGained` when Raft's metrics say that this node leads, `LeadershipLost` when they no longer do. On gain the
//!    actor proposes `Activate` (and, in an empty cluster, then `FormCluster`) by itself and lets requests wait until it is applied.
//!    To be told late is harmless: an entry of a deposed leader is refused by Raft or is stale.
//! 3. `Effect::Propose` → `raft.client_write(entry)` in a task of its own, whose end is `Event::Proposed`. Every proposal gets
//!    exactly one outcome, under a deadline of the driver's:
//!    applied → `Applied { version }` or `Stale` as `MetadataImage::replay` said; `ForwardToLeader` → `NotProposed`; own deadline,
//!    `Fatal`, or anything else → `Unknown`. At most one proposal of the present leadership is open; one of an earlier leadership may
//!    still be, and its outcome is reported all the same.
//! 4. `Event::Request` with a number of the driver's; exactly one `Effect::Reply` with it follows, unless the process ends. The
//!    driver may stop waiting at any time (its client then has an *unknown* outcome); the late reply is dropped.
//! 5. Each `BrokerSession` stream gets a `StreamId`. Its messages are `SessionEvent::Heartbeat`, its end is `StreamBroken`; answers come as
//!    `AnswerHeartbeat`. On a node that is not active, streams are closed at once by `CloseStream`.
//! 6. `Effect::Probe` → dial host:port (TCP connect suffices), at most `PROBE_TIMEOUT`, then `SessionEvent::ProbeResult`.
//! 7. `Event::Tick` at [`Actor::next_deadline`], or simply every 50 ms.

mod event;
mod pipeline;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::{MetadataEntry, MetadataImage};
use raftsman_types::{BrokerId, MonotonicTime};
use rand::Rng;

use crate::decide::{self, ClusterSettings, LEADERS_MOVED_AT_ONCE, Outcome, Reply, Request, Situation};
use crate::heartbeat::{SessionEffect, Sessions};
pub use event::{Effect, Event, NotDecided, ProposalId, ProposalOutcome, RequestId};
use pipeline::{Origin, Own, Parked, Pipeline};

/// How soon an activation that failed is tried again while this node still leads.
const ACTIVATION_RETRY: Duration = Duration::from_millis(100);

/// What an actor is made with.
#[derive(Debug, Clone)]
pub struct ActorConfig {
    /// This controller's `node.id`.
    pub node_id: BrokerId,
    /// The id the cluster gets if this node is the one to form it (of `meta.properties`, or drawn).
    pub cluster_id: Arc<str>,
    /// What its file says about the cluster.
    pub settings: ClusterSettings,
    /// `broker.session.timeout.ms`; 1 s unless configured.
    pub session_timeout: Duration,
    /// How many requests may wait; one more is refused as overloaded.
    pub queue_limit: usize,
}

/// How far this controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It does not lead.
    Inactive,
    /// It leads, and has to propose its `Activate` at that time.
    Waiting(MonotonicTime),
    /// Its `Activate` is proposed, or applied without being in the image told here.
    Activating,
    /// It decides; its epoch is that version.
    Active(u64),
}

/// The proposal of the present leadership that is open.
#[derive(Debug)]
struct InFlight {
    proposal: ProposalId,
    parked: Vec<Parked>,
    /// It is applied as this version, which the image told here has not reached yet.
    applied_as: Option<u64>,
}

/// The active controller's mind; see the module's comment.
#[derive(Debug)]
pub struct Actor<R> {
    config: ActorConfig,
    rng: R,
    phase: Phase,
    applied: MetadataImage,
    pipeline: Pipeline,
    /// Requests not decided yet, the controller's own first.
    urgent: VecDeque<Own>,
    queue: VecDeque<(RequestId, Request)>,
    /// Which of its own requests are under way, so that none is twice.
    own: BTreeSet<Own>,
    in_flight: Option<InFlight>,
    /// Proposals of earlier leaderships whose outcome is open.
    orphans: BTreeMap<ProposalId, Vec<Parked>>,
    next_proposal: u64,
    /// How many replies are parked.
    parked: usize,
    sessions: Sessions,
    rebalance_at: Option<MonotonicTime>,
}

impl<R: Rng> Actor<R> {
    /// An actor that knows no image and does not lead. The generator draws topic ids and placements.
    pub fn new(config: ActorConfig, rng: R) -> Actor<R> {
        let sessions = Sessions::new(config.session_timeout);
        Actor {
            config,
            rng,
            phase: Phase::Inactive,
            applied: MetadataImage::default(),
            pipeline: Pipeline::default(),
            urgent: VecDeque::new(),
            queue: VecDeque::new(),
            own: BTreeSet::new(),
            in_flight: None,
            orphans: BTreeMap::new(),
            next_proposal: 0,
            parked: 0,
            sessions,
            rebalance_at: None,
        }
    }

    /// The committed image as far as this actor was told.
    pub fn image(&self) -> &MetadataImage {
        &self.applied
    }

    /// Whether it decides requests now.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active(_))
    }

    /// Takes one event in and says what is to be done, in order.
    pub fn step(&mut self, now: MonotonicTime, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Request { id, request } => self.ask(id, request, effects),
            Event::Session(event) => {
                let mut wanted = Vec::new();
                self.sessions.step(now, &self.applied, event, &mut wanted);
                self.carry_out(wanted, effects);
            }
            Event::ImageAdvanced(image) => self.image_advanced(now, image, effects),
            Event::Proposed { proposal, outcome } => self.proposed(now, proposal, outcome, effects),
            Event::LeadershipGained if self.phase == Phase::Inactive => self.phase = Phase::Waiting(now),
            Event::LeadershipGained => {}
            Event::LeadershipLost => self.stand_down(effects),
            Event::Tick => self.tick(now, effects),
        }
        self.advance(now, effects);
    }

    /// When `Event::Tick` is due, if at all.
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        let activation = match self.phase {
            Phase::Inactive | Phase::Activating => None,
            Phase::Waiting(at) => Some(at),
            Phase::Active(_) => self.sessions.next_deadline(),
        };
        activation.into_iter().chain(self.rebalance_at).min()
    }

    fn ask(&mut self, id: RequestId, request: Request, effects: &mut Vec<Effect>) {
        let refusal = if self.phase == Phase::Inactive {
            NotDecided::NotActive
        } else if self.queue.len() + self.parked >= self.config.queue_limit {
            NotDecided::Overloaded
        } else {
            self.queue.push_back((id, request));
            return;
        };
        effects.push(Effect::Reply { id, reply: Err(refusal), version: self.applied.version });
    }

    fn tick(&mut self, now: MonotonicTime, effects: &mut Vec<Effect>) {
        if !self.is_active() {
            return;
        }
        let mut wanted = Vec::new();
        self.sessions.tick(now, &self.applied, &mut wanted);
        self.carry_out(wanted, effects);
        if self.rebalance_at.is_some_and(|at| now >= at) {
            self.rebalance_at = None;
            self.ask_oneself(Own::Rebalance);
        }
    }

    fn carry_out(&mut self, wanted: Vec<SessionEffect>, effects: &mut Vec<Effect>) {
        for effect in wanted {
            match effect {
                SessionEffect::Answer { stream, reply } => effects.push(Effect::AnswerHeartbeat { stream, reply }),
                SessionEffect::Close { stream } => effects.push(Effect::CloseStream { stream }),
                SessionEffect::Probe { probe, host, port } => effects.push(Effect::Probe { probe, host, port }),
                SessionEffect::Expire(broker) => self.ask_oneself(Own::Fence(broker)),
                SessionEffect::StandAside(broker) => self.ask_oneself(Own::StandAside(broker)),
                SessionEffect::Unfence(broker) => self.ask_oneself(Own::Unfence(broker)),
                SessionEffect::StartShutdown(broker) => self.ask_oneself(Own::Shutdown(broker)),
                SessionEffect::DirectoriesOffline(broker, directories) => {
                    self.ask_oneself(Own::DirectoriesOffline(broker, directories));
                }
            }
        }
    }

    fn ask_oneself(&mut self, own: Own) {
        if self.is_active() && self.own.insert(own.clone()) {
            self.urgent.push_back(own);
        }
    }

    fn image_advanced(&mut self, now: MonotonicTime, image: MetadataImage, effects: &mut Vec<Effect>) {
        if image.version <= self.applied.version {
            return;
        }
        self.applied = image;
        if let Phase::Active(epoch) = self.phase
            && self.applied.controller != Some((self.config.node_id, epoch))
        {
            // Somebody was active since. If Raft still lets this node lead, it activates itself anew.
            self.orphan();
            self.reload(now, effects, NotDecided::NotActive);
        }
        self.complete(now, effects);
    }

    fn proposed(
        &mut self,
        now: MonotonicTime,
        proposal: ProposalId,
        outcome: ProposalOutcome,
        effects: &mut Vec<Effect>,
    ) {
        let failure = match outcome {
            ProposalOutcome::Applied { .. } => None,
            ProposalOutcome::Stale | ProposalOutcome::NotProposed => Some(NotDecided::NotActive),
            ProposalOutcome::Unknown => Some(NotDecided::Unknown),
        };
        if let Some(parked) = self.orphans.remove(&proposal) {
            let version = match outcome {
                ProposalOutcome::Applied { version } => version,
                _ => self.applied.version,
            };
            parked.into_iter().for_each(|parked| self.release(parked, failure, version, effects));
            return;
        }
        let Some(in_flight) = self.in_flight.as_mut().filter(|in_flight| in_flight.proposal == proposal) else {
            return;
        };
        match (outcome, failure) {
            (ProposalOutcome::Applied { version }, _) => {
                in_flight.applied_as = Some(version);
                self.complete(now, effects);
            }
            (_, Some(failure)) => self.reload(now, effects, failure),
            (_, None) => {}
        }
    }

    /// Once the image holds what was in flight, its replies leave.
    fn complete(&mut self, now: MonotonicTime, effects: &mut Vec<Effect>) {
        let is_complete = |in_flight: &InFlight| in_flight.applied_as.is_some_and(|v| v <= self.applied.version);
        if !self.in_flight.as_ref().is_some_and(is_complete) {
            return;
        }
        let Some(InFlight { parked, applied_as: Some(version), .. }) = self.in_flight.take() else { return };
        if self.phase == Phase::Activating {
            if self.applied.controller == Some((self.config.node_id, version)) {
                self.become_active(now, version, effects);
            } else {
                // Another controller was active after that.
                self.phase = Phase::Waiting(now + ACTIVATION_RETRY);
            }
        }
        parked.into_iter().for_each(|parked| self.release(parked, None, version, effects));
    }

    fn become_active(&mut self, now: MonotonicTime, epoch: u64, effects: &mut Vec<Effect>) {
        self.phase = Phase::Active(epoch);
        self.pipeline = Pipeline::new(&self.applied);
        effects.push(Effect::Active(true));
        let mut wanted = Vec::new();
        self.sessions.activate(now, &self.applied, &mut wanted);
        self.carry_out(wanted, effects);
        if self.applied.cluster_id.is_none() {
            self.ask_oneself(Own::FormCluster);
        }
        self.rebalance_soon(now);
    }

    /// Drops all that is decided and not committed. While this node leads it activates itself anew.
    fn reload(&mut self, now: MonotonicTime, effects: &mut Vec<Effect>, failure: NotDecided) {
        let version = self.applied.version;
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.parked.into_iter().for_each(|parked| self.release(parked, Some(failure), version, effects));
        }
        self.drop_undecided(effects);
        let was_active = self.is_active();
        if was_active {
            effects.push(Effect::Active(false));
        }
        // What was in flight may still be applied, or not: a new activation settles it at once. Where Raft itself refuses,
        // it is asked again a little later.
        let is_open = was_active && failure == NotDecided::Unknown;
        let retry = if is_open { now } else { now + ACTIVATION_RETRY };
        self.phase = Phase::Waiting(retry);
    }

    fn stand_down(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Inactive {
            return;
        }
        self.orphan();
        self.drop_undecided(effects);
        let version = self.applied.version;
        for (id, _) in std::mem::take(&mut self.queue) {
            effects.push(Effect::Reply { id, reply: Err(NotDecided::NotActive), version });
        }
        if self.is_active() {
            effects.push(Effect::Active(false));
        }
        self.phase = Phase::Inactive;
        let mut wanted = Vec::new();
        self.sessions.deactivate(&mut wanted);
        self.carry_out(wanted, effects);
    }

    /// The outcome of what is in flight is open: whoever waits for it is told when the driver knows.
    fn orphan(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            self.orphans.insert(in_flight.proposal, in_flight.parked);
        }
    }

    /// What was never proposed will never be: a definite no.
    fn drop_undecided(&mut self, effects: &mut Vec<Effect>) {
        let version = self.applied.version;
        for parked in std::mem::take(&mut self.pipeline).into_parked() {
            self.release(parked, Some(NotDecided::NotActive), version, effects);
        }
        self.urgent.clear();
        self.own.clear();
        self.rebalance_at = None;
    }

    fn release(&mut self, parked: Parked, failure: Option<NotDecided>, version: u64, effects: &mut Vec<Effect>) {
        self.parked = self.parked.saturating_sub(1);
        match parked.origin {
            Origin::Asked(id) => {
                let reply = failure.map_or(Ok(parked.reply), Err);
                effects.push(Effect::Reply { id, reply, version });
            }
            Origin::Own(own) => {
                self.own.remove(&own);
            }
        }
    }

    /// Decides what can be decided and proposes what can be proposed.
    fn advance(&mut self, now: MonotonicTime, effects: &mut Vec<Effect>) {
        if let Phase::Waiting(at) = self.phase
            && now >= at
        {
            self.phase = Phase::Activating;
            let records = decide::activate(self.config.node_id);
            let entry = MetadataEntry { base_version: self.applied.version, records };
            self.propose(entry, Vec::new(), effects);
        }
        if !self.is_active() {
            return;
        }
        while !self.pipeline.is_full() {
            if let Some(own) = self.urgent.pop_front() {
                let request = own.request();
                self.decide(now, Origin::Own(own), request, effects);
            } else if let Some((id, request)) = self.queue.pop_front() {
                self.decide(now, Origin::Asked(id), Some(request), effects);
            } else {
                break;
            }
        }
        if self.in_flight.is_none()
            && let Some(decided) = self.pipeline.next()
        {
            self.propose(decided.entry, decided.parked, effects);
        }
    }

    fn decide(&mut self, now: MonotonicTime, origin: Origin, request: Option<Request>, effects: &mut Vec<Effect>) {
        self.pipeline.prepare();
        let outcome = match &request {
            Some(request) => {
                let situation = Situation {
                    settings: &self.config.settings,
                    image: self.pipeline.image(),
                    liveness: &|broker| self.sessions.liveness(broker),
                };
                decide::decide(&situation, request, &mut self.rng)
            }
            None => Outcome {
                entries: vec![decide::form_cluster(&self.config.settings, &self.config.cluster_id)],
                reply: Reply::Done(Ok(())),
            },
        };
        let changed = outcome.records().count();
        match request {
            Some(Request::RebalanceLeaders) if changed < LEADERS_MOVED_AT_ONCE => {}
            // Clients need a while to dial a broker that is back.
            Some(Request::UnfenceBroker(_)) if changed > 0 => {
                self.rebalance_at = None;
                self.rebalance_soon(now);
            }
            Some(Request::AlterPartition(_) | Request::RebalanceLeaders) if changed > 0 => self.rebalance_soon(now),
            _ => {}
        }
        self.parked += 1;
        let Some(parked) = self.pipeline.accept(origin, outcome) else { return };
        match &mut self.in_flight {
            Some(in_flight) => in_flight.parked.push(parked),
            None => self.release(parked, None, self.applied.version, effects),
        }
    }

    fn rebalance_soon(&mut self, now: MonotonicTime) {
        if self.config.settings.auto_leader_rebalance && self.rebalance_at.is_none() {
            self.rebalance_at = Some(now + self.config.settings.leader_rebalance_delay);
        }
    }

    fn propose(&mut self, entry: MetadataEntry, parked: Vec<Parked>, effects: &mut Vec<Effect>) {
        let proposal = ProposalId(self.next_proposal);
        self.next_proposal += 1;
        self.in_flight = Some(InFlight { proposal, parked, applied_as: None });
        effects.push(Effect::Propose { proposal, entry });
    }
}
