use std::sync::Arc;

use bytes::Bytes;
use raftsman_controller::actor::NotDecided;
use raftsman_controller::decide::{Reply, Request};
use raftsman_controller::heartbeat::{Heartbeat, HeartbeatReply, ProbeId};
use raftsman_metadata::{MetadataEntry, MetadataImage};
use raftsman_protocol::Str;
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId, TopicIdPartition};

use super::nemesis::NemesisEvent;
use super::raft::RaftMessage;

/// Who is at an end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Endpoint {
    Broker(i32),
    Controller(i32),
    Client(i32),
}

impl Endpoint {
    /// The machine it is on: a node's number, or a client's with a minus.
    pub fn host(self) -> i32 {
        match self {
            Endpoint::Broker(node) | Endpoint::Controller(node) => node,
            Endpoint::Client(client) => -client,
        }
    }
}

/// One connection, for as long as the simulation lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub u64);

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A dial reaches its target, or nobody.
    Dial(ConnectionId),
    /// Something happens to one end of a connection.
    End { at: Endpoint, life: u64, connection: ConnectionId, what: EndEvent },
    /// The first frame on a connection's way may have arrived.
    Arrival { connection: ConnectionId, from_dialler: bool },
    /// It is looked whether two machines still hear of each other.
    KeepAlive(i32, i32),
    /// A message between controllers.
    Raft { to: i32, from: i32, message: RaftMessage },
    /// Time has come for something in a process.
    Timer { node: i32, life: u64, what: Timer },
    /// Time has come for a client.
    Client { client: i32, what: ClientTimer },
    /// Something breaks or is mended.
    Nemesis(NemesisEvent),
}

/// What one end of a connection hears.
#[derive(Debug)]
pub(super) enum EndEvent {
    Connected,
    /// Whether the target itself said no.
    NotConnected {
        refused: bool,
    },
    Frame(Frame),
    Closed,
}

/// What a process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The disk has the controller's log.
    RaftSynced,
    Controller,
    ProbeGivenUp(ProbeId),
    /// What a broker's parts have put in line is looked at.
    Drain,
    Housekeeping,
    Heartbeat,
    Register,
    Publish,
    /// The disk has a group commit.
    Flushed,
    /// The cleaner looks for something to do, or goes on.
    Clean,
    AskAgain(u64),
    FollowMetadata,
    DialLeader(BrokerId),
    Retry(BrokerId),
    AskGivenUp(u64),
    /// The group coordinator hears of metadata that was published.
    TellGroups,
    /// Logs that groups are loaded from are read.
    LoadGroups,
    /// The group coordinator has something due.
    Groups,
}

impl Timer {
    /// Whether it is the controller's, not the broker's.
    pub fn is_controllers(self) -> bool {
        matches!(self, Timer::RaftSynced | Timer::Controller | Timer::ProbeGivenUp(_))
    }
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientTimer {
    /// It goes on with its work.
    Work,
    /// A request may have been waited for long enough.
    GivenUp(ConnectionId, u64),
}

/// What goes over connections.
#[derive(Debug)]
pub(super) enum Frame {
    ToLeader(pb::FollowerFrame),
    ToFollower(pb::LeaderFrame),
    /// A stream was accepted.
    Accepted,
    Heartbeat(Heartbeat),
    HeartbeatReply(HeartbeatReply),
    Watch {
        from_version: u64,
    },
    Snapshot(MetadataImage),
    Entry(Arc<MetadataEntry>),
    Ask(Box<Request>),
    PeerReport {
        unreachable: BrokerId,
    },
    Answer(Result<Reply, NotDecided>),
    Request {
        correlation: u64,
        request: ClientRequest,
    },
    Response {
        correlation: u64,
        response: ClientResponse,
    },
    /// The end was closed.
    Fin,
}

/// What clients ask of brokers.
#[derive(Debug, Clone)]
pub(super) enum ClientRequest {
    Metadata,
    Produce {
        at: TopicIdPartition,
        acks: raftsman_broker::replica::Acks,
        batch: Bytes,
    },
    Fetch {
        at: TopicIdPartition,
        offset: Offset,
        leader_epoch: Option<LeaderEpoch>,
    },
    InitProducerId,
    /// Deletes what is below an offset, or below the high watermark for -1.
    DeleteRecords {
        at: TopicIdPartition,
        offset: Offset,
    },
    /// Where a partition begins.
    LogStart {
        at: TopicIdPartition,
    },
    /// Which broker coordinates a group.
    FindCoordinator(Str),
    /// For the group's coordinator.
    Group(Box<raftsman_coordinator::Request>),
    /// Forwarded to the active controller.
    Administer(Box<Request>),
}

/// What brokers answer.
#[derive(Debug, Clone)]
pub(super) enum ClientResponse {
    Metadata(Box<ClusterView>),
    Produced(Result<(Offset, Offset), ErrorCode>),
    Fetched(Result<FetchedData, ErrorCode>),
    ProducerId(Result<i64, ErrorCode>),
    /// The low watermark.
    RecordsDeleted(Result<Offset, ErrorCode>),
    LogStart(Result<Offset, ErrorCode>),
    Coordinator(Option<i32>),
    Group(Box<raftsman_coordinator::Reply>),
    Administered(Result<Reply, ErrorCode>),
}

/// What a fetch brought.
#[derive(Debug, Clone)]
pub(super) struct FetchedData {
    pub chunks: Vec<Bytes>,
}

/// A partition's index, its leader, and the leader's epoch.
pub(super) type PartitionView = (i32, Option<BrokerId>, LeaderEpoch);

/// The topics as a broker shows them to clients.
#[derive(Debug, Clone, Default)]
pub(super) struct ClusterView {
    pub brokers: Vec<i32>,
    /// Name, id and partitions.
    pub topics: Vec<(Arc<str>, TopicId, Vec<PartitionView>)>,
}
