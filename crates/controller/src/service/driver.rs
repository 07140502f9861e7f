use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::{EntryOutcome, MetadataEntry};
use raftsman_types::MonotonicTime;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::actor::{Actor, ActorConfig, Effect, Event, NotDecided, ProposalId, ProposalOutcome, RequestId};
use crate::decide::{Reply, Request};
use crate::heartbeat::{HeartbeatReply, PROBE_TIMEOUT, ProbeId, ProbeResult, SessionEvent, StreamId};
use crate::raft::{Binding, Dial, Proposal, Quorum, QuorumState, dial};

/// A request's answer with the version it was judged against.
pub(crate) type Answer = Result<(Reply, u64), NotDecided>;

/// What the gRPC handlers give to the driver.
#[derive(Debug)]
pub(crate) enum Input {
    /// A request, and where its answer goes.
    Request {
        /// The request.
        request: Request,
        /// Where its answer goes; nobody may wait for it any more.
        answer: oneshot::Sender<Answer>,
    },
    /// A session stream was opened. The driver ends it by dropping both senders.
    StreamOpened {
        /// Its number.
        stream: StreamId,
        /// Where its answers go.
        replies: mpsc::Sender<HeartbeatReply>,
        /// Held while the stream may stay.
        open: oneshot::Sender<()>,
    },
    /// Something about sessions.
    Session(SessionEvent),
}

/// What comes back from the driver's own tasks.
enum Done {
    Proposed { proposal: ProposalId, outcome: ProposalOutcome },
    Probed { probe: ProbeId, result: ProbeResult },
}

/// The task that carries events to the actor and its effects out. It holds no rule of its own.
pub(crate) struct Driver {
    quorum: Arc<Quorum>,
    actor: Option<Actor<StdRng>>,
    config: ActorConfig,
    started: Instant,
    active: watch::Sender<bool>,
    done: mpsc::UnboundedSender<Done>,
    answers: HashMap<RequestId, oneshot::Sender<Answer>>,
    next_request: u64,
    streams: HashMap<StreamId, (mpsc::Sender<HeartbeatReply>, oneshot::Sender<()>)>,
    leads_in_term: Option<u64>,
    effects: Vec<Effect>,
}

impl Driver {
    /// Drives an actor until all senders of inputs are gone. `config.cluster_id` is filled in once the cluster is known; before
    /// that this controller is simply not active.
    pub async fn run(
        quorum: Arc<Quorum>,
        config: ActorConfig,
        mut inputs: mpsc::Receiver<Input>,
        mut states: watch::Receiver<QuorumState>,
        active: watch::Sender<bool>,
    ) {
        // At most one proposal and a probe per broker are open, so what comes back is bounded by them.
        let (done_sender, mut done) = mpsc::unbounded_channel();
        let mut bindings = quorum.identity().watch_binding();
        let mut versions = quorum.feed().watch_version();
        let mut driver = Driver {
            quorum,
            actor: None,
            config,
            started: Instant::now(),
            active,
            done: done_sender,
            answers: HashMap::new(),
            next_request: 0,
            streams: HashMap::new(),
            leads_in_term: None,
            effects: Vec::new(),
        };
        states.mark_changed();
        bindings.mark_changed();
        loop {
            let deadline = driver.deadline();
            tokio::select! {
                biased;
                Ok(()) = bindings.changed() => {
                    let binding = bindings.borrow_and_update().clone();
                    driver.bind(binding);
                    states.mark_changed();
                }
                Ok(()) = states.changed() => {
                    let term = states.borrow_and_update().leads_in_term;
                    driver.lead(term);
                }
                Ok(()) = versions.changed() => {
                    versions.mark_unchanged();
                    driver.advance();
                }
                Some(done) = done.recv() => driver.finish(done),
                input = inputs.recv() => match input {
                    Some(input) => driver.take(input),
                    None => return,
                },
                () = wait_for(deadline) => driver.step(Event::Tick),
            }
        }
    }

    fn now(&self) -> MonotonicTime {
        MonotonicTime::from_start(self.started.elapsed())
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.actor.as_ref()?.next_deadline()?;
        Some(self.started + Duration::from_millis(due.as_millis()) + Duration::from_millis(1))
    }

