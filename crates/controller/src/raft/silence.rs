//! What a member says while its cluster has no active controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::described::Described;
use super::outlook::ids;
use super::quorum::Quorum;
use super::speaker::Speaker;
use super::types::{QuorumNode, RaftId, format_address};

/// Elections are over by then.
const SAY_AFTER: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Quorum {
    /// Says, once for each reason, which voters are missing while nobody leads; and when this controller becomes a voter.
    pub async fn speak_while_leaderless(self: Arc<Quorum>) {
        let mut speaker = Speaker::new(SAY_AFTER);
        let mut metrics = self.metrics();
        let mut has_compared = false;
        let mut votes = false;
        loop {
            let voters = {
                let membership = metrics.borrow_and_update().membership_config.membership().clone();
                let node = |id| membership.get_node(&id).map(|node| (id, node.clone()));
                membership.voter_ids().filter_map(node).collect::<BTreeMap<RaftId, QuorumNode>>()
            };
            if std::mem::replace(&mut votes, voters.contains_key(&self.identity.raft_id())) != votes {
                let change = if votes { "this controller votes" } else { "this controller votes no longer" };
                tracing::info!(controllers = voters.len(), "{change}");
            }
            if self.state().leader.is_some() {
                speaker.forget();
                if !has_compared && !voters.is_empty() {
                    has_compared = true;
                    self.compare_lists().await;
                }
                // A leader cut off from its majority changes no metrics but the time since it was answered.
                tokio::select! {
                    changed = metrics.changed() => if changed.is_err() { return },
                    () = sleep(LOOK_EVERY) => {}
                }
                continue;
            }
            if !voters.is_empty() {
                let places = voters.values().flat_map(|node| self.directory.places(node));
                let addresses: Vec<String> = places.map(|(host, port)| format_address(host, port)).collect();
                let found = self.describe(addresses).await;
                speaker.hear(sentence(self.identity.raft_id(), &voters, &found));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A list that was changed on some controllers only is no danger to a formed cluster, but hardly meant so.
    async fn compare_lists(&self) {
        let own = self.directory.listed();
        for other in self.describe_seeds().await {
            if !own.is_empty() && !other.listed.is_empty() && !own.keys().eq(&other.listed) {
                tracing::warn!(
                    "controller.quorum.voters differs: this node {} lists {}, node {} at {} lists {}; give all controllers the same list",
                    self.node_id(),
                    ids(own.keys()),
                    other.node.node_id,
                    other.address,
                    ids(&other.listed)
                );
            }
        }
    }
}

/// Who is missing, of the voters of a cluster without a leader.
fn sentence(own: RaftId, voters: &BTreeMap<RaftId, QuorumNode>, found: &[Described]) -> Option<String> {
    let mut missing = Vec::new();
    for (id, node) in voters.iter().filter(|(id, _)| **id != own) {
        if found.iter().any(|described| described.raft_id == *id) {
            continue;
        }
        let has_lost_log = found.iter().any(|described| described.node.node_id == node.node_id);
        let trouble = if has_lost_log { "has lost its metadata log" } else { "does not answer" };
        missing.push(format!("node {} at {} {trouble}", node.node_id, format_address(&node.host, node.port)));
    }
    let present = voters.len() - missing.len();
    if present > voters.len() / 2 {
        // Enough of them are there: they are electing.
        return None;
    }
    Some(format!(
        "there is no active controller: {} of {} controllers that vote are not enough; {}. Start those that are missing with the \
         metadata logs they had; a lost one has to be put back from a backup. Until then no metadata changes and leaders here \
         serve nobody",
        present,
        voters.len(),
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use raftsman_types::{BrokerId, DirectoryId};

    use super::*;

    #[test]
    fn missing_voters_are_told_apart_from_empty_ones() {
        let node = |id: i32| QuorumNode {
            node_id: BrokerId(id),
            directory_id: DirectoryId::ZERO,
            host: format!("host{id}"),
            port: 9093,
        };
        let voters: BTreeMap<RaftId, QuorumNode> = (1..=3).map(|id| (id as RaftId, node(id))).collect();
        let described = |id: i32, raft_id| Described {
            address: String::new(),
            raft_id,
            node: node(id),
            pristine: raft_id > 3,
            lost_log: false,
            cluster_id: None,
            leader: None,
            listed: [].into(),
        };
        let says = |found: &[Described]| sentence(1, &voters, found);
        let text = says(&[described(2, 77)]).unwrap();
        assert!(text.contains("1 of 3") && text.contains("node 2 at host2:9093 has lost its metadata log"), "{text}");
        assert!(text.contains("node 3 at host3:9093 does not answer") && !text.contains('\n'), "{text}");
        assert_eq!(says(&[described(2, 2)]), None, "two of three elect");
    }
}
