use std::path::PathBuf;
use std::time::Duration;

use raftsman_types::{BrokerId, DirectoryId};

use crate::decide::ClusterSettings;

/// What a controller is started with.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `controller.quorum.voters`; empty where only bootstrap servers are given.
    pub voters: Vec<Voter>,
    /// `controller.quorum.bootstrap.servers`, as host and port: used where `voters` is empty.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// The host at which other controllers reach this one's listener. An entry of its own in `voters` counts more.
    pub advertised_host: String,
    /// The port at which other controllers reach this one's listener.
    pub advertised_port: u16,
    /// The directory of the metadata log, `<metadata.log.dir>/__cluster_metadata-0`. It is this controller's alone.
    pub metadata_dir: PathBuf,
    /// The `cluster.id` of `meta.properties`, where it has one.
    pub cluster_id: Option<String>,
    /// The `directory.id` of `meta.properties`.
    pub directory_id: DirectoryId,
    /// What shows that this node was in a cluster before this start, in words, if anything does: with an empty metadata log
    /// it may only join then, and never help to form a cluster.
    pub earlier_life: Option<String>,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: u64,
    /// What the file says about the cluster.
    pub defaults: ClusterSettings,
    /// Raft's timings and limits.
    pub raft: RaftTimings,
    /// Whom the listener lets in.
    pub door: DoorConfig,
}

/// What the controllers' listener is limited to (`docs/decisions/2026-11-30-controllers-door.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorConfig {
    /// Connections at a time. A quarter of them is kept for the addresses of controllers and brokers.
    pub max_connections: usize,
    /// How long a new connection may take to begin HTTP/2, in all.
    pub handshake_timeout: Duration,
}

impl DoorConfig {
    /// [`DoorConfig::max_connections`] where files may be opened without end: every broker keeps some, every controller a few.
    pub const MAX_CONNECTIONS: usize = 4096;
}

impl Default for DoorConfig {
    fn default() -> DoorConfig {
        DoorConfig { max_connections: DoorConfig::MAX_CONNECTIONS, handshake_timeout: Duration::from_secs(5) }
    }
}

/// A controller of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Raft's timings and limits. The defaults are measured; tests make snapshots more often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftTimings {
    /// How often the leader says that it lives, in milliseconds. Also the deadline of one AppendEntries.
    pub heartbeat_ms: u64,
    /// How long a follower waits for its leader at least, in milliseconds: the fallback where no death was seen.
    pub election_timeout_min_ms: u64,
    /// How long a follower waits for its leader at most, in milliseconds; also the leader's lease.
    pub election_timeout_max_ms: u64,
    /// A snapshot is made after so many entries.
    pub snapshot_after_entries: u64,
    /// A snapshot is made after entries of so many bytes, too.
    pub snapshot_after_bytes: u64,
    /// How many entries before a snapshot are kept, for members that are a little behind.
    pub entries_kept: u64,
}

impl Default for RaftTimings {
    fn default() -> RaftTimings {
        RaftTimings {
            heartbeat_ms: 100,
            election_timeout_min_ms: 250,
            election_timeout_max_ms: 400,
            snapshot_after_entries: 1000,
            snapshot_after_bytes: 8 << 20,
            entries_kept: 200,
        }
    }
}
