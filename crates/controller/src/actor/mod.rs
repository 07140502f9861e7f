//! The active controller's mind. Shape B, pure: which request is decided when, and which reply may leave. Driven by a tokio task
//! that carries events in and effects out.
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
//!    `Fatal`, or anything else → `Unknown`. At most one is open. An outcome of an older proposal is ignored.
//! 4. `Event::Request` with a number of the driver's; exactly one `Effect::Reply` with it follows, unless the process ends. The
//!    driver may stop waiting at any time (its client then has an *unknown* outcome); the late reply is dropped.
//! 5. Each `BrokerSession` stream gets a `StreamId`. Its messages are `SessionEvent::Heartbeat`, its end is `StreamBroken`; answers come as
//!    `AnswerHeartbeat`. On a node that is not active, streams are closed at once by `CloseStream`.
//! 6. `Effect::Probe` → dial host:port (TCP connect suffices), at most `PROBE_TIMEOUT`, then `SessionEvent::ProbeResult`.
//! 7. `Event::Tick` at [`Actor::next_deadline`], or simply every 50 ms.

mod event;

pub use event::{Effect, Event, NotDecided, ProposalId, ProposalOutcome, RequestId};

use std::sync::Arc;
use std::time::Duration;

use raftsman_types::{BrokerId, MonotonicTime};
use rand::Rng;

use crate::decide::ClusterSettings;

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

/// The active controller's mind; see the module's comment.
#[derive(Debug)]
pub struct Actor<R> {
    config: ActorConfig,
    rng: R,
}

impl<R: Rng> Actor<R> {
    /// An actor that knows no image and does not lead. The generator draws topic ids and placements.
    pub fn new(config: ActorConfig, rng: R) -> Actor<R> {
        Actor { config, rng }
    }

    /// Takes one event in and says what is to be done, in order.
    pub fn step(&mut self, now: MonotonicTime, event: Event, effects: &mut Vec<Effect>) {
        let _ = (now, event, effects, &self.config, &mut self.rng);
    }

    /// When `Event::Tick` is due, if at all.
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        None
    }
}
