//! Letting controllers in: what the leader does for a member that joins, and which learners it makes voters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::{ChangeMembers, ServerState};
use tokio::time::{sleep, timeout};

use super::quorum::Quorum;
use super::types::{Membership, Metrics, QuorumNode, RaftId, format_address};

/// How long one change of the membership may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A learner this close to the leader's log is fit to vote.
const CLOSE_ENTRIES: u64 = 64;
/// More members than anybody runs: a joiner in a loop must not fill the membership.
const MAX_MEMBERS: usize = 64;

/// What a joiner is answered.
#[derive(Debug)]
pub(super) enum Joining {
    /// It is in the membership.
    Joined,
    /// Somebody else leads.
    NotLeader(Option<(RaftId, QuorumNode)>),
    /// It may not join.
    Refused(String),
}

impl Quorum {
    /// Takes a member in as a learner, or notes its new address.
    pub(super) async fn let_in(&self, raft_id: RaftId, node: QuorumNode) -> Joining {
        let metrics = self.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        if metrics.state != ServerState::Leader {
            let leader = metrics.current_leader.and_then(|id| Some((id, membership.get_node(&id)?.clone())));
            return Joining::NotLeader(leader);
        }
        let change = match membership.get_node(&raft_id) {
            Some(known) if *known == node => return Joining::Joined,
            Some(known) if (known.node_id, known.directory_id) != (node.node_id, node.directory_id) => {
                return Joining::Refused(format!("member {raft_id} is another node's"));
            }
            Some(_) => ChangeMembers::SetNodes(BTreeMap::from([(raft_id, node)])),
            None if membership.nodes().count() >= MAX_MEMBERS => {
                return Joining::Refused(format!("the quorum has {MAX_MEMBERS} members already"));
            }
            None => {
                if let Some(taken) = self.lives_elsewhere(membership, &node).await {
                    return Joining::Refused(taken);
                }
                let learners: BTreeSet<RaftId> = membership.learner_ids().collect();
                let namesakes = membership.nodes().filter(|(id, n)| n.node_id == node.node_id && learners.contains(id));
                let gone: BTreeSet<RaftId> = namesakes.map(|(id, _)| *id).collect();
                if !gone.is_empty() && !self.change(ChangeMembers::RemoveNodes(gone)).await {
                    return Joining::NotLeader(None);
                }
                ChangeMembers::AddNodes(BTreeMap::from([(raft_id, node)]))
            }
        };
        if self.change(change).await { Joining::Joined } else { Joining::NotLeader(None) }
    }

    /// Whether another process runs under the `node.id`: then the joiner is a mistake, and not a node that lost its disk.
    async fn lives_elsewhere(&self, membership: &Membership, joiner: &QuorumNode) -> Option<String> {
        let own = self.directory.own();
        if joiner.node_id == own.node_id {
            return Some(format!(
                "node.id {} is the active controller's own, at {}: give each node a node.id of its own, or stop that one",
                own.node_id,
                self.directory.address_of(own)
            ));
        }
        let mut places: Vec<(RaftId, String)> = Vec::new();
        for (id, node) in membership.nodes().filter(|(_, node)| node.node_id == joiner.node_id) {
            places.extend(self.directory.places(node).iter().map(|(host, port)| (*id, format_address(host, *port))));
        }
        for (id, address) in places {
            if self.describe([address.clone()]).await.iter().any(|described| described.raft_id == id) {
                return Some(format!(
                    "node.id {} is in use by the controller at {address}: give each node a node.id of its own, or stop that one",
                    joiner.node_id
                ));
            }
        }
        None
    }

    /// Makes one change and waits for it. A failure is logged: whoever wants the change asks again.
    async fn change(&self, change: ChangeMembers<RaftId, QuorumNode>) -> bool {
        let what = format!("{change:?}");
        match timeout(CHANGE_TIMEOUT, self.raft.change_membership(change, false)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::warn!(%what, %error, "the quorum's membership was not changed");
                false
            }
            Err(_) => {
                tracing::warn!(%what, "the quorum's membership takes long to change");
                false
            }
        }
    }

    /// While this controller leads: makes learners voters where they should be, replaces voters that came back under a new id, and
    /// finishes a change that an earlier leader left half done.
    pub async fn keep_membership(self: Arc<Quorum>) {
        let mut metrics = self.metrics();
        loop {
            if metrics.wait_for(|m| m.state == ServerState::Leader).await.is_err() {
                return;
            }
            let now = metrics.borrow().clone();
            if let Some(change) = self.due_change(&now) {
                self.change(change).await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn due_change(&self, metrics: &Metrics) -> Option<ChangeMembers<RaftId, QuorumNode>> {
        let membership = metrics.membership_config.membership();
        let configurations = membership.get_joint_config();
        let voters = configurations.last()?.clone();
        if configurations.len() > 1 {
            return Some(ChangeMembers::ReplaceAllVoters(voters));
        }
        let node_of = |id: &RaftId| membership.get_node(id).map(|node| node.node_id);
        let learners: BTreeSet<RaftId> = membership.learner_ids().collect();
        for learner in &learners {
            let node_id = node_of(learner)?;
            let namesakes: BTreeSet<RaftId> = voters.iter().filter(|v| node_of(v) == Some(node_id)).copied().collect();
            let should_vote = self.directory.is_listed(node_id) || !namesakes.is_empty();
            if should_vote && self.is_close(*learner, metrics) {
                let mut next: BTreeSet<RaftId> = voters.difference(&namesakes).copied().collect();
                next.insert(*learner);
                return Some(ChangeMembers::ReplaceAllVoters(next));
            }
        }
        None
    }

    fn is_close(&self, id: RaftId, metrics: &Metrics) -> bool {
        let matched = metrics.replication.as_ref().and_then(|r| r.get(&id).copied().flatten());
        let last = metrics.last_log_index.unwrap_or(0);
        matched.is_some_and(|log_id| log_id.index + CLOSE_ENTRIES >= last)
    }
}
