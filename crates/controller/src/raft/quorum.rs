use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, RaftError};
use openraft::{Config, ServerState, SnapshotPolicy};
use raftsman_metadata::{EntryOutcome, MetadataEntry};
use raftsman_rpc::metadata::Batch;
use raftsman_types::BrokerId;
use tokio::sync::{Notify, watch};

use super::directory::Directory;
use super::feed::MetadataFeed;
use super::identity::Identity;
use super::log_store::LogStore;
use super::network::NetworkFactory;
use super::peers::Peers;
use super::storage::Storage;
use super::types::{Applied, EncodedEntry, Metrics, QuorumNode, Raft, RaftId};
use crate::config::{ControllerConfig, RaftTimings};

/// How long a proposal may take before its outcome counts as unknown.
const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the store is looked at.
const STORE_LOOKS: Duration = Duration::from_millis(100);

/// This controller's part in the quorum: Raft, and what is needed around it.
pub(crate) struct Quorum {
    pub(super) raft: Raft,
    pub(super) log: LogStore,
    pub(super) identity: Arc<Identity>,
    pub(super) directory: Arc<Directory>,
    pub(super) peers: Peers,
    pub(super) feed: Arc<MetadataFeed>,
    /// A peer has seen the leader dead: look at once.
    pub(super) leader_suspected: Notify,
    /// Why this controller stops for good.
    pub(super) failure: watch::Sender<Option<String>>,
    /// Whether this node's store has not answered for too long.
    stalled: watch::Sender<bool>,
    /// A leader that no majority has answered for so long may have been replaced without knowing.
    quorum_silence: Duration,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// Committed and applied.
    Applied {
        /// Whether it took effect.
        outcome: EntryOutcome,
        /// The image's version after it.
        version: u64,
    },
    /// Definitely not, and never to be, in the log.
    Refused,
    /// It may or may not be committed.
    Unknown,
}

fn raft_config(timings: &RaftTimings) -> Result<Config, String> {
    let config = Config {
        cluster_name: "raftsman".to_owned(),
        heartbeat_interval: timings.heartbeat_ms,
        election_timeout_min: timings.election_timeout_min_ms,
        election_timeout_max: timings.election_timeout_max_ms,
        // The last part of a snapshot is answered when it is installed and flushed.
        install_snapshot_timeout: 10_000,
        snapshot_max_chunk_size: 256 << 10,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(timings.snapshot_after_entries),
        max_in_snapshot_log_to_keep: timings.entries_kept,
        replication_lag_threshold: timings.snapshot_after_entries,
        ..Config::default()
    };
    config.validate().map_err(|e| format!("Raft's timings do not fit together: {e}"))
}

impl Quorum {
    /// Starts Raft on the runtime of the caller.
    ///
    /// # Errors
    /// The timings contradict each other, or the store cannot be read.
    pub async fn start(config: &ControllerConfig, storage: Storage) -> Result<Arc<Quorum>, String> {
        let raft_config = raft_config(&config.raft)?;
        let identity = Arc::new(storage.identity);
        let directory = Arc::new(Directory::new(config));
        let network = NetworkFactory { identity: identity.clone(), directory: directory.clone() };
        let log = storage.log.clone();
        let raft = Raft::new(identity.raft_id(), Arc::new(raft_config), network, storage.log, storage.state_machine)
            .await
            .map_err(|e| format!("Raft cannot start: {e}"))?;
        Ok(Arc::new(Quorum {
            raft,
            log,
            identity,
            directory,
            peers: Peers::default(),
            feed: storage.feed,
            leader_suspected: Notify::new(),
            failure: watch::Sender::new(None),
            stalled: watch::Sender::new(false),
            // Twice the time for which the others are sure to elect nobody else: one slow disk deposes nobody.
            quorum_silence: Duration::from_millis(2 * config.raft.election_timeout_max_ms),
        }))
    }

    /// Who this controller is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// This controller's `node.id`.
    pub fn node_id(&self) -> BrokerId {
        self.directory.own().node_id
    }

    /// The hosts that controllers and brokers are known to have: as configured, as members, as registered.
    pub fn hosts(&self) -> BTreeSet<String> {
        let mut hosts = self.directory.hosts();
        let members = self.metrics().borrow().membership_config.membership().clone();
        hosts.extend(members.nodes().map(|(_, node)| node.host.clone()));
        let brokers = self.feed.image().brokers;
        hosts.extend(brokers.values().filter_map(|broker| Some(broker.inter_broker()?.host.to_string())));
        hosts
    }

    /// What has been applied.
    pub fn feed(&self) -> &Arc<MetadataFeed> {
        &self.feed
    }

