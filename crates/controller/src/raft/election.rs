//! Replacing a dead leader within tens of milliseconds.
//!
//! Raft's own timers need most of a second: votes are refused while the leader's lease runs, and a quiet follower waits lease and
//! timeout. So every member keeps a stream open to the leader. When it breaks and a redial fails, the leader is dead:
//! the survivors tell each other how far their logs go, all call an election once (a candidate's own vote lifts its lease
//! check), and then only the one with the best log repeats it until there is a leader. If all repeated, one with a shorter
//! log and a higher id would outbid the good one again and again. Suspicion alone elects nobody: it would depose a leader that lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::ServerState;
use raftsman_rpc::raft as pb;
use tokio::time::{Instant, timeout};

use super::convert::log_id_from_pb;
use super::peers::is_dead;
use super::quorum::Quorum;
use super::types::{LogId, Metrics, QuorumNode, RaftId};

/// How long survivors have to say how far their logs go.
const POSITION_TIMEOUT: Duration = Duration::from_millis(40);
/// How soon the best survivor calls its election again; then twice as long each time, lest a call outruns the two
/// flushes that its own predecessor's votes take on a slow disk.
const REPEAT: Duration = Duration::from_millis(12);
/// How long the other survivors wait for the best one before they look again.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long to wait before a live leader's broken stream is opened again.
const REOPEN: Duration = Duration::from_millis(20);
/// How long a stream may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_millis(250);

impl Quorum {
    /// Watches the leader, whoever it is, until Raft stops.
    pub async fn watch_leaders(self: Arc<Quorum>) {
        let mut metrics = self.metrics();
        let mut stood_on = None;
        loop {
            let leader = self.other_leader(&metrics.borrow_and_update());
            let alive = match leader {
                None => metrics.changed().await.is_ok(),
                Some((id, node)) => self.follow(id, &node, &mut stood_on).await,
            };
            if !alive {
                return;
            }
        }
    }

    fn other_leader(&self, metrics: &Metrics) -> Option<(RaftId, QuorumNode)> {
        let id = metrics.current_leader.filter(|id| *id != metrics.id)?;
        Some((id, metrics.membership_config.membership().get_node(&id)?.clone()))
    }

    /// Stands on a leader's stream until another one leads, or this one is dead and replaced, or the stream has to be opened
    /// again. False when Raft has stopped.
    async fn follow(&self, leader: RaftId, node: &QuorumNode, stood_on: &mut Option<RaftId>) -> bool {
        let mut metrics = self.metrics();
        let somebody_else = tokio::select! {
            somebody_else = self.stand(leader, node, stood_on) => somebody_else,
            () = self.leader_suspected.notified() => false,
            changed = metrics.wait_for(|m| m.current_leader != Some(leader)) => return changed.is_ok(),
        };
        let (host, port) = self.directory.host_and_port(node);
        // A leader that lost its disk is answered for by the new member in its place.
        let is_gone = somebody_else && *stood_on == Some(leader);
        if is_gone || is_dead(host, port).await {
            tracing::info!(leader = %node.node_id, "the active controller is dead");
            self.replace(leader).await;
        } else {
            tokio::time::sleep(REOPEN).await;
        }
        true
    }

    /// Returns when the leader's stream has ended or could not be opened; true if somebody else answers in its place.
    async fn stand(&self, leader: RaftId, node: &QuorumNode, stood_on: &mut Option<RaftId>) -> bool {
        let Ok(mut client) = self.peers.client(&self.directory.address_of(node)) else { return false };
        let request = pb::StandRequest { envelope: Some(self.envelope(leader)) };
        match timeout(OPEN_TIMEOUT, client.stand(request)).await {
            Ok(Ok(stream)) => {
                *stood_on = Some(leader);
                let mut stream = stream.into_inner();
                while let Ok(Some(_)) = stream.message().await {}
                false
            }
            Ok(Err(status)) => status.code() == tonic::Code::FailedPrecondition,
            Err(_) => false,
        }
    }

    pub(super) fn envelope(&self, to: RaftId) -> pb::Envelope {
        let cluster_id = self.identity.binding().map(|binding| binding.cluster_id.to_string()).unwrap_or_default();
        pb::Envelope { cluster_id, from: self.identity.raft_id(), to }
    }

    async fn replace(&self, dead: RaftId) {
        let metrics = self.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        let voters: BTreeSet<RaftId> = membership.voter_ids().collect();
        let replaced = |m: &Metrics| m.current_leader.is_some_and(|id| id != dead);
        if !voters.contains(&metrics.id) {
            self.wait_until(replaced, PATIENCE).await;
            return;
        }
        let survivors = self.positions(dead, &metrics).await;
        let alive: BTreeSet<RaftId> = survivors.iter().map(|(id, _)| *id).chain([metrics.id]).collect();
        let majority_lives =
            membership.get_joint_config().iter().all(|set| set.intersection(&alive).count() > set.len() / 2);
        if !majority_lives || self.metrics().borrow().current_leader != Some(dead) {
            self.wait_until(replaced, PATIENCE).await;
            return;
        }
        let own = (self.last_log_id(), metrics.id);
        let is_best =
            survivors.iter().all(|(id, last)| (own.0, std::cmp::Reverse(own.1)) > (*last, std::cmp::Reverse(*id)));
        self.elect().await;
        let deadline = Instant::now() + PATIENCE;
        let mut pause = REPEAT;
        while is_best && !self.wait_until(replaced, pause).await && Instant::now() < deadline {
            self.elect().await;
            pause *= 2;
        }
        self.wait_until(replaced, deadline.saturating_duration_since(Instant::now())).await;
    }

    /// How far the logs of the other voters go; of those that answer in time.
    async fn positions(&self, dead: RaftId, metrics: &Metrics) -> Vec<(RaftId, Option<LogId>)> {
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<RaftId> = membership.voter_ids().filter(|id| *id != dead && *id != metrics.id).collect();
        let asked: FuturesUnordered<_> = voters
            .into_iter()
            .filter_map(|id| Some((id, self.directory.address_of(membership.get_node(&id)?))))
            .map(|(id, address)| async move {
                let mut client = self.peers.client(&address).ok()?;
                let request = pb::LogPositionRequest { envelope: Some(self.envelope(id)), dead_leader: dead };
                let reply = timeout(POSITION_TIMEOUT, client.log_position(request)).await.ok()?.ok()?;
                Some((id, reply.into_inner().last_log_id.as_ref().map(log_id_from_pb)))
            })
            .collect();
        asked.filter_map(std::future::ready).collect().await
    }

    /// Calls for votes now.
    pub(super) async fn elect(&self) {
        if let Err(error) = self.raft.trigger().elect().await {
            tracing::warn!(%error, "cannot call an election");
        }
    }

    /// Whether the condition came true in time.
    async fn wait_until(&self, condition: impl Fn(&Metrics) -> bool, limit: Duration) -> bool {
        let mut metrics = self.metrics();
        let came_true = timeout(limit, metrics.wait_for(|m| condition(m))).await;
        matches!(came_true, Ok(Ok(_)))
    }

    /// Lets a leader that was deposed without a successor stand again at once, instead of a whole timeout later.
    pub async fn stand_again_when_deposed(self: Arc<Quorum>) {
        let mut metrics = self.metrics();
        let mut led = false;
        while metrics.changed().await.is_ok() {
            let (state, leader) = {
                let metrics = metrics.borrow_and_update();
                (metrics.state, metrics.current_leader)
            };
            if led && matches!(state, ServerState::Follower | ServerState::Candidate) && leader.is_none() {
                self.elect().await;
            }
            led = state == ServerState::Leader;
        }
    }
}