    fn bind(&mut self, binding: Option<Binding>) {
        let Some(binding) = binding else { return };
        if self.actor.is_some() && self.config.cluster_id == binding.cluster_id {
            return;
        }
        self.config.cluster_id = binding.cluster_id;
        self.actor = Some(Actor::new(self.config.clone(), StdRng::from_rng(&mut rand::rng())));
        self.leads_in_term = None;
        self.advance();
    }

    fn lead(&mut self, term: Option<u64>) {
        if self.actor.is_none() || term == self.leads_in_term {
            return;
        }
        // Led again in another term: what was in between was somebody else's.
        if self.leads_in_term.is_some() {
            self.step(Event::LeadershipLost);
        }
        self.leads_in_term = term;
        if term.is_some() {
            self.advance();
            self.step(Event::LeadershipGained);
        }
    }

    fn advance(&mut self) {
        self.step(Event::ImageAdvanced(self.quorum.feed().image()));
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Proposed { proposal, outcome } => {
                self.advance();
                self.step(Event::Proposed { proposal, outcome });
            }
            Done::Probed { probe, result } => {
                self.step(Event::Session(SessionEvent::ProbeResult { probe, result }));
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Request { request, answer } => {
                let id = RequestId(self.next_request);
                self.next_request += 1;
                if self.actor.is_none() {
                    // Whoever asked may have given up: nobody needs the answer then.
                    let _ = answer.send(Err(NotDecided::NotActive));
                    return;
                }
                self.answers.insert(id, answer);
                self.step(Event::Request { id, request });
            }
            Input::StreamOpened { stream, replies, open } => {
                if self.actor.is_some() {
                    self.streams.insert(stream, (replies, open));
                }
            }
            Input::Session(event) => {
                if let SessionEvent::StreamBroken { stream } = &event {
                    self.streams.remove(stream);
                }
                self.step(Event::Session(event));
            }
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        let Some(actor) = &mut self.actor else { return };
        let mut effects = std::mem::take(&mut self.effects);
        actor.step(now, event, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Propose { proposal, entry } => self.propose(proposal, entry),
            Effect::Reply { id, reply, version } => {
                if let Some(answer) = self.answers.remove(&id) {
                    // Whoever asked may have given up: nobody needs the answer then.
                    let _ = answer.send(reply.map(|reply| (reply, version)));
                }
            }
            Effect::AnswerHeartbeat { stream, reply } => {
                // A broker that does not read its answers loses the oldest chance to hear, not its session.
                if let Some((replies, _)) = self.streams.get(&stream)
                    && replies.try_send(reply).is_err()
                {
                    tracing::debug!(?stream, "a broker does not read the answers to its heartbeats");
                }
            }
            Effect::CloseStream { stream } => {
                self.streams.remove(&stream);
            }
            Effect::Probe { probe, host, port } => self.probe(probe, host, port),
            Effect::Active(active) => {
                tracing::info!(active, "this controller's role changed");
                self.active.send_replace(active);
            }
        }
    }

    fn propose(&self, proposal: ProposalId, entry: MetadataEntry) {
        let (quorum, done) = (self.quorum.clone(), self.done.clone());
        tokio::spawn(async move {
            let outcome = match quorum.propose(&entry).await {
                Proposal::Applied { outcome: EntryOutcome::Applied, version } => ProposalOutcome::Applied { version },
                Proposal::Applied { outcome: EntryOutcome::Stale, .. } => ProposalOutcome::Stale,
                Proposal::Refused => ProposalOutcome::NotProposed,
                Proposal::Unknown => ProposalOutcome::Unknown,
            };
            // The driver ends only with the controller.
            let _ = done.send(Done::Proposed { proposal, outcome });
        });
    }

    fn probe(&self, probe: ProbeId, host: Arc<str>, port: u16) {
        let done = self.done.clone();
        tokio::spawn(async move {
            let result = match dial(&host, port, PROBE_TIMEOUT).await {
                Dial::Answered => ProbeResult::Answered,
                Dial::Refused => ProbeResult::Refused,
                Dial::Unanswered => ProbeResult::Unanswered,
            };
            // The driver ends only with the controller.
            let _ = done.send(Done::Probed { probe, result });
        });
    }
}

async fn wait_for(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
