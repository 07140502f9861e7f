use std::sync::Arc;

use raftsman_types::{BrokerId, DirectoryId, ErrorCode};

use crate::decide::BrokerReference;

/// One `BrokerSession` stream; the driver numbers them and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One dial of a broker; numbered by `Sessions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// What sessions hear of.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A heartbeat came on a stream; the first one opens the session.
    Heartbeat {
        /// On which stream.
        stream: StreamId,
        /// What it says.
        heartbeat: Heartbeat,
    },
    /// A stream ended or broke, whoever ended it.
    StreamBroken {
        /// Which.
        stream: StreamId,
    },
    /// A peer cannot reach a broker.
    PeerReport {
        /// Whom it cannot reach.
        unreachable: BrokerId,
    },
    /// A probe's outcome.
    ProbeResult {
        /// Which probe.
        probe: ProbeId,
        /// How it ended.
        result: ProbeResult,
    },
}

/// One heartbeat of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Who sent it.
    pub sender: BrokerReference,
    /// The metadata version it has published to itself.
    pub metadata_version: u64,
    /// It had better be fenced: it does not want to be unfenced, and wants to be relieved while it is not.
    pub wants_fence: bool,
    /// It wants to stop.
    pub wants_shutdown: bool,
    /// Log directories that went offline since it registered.
    pub offline_directories: Vec<DirectoryId>,
}

/// How a dial ended. The driver gives up after [`super::PROBE_TIMEOUT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// A connection was made.
    Answered,
    /// The address refused it, or it cannot be reached or resolved at all.
    Refused,
    /// Nothing came back within [`super::PROBE_TIMEOUT`].
    Unanswered,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// `None`, or `StaleBrokerEpoch` or `BrokerIdNotRegistered`: register again.
    pub error: ErrorCode,
    /// Whether the broker is fenced.
    pub fenced: bool,
    /// Controlled shutdown is complete.
    pub may_shut_down: bool,
}

/// What sessions want done.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEffect {
    /// Answer a heartbeat on its stream.
    Answer {
        /// The stream.
        stream: StreamId,
        /// The answer.
        reply: HeartbeatReply,
    },
    /// End a stream; a `StreamBroken` may follow and means nothing.
    Close {
        /// The stream.
        stream: StreamId,
    },
    /// Dial a broker's inter-broker listener and report a `ProbeResult`.
    Probe {
        /// The probe's number.
        probe: ProbeId,
        /// Where to dial.
        host: Arc<str>,
        /// Where to dial.
        port: u16,
    },
    /// The broker is dead: fence it.
    Expire(BrokerReference),
    /// The broker asks to be relieved.
    StandAside(BrokerReference),
    /// The broker is fit again: unfence it.
    Unfence(BrokerReference),
    /// The broker wants to stop.
    StartShutdown(BrokerReference),
    /// Log directories of the broker went offline.
    DirectoriesOffline(BrokerReference, Vec<DirectoryId>),
}