    /// Why this controller stops for good, once it does.
    pub fn watch_failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Notes why this controller stops for good; the first reason counts.
    pub fn fail(&self, reason: String) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::error!("{reason}");
                *failure = Some(reason);
            }
            first
        });
    }

    /// Raft's state as it changes.
    pub(super) fn metrics(&self) -> watch::Receiver<Metrics> {
        self.raft.metrics()
    }

    /// Proposes an entry and waits until it is applied here.
    pub async fn propose(&self, entry: &MetadataEntry) -> Proposal {
        let encoded = EncodedEntry(Batch::from(entry).to_bytes());
        let writing = tokio::time::timeout(PROPOSAL_TIMEOUT, self.raft.client_write(encoded));
        let written = tokio::select! {
            written = writing => written,
            // The others go on without it, and may have had the entry.
            () = self.stalls() => return Proposal::Unknown,
        };
        match written {
            Ok(Ok(written)) => match written.data {
                Applied::Entry { outcome, version } => Proposal::Applied { outcome, version },
                Applied::Nothing => Proposal::Unknown,
            },
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Proposal::Refused,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a metadata entry's outcome is unknown");
                Proposal::Unknown
            }
            Err(_) => Proposal::Unknown,
        }
    }

    /// The quorum's state and its changes.
    pub fn watch_state(self: &Arc<Quorum>) -> watch::Receiver<QuorumState> {
        let sender = watch::Sender::new(self.state());
        let receiver = sender.subscribe();
        let quorum = self.clone();
        tokio::spawn(async move {
            let (mut metrics, mut stalled) = (quorum.metrics(), quorum.watch_stalls());
            loop {
                let changed = tokio::select! {
                    changed = metrics.changed() => changed,
                    changed = stalled.changed() => changed,
                };
                if changed.is_err() || sender.is_closed() {
                    return;
                }
                let state = quorum.state();
                sender.send_if_modified(|before| {
                    let changed = *before != state;
                    *before = state;
                    changed
                });
                let stopped = metrics.borrow().running_state.clone().err();
                match stopped {
                    None => {}
                    Some(Fatal::Stopped) => return,
                    Some(fatal) => quorum.fail(format!("the metadata quorum stopped on this node: {fatal}")),
                }
            }
        });
        receiver
    }

    /// Who leads and who is a member, now.
    pub fn state(&self) -> QuorumState {
        let metrics = self.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        let voters: std::collections::BTreeSet<RaftId> = membership.voter_ids().collect();
        let members = membership
            .nodes()
            .map(|(id, node)| Member {
                node: node.clone(),
                address: self.directory.address_of(node),
                is_voter: voters.contains(id),
                last_log_index: self.known_log_index(*id, &metrics),
            })
            .collect();
        // Raft's own leader stays one until it hears of another. Cut off from the majority it decides nothing, but it would
        // go on answering heartbeats, and with that keep leaders on its side serving that have successors on the other.
        let is_cut_off = metrics.state == ServerState::Leader && self.is_silent(&metrics);
        // Raft itself stands still while its store does, and with it what it says here: it knows of no successor, for one.
        let is_out = is_cut_off || *self.stalled.borrow();
        let leader = metrics.current_leader.filter(|_| !is_out);
        let leader = leader.and_then(|id| membership.get_node(&id).cloned());
        QuorumState {
            leads_in_term: (metrics.state == ServerState::Leader && !is_out).then_some(metrics.current_term),
            leader_address: leader.as_ref().map(|node| self.directory.address_of(node)),
            leader,
            members,
        }
    }

    /// Whether no majority has answered for long. One just elected by a majority has not asked it anything yet.
    fn is_silent(&self, metrics: &Metrics) -> bool {
        metrics.millis_since_quorum_ack.is_some_and(|ms| u128::from(ms) > self.quorum_silence.as_millis())
    }

    /// Watches the store: one that has not answered for as long as it takes the others to elect somebody else is of no
    /// use to anybody, and its controller neither leads nor tells news until it answers again.
    pub async fn watch_store(self: Arc<Quorum>) {
        let mut looks = tokio::time::interval(STORE_LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let waited = self.log.flushes_for();
            let stalled = waited > self.quorum_silence;
            let changed = self.stalled.send_if_modified(|before| std::mem::replace(before, stalled) != stalled);
            match (changed, stalled) {
                (false, _) => {}
                (true, true) => tracing::warn!(
                    "the metadata store's disk has not answered for {waited:?}: this controller steps aside until it does"
                ),
                (true, false) => tracing::info!("the metadata store's disk answers again"),
            }
        }
    }

    /// Whether this node's store has stopped to answer, and its changes.
    pub fn watch_stalls(&self) -> watch::Receiver<bool> {
        self.stalled.subscribe()
    }

    /// Returns when the store has stopped to answer.
    async fn stalls(&self) {
        // The sender lives as long as the quorum.
        let _ = self.watch_stalls().wait_for(|stalled| *stalled).await;
    }

    fn known_log_index(&self, id: RaftId, metrics: &Metrics) -> u64 {
        if id == metrics.id {
            return metrics.last_log_index.unwrap_or(0);
        }
        let matched = metrics.replication.as_ref().and_then(|r| r.get(&id).copied().flatten());
        matched.map_or(0, |log_id| log_id.index)
    }

    /// Makes a snapshot whenever the entries since the last one have so many bytes: Raft itself counts entries alone.
    pub async fn keep_log_short(self: Arc<Quorum>, limit_bytes: u64) {
        let mut versions = self.feed.watch_version();
        while versions.changed().await.is_ok() {
            if self.feed.restart_log_bytes(limit_bytes)
                && let Err(error) = self.raft.trigger().snapshot().await
            {
                tracing::warn!(%error, "cannot make a snapshot of the metadata");
            }
        }
    }

    /// Stops Raft. Everything acknowledged is on the disk already.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not stop in order");
        }
    }
}

/// The quorum as this controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuorumState {
    /// The term in which this controller leads, if it does and a majority answers it.
    pub leads_in_term: Option<u64>,
    /// Who leads, where known.
    pub leader: Option<QuorumNode>,
    /// Where the leader is.
    pub leader_address: Option<String>,
    /// All members.
    pub members: Vec<Member>,
}

/// A member of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Who it is.
    pub node: QuorumNode,
    /// Where it is.
    pub address: String,
    /// Whether it votes.
    pub is_voter: bool,
    /// How far its log is known to go: of others only the leader knows, else 0.
    pub last_log_index: u64,
}
