use std::fmt;
use std::io::Cursor;

use bytes::Bytes;
use raftsman_metadata::EntryOutcome;
use raftsman_types::{BrokerId, DirectoryId};

/// A member's id within Raft: never given twice, unlike a `node.id`. See [`super::identity`].
pub(crate) type RaftId = u64;

/// One entry of the metadata log as Raft carries it: an encoded batch. Only the state machine looks inside.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EncodedEntry(pub Bytes);

impl fmt::Debug for EncodedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedEntry({} bytes)", self.0.len())
    }
}

impl fmt::Display for EncodedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the state machine answers to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// One of Raft's own entries: nothing for the metadata.
    Nothing,
    /// A metadata entry, with the version of the image after it.
    Entry {
        /// Whether it took effect.
        outcome: EntryOutcome,
        /// The image's version now.
        version: u64,
    },
}

/// A member of the quorum, voter or learner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QuorumNode {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// The directory its metadata log lies in.
    pub directory_id: DirectoryId,
    /// Where its controller listener is.
    pub host: String,
    /// Where its controller listener is.
    pub port: u16,
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn format_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

openraft::declare_raft_types!(
    /// The types that Raft is instantiated with here.
    pub(crate) TypeConfig:
        D = EncodedEntry,
        R = Applied,
        NodeId = RaftId,
        Node = QuorumNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type LogId = openraft::LogId<RaftId>;
pub(crate) type Vote = openraft::Vote<RaftId>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type Membership = openraft::Membership<RaftId, QuorumNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<RaftId, QuorumNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<RaftId, QuorumNode>;
pub(crate) type StorageError = openraft::StorageError<RaftId>;
pub(crate) type StorageIOError = openraft::StorageIOError<RaftId>;
pub(crate) type Metrics = openraft::RaftMetrics<RaftId, QuorumNode>;
