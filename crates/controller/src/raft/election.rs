//! Replacing a dead leader within tens of milliseconds.
//!
//! Raft's own timers need most of a second: votes are refused while the leader's lease runs, and a quiet follower waits lease and
//! timeout. So every member keeps a stream open to the leader. When it breaks and a redial fails, the leader is dead:
//! the survivors tell each other how far their logs go, all call an election once (a candidate's own vote lifts its lease
//! check), and then only the one with the best log repeats it until there is a leader. If all repeated, one with a shorter
//! log and a higher id would outbid the good one again and again. Suspicion alone elects nobody: it would depose a leader that lives.

use std::cmp::Reverse;
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
/// When survivors leave the rest to Raft's own timers.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How long to wait before a live leader's broken stream is opened again.
const REOPEN: Duration = Duration::from_millis(20);
/// How long a stream may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_millis(250);

/// A survivor's part in replacing the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its log is the best: it stands until it leads.
    Lead,
    /// Another one's log is better.
    Wait,
    /// It has no vote, or too few survivors answer.
    Watch,
}

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
        // A leader that lost its disk is answered for by the new member in its place.
        let is_gone = somebody_else && *stood_on == Some(leader);
        if is_gone || self.is_dead_everywhere(node).await {
            tracing::info!(leader = %node.node_id, "the active controller is dead");
            self.replace(leader).await;
        } else {
            tokio::time::sleep(REOPEN).await;
        }
        true
    }

    async fn is_dead_everywhere(&self, node: &QuorumNode) -> bool {
        for (host, port) in self.directory.places(node) {
            if !is_dead(host, port).await {
                return false;
            }
        }
        true
    }

    /// Returns when the leader's stream has ended or could not be opened; true if somebody else answers in its place.
    async fn stand(&self, leader: RaftId, node: &QuorumNode, stood_on: &mut Option<RaftId>) -> bool {
        let address = self.directory.address_of(node);
        let Ok(mut client) = self.peers.client(&address) else { return false };
        let request = pb::StandRequest { envelope: Some(self.envelope(leader)) };
        match timeout(OPEN_TIMEOUT, client.stand(request)).await {
            Ok(Ok(stream)) => {
                *stood_on = Some(leader);
                let mut stream = stream.into_inner();
                while let Ok(Some(_)) = stream.message().await {}
                false
            }
            Ok(Err(status)) => {
                self.directory.not_at(node, &address);
                status.code() == tonic::Code::FailedPrecondition
            }
            Err(_) => {
                self.directory.not_at(node, &address);
                false
            }
        }
    }

    pub(super) fn envelope(&self, to: RaftId) -> pb::Envelope {
        let cluster_id = self.identity.binding().map(|binding| binding.cluster_id.to_string()).unwrap_or_default();
        pb::Envelope { cluster_id, from: self.identity.raft_id(), to }
    }

    /// Elects in rounds until somebody leads. The first round of each survivor calls for votes whoever is best, to lift its lease.
    async fn replace(&self, dead: RaftId) {
        let give_up = Instant::now() + GIVE_UP;
        let mut position_timeout = POSITION_TIMEOUT;
        let mut repeat = REPEAT;
        let mut is_first = true;
        while Instant::now() < give_up && !self.is_replaced(dead, Duration::ZERO).await {
            match self.own_part(dead, position_timeout).await {
                Part::Watch => {
                    self.is_replaced(dead, POSITION_TIMEOUT).await;
                }
                Part::Wait if is_first => {
                    self.elect().await;
                    is_first = false;
                    self.is_replaced(dead, PATIENCE).await;
                }
                Part::Wait => {
                    self.is_replaced(dead, PATIENCE).await;
                }
                Part::Lead => {
                    is_first = false;
                    self.elect_until_replaced(dead, &mut repeat).await;
                }
            }
            position_timeout = (position_timeout * 2).min(PATIENCE);
        }
    }

    /// What this survivor has to do, after a look at how far the others are.
    async fn own_part(&self, dead: RaftId, position_timeout: Duration) -> Part {
        let metrics = self.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        if membership.voter_ids().all(|id| id != metrics.id) {
            return Part::Watch;
        }
        let survivors = self.positions(dead, &metrics, position_timeout).await;
        let alive: BTreeSet<RaftId> = survivors.iter().map(|(id, _)| *id).chain([metrics.id]).collect();
        let configurations = membership.get_joint_config();
        let majority_lives = configurations.iter().all(|set| set.intersection(&alive).count() > set.len() / 2);
        let own_last = self.last_log_id();
        let own = (own_last, Reverse(metrics.id));
        let is_best = survivors.iter().all(|(id, last)| own > (*last, Reverse(*id)));
        tracing::debug!(
            dead,
            ?own_last,
            ?survivors,
            majority_lives,
            is_best,
            "survivors have told how far their logs go"
        );
        match (majority_lives, is_best) {
            (false, _) => Part::Watch,
            (true, true) => Part::Lead,
            (true, false) => Part::Wait,
        }
    }

    /// Repeats the election at growing intervals: one that is called again before its votes are on the disks of the others
    /// and back undoes itself, and leaves all of them more to write. How long that takes at the moment is seen from the own vote:
    /// another one's follows it, and then once more the own one, as the leader's.
    async fn elect_until_replaced(&self, dead: RaftId, repeat: &mut Duration) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (term, called) = (self.metrics().borrow().current_term, Instant::now());
            self.elect().await;
            let mut metrics = self.metrics();
            let has_voted = timeout(PATIENCE, metrics.wait_for(|m| m.current_term > term)).await.is_ok();
            tracing::debug!(has_voted, in_ms = called.elapsed().as_millis(), "called an election");
            let pause = (*repeat).max(2 * called.elapsed()).min(PATIENCE);
            if self.is_replaced(dead, pause).await || Instant::now() >= deadline {
                return;
            }
            *repeat *= 2;
        }
    }

    /// Whether somebody else leads within the time.
    async fn is_replaced(&self, dead: RaftId, limit: Duration) -> bool {
        let mut metrics = self.metrics();
        let replaced = metrics.wait_for(|m| m.current_leader.is_some_and(|id| id != dead));
        matches!(timeout(limit, replaced).await, Ok(Ok(_)))
    }

    /// How far the logs of the other voters go; of those that answer in time.
    async fn positions(&self, dead: RaftId, metrics: &Metrics, limit: Duration) -> Vec<(RaftId, Option<LogId>)> {
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<RaftId> = membership.voter_ids().filter(|id| *id != dead && *id != metrics.id).collect();
        let asked: FuturesUnordered<_> = voters
            .into_iter()
            .filter_map(|id| Some((id, membership.get_node(&id)?)))
            .map(|(id, node)| async move {
                let position = timeout(limit, self.position(id, node, dead)).await.ok()?;
                Some((id, position?))
            })
            .collect();
        asked.filter_map(std::future::ready).collect().await
    }

    /// How far one voter's log goes. A kept connection may be to a process that has been restarted since: then the second try makes
    /// a new one. Or the voter is at another address.
    async fn position(&self, id: RaftId, node: &QuorumNode, dead: RaftId) -> Option<Option<LogId>> {
        for attempt in 0..2 * self.directory.places(node).len() {
            let address = self.directory.address_of(node);
            let mut client = self.peers.client(&address).ok()?;
            let request = pb::LogPositionRequest { envelope: Some(self.envelope(id)), dead_leader: dead };
            if let Ok(reply) = client.log_position(request).await {
                return Some(reply.into_inner().last_log_id.as_ref().map(log_id_from_pb));
            }
            if attempt % 2 == 1 {
                self.directory.not_at(node, &address);
            }
        }
        None
    }

    /// Calls for votes now.
    pub(super) async fn elect(&self) {
        if let Err(error) = self.raft.trigger().elect().await {
            tracing::warn!(%error, "cannot call an election");
        }
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
