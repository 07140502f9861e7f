use std::sync::Arc;

use raftsman_metadata::{MetadataEntry, MetadataImage};

use crate::decide::{Reply, Request};
use crate::heartbeat::{HeartbeatReply, ProbeId, SessionEvent, StreamId};

/// One request; the driver numbers them and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One proposed entry; numbered by the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub u64);

/// What the driver tells the actor.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A request arrived. Exactly one `Effect::Reply` answers it.
    Request {
        /// Its number.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// Something about broker sessions.
    Session(SessionEvent),
    /// The state machine applied entries (or installed a snapshot): the image now. Told on every node, active or not, and always
    /// before the `Proposed` of an entry it contains. A version that is not above the last one told is ignored.
    ImageAdvanced(MetadataImage),
    /// What became of a proposal.
    Proposed {
        /// Which.
        proposal: ProposalId,
        /// What became of it.
        outcome: ProposalOutcome,
    },
    /// Raft made this node its leader.
    LeadershipGained,
    /// This node leads no longer (or was told so; told twice it means nothing).
    LeadershipLost,
    /// Time passed: due at [`super::Actor::next_deadline`] at the latest.
    Tick,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// Committed and applied as this version.
    Applied {
        /// The image version that the entry made.
        version: u64,
    },
    /// Committed, but decided on another version: it changed nothing, on any node.
    Stale,
    /// Definitely not, and never to be, in the log: `ForwardToLeader`, or refused before it was appended.
    NotProposed,
    /// It may or may not be committed: an own deadline passed, or Raft stopped.
    Unknown,
}

/// What the actor wants done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Propose an entry to Raft, and report `Event::Proposed`. Never is more than one open.
    Propose {
        /// The proposal's number.
        proposal: ProposalId,
        /// The entry.
        entry: MetadataEntry,
    },
    /// Answer a request.
    Reply {
        /// Which.
        id: RequestId,
        /// Its answer.
        reply: Result<Reply, NotDecided>,
        /// The committed image version that the answer was judged against.
        version: u64,
    },
    /// Answer a heartbeat.
    AnswerHeartbeat {
        /// On which stream.
        stream: StreamId,
        /// The answer.
        reply: HeartbeatReply,
    },
    /// End a session stream.
    CloseStream {
        /// Which.
        stream: StreamId,
    },
    /// Dial a broker and report a `SessionEvent::ProbeResult`.
    Probe {
        /// The probe's number.
        probe: ProbeId,
        /// Where to dial.
        host: Arc<str>,
        /// Where to dial.
        port: u16,
    },
    /// The controller is active (or no longer): its `Activate` is applied, requests are decided from now on.
    Active(bool),
}

/// Why a request got no reply of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDecided {
    /// Definite: nothing was done. Ask the active controller.
    #[error("this controller is not active")]
    NotActive,
    /// Definite: nothing was done. The queue is full.
    #[error("too many requests wait for the controller")]
    Overloaded,
    /// The request may or may not take effect.
    #[error("the request's outcome is unknown: leadership was lost, or its entry's commit timed out")]
    Unknown,
}
