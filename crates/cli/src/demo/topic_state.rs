use std::fmt;

use raftsman_client::Metadata;

use super::kill_choice::leading;

/// What the demo looks at of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Its number.
    pub index: i32,
    /// Who leads it.
    pub leader: Option<i32>,
    /// Since when.
    pub leader_epoch: i32,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
}

impl fmt::Display for PartitionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leader = self.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
        write!(f, "partition {} (leader {leader}, epoch {}, ISR {:?})", self.index, self.leader_epoch, self.isr)
    }
}

/// The partitions of a topic, as one node sees them.
pub fn states_of(metadata: &Metadata, topic: &str) -> Vec<PartitionState> {
    let Some(topic) = metadata.topics.get(topic) else { return Vec::new() };
    let state = |p: &raftsman_client::PartitionMetadata| PartitionState {
        index: p.index,
        leader: p.leader,
        leader_epoch: p.leader_epoch,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
    };
    topic.partitions.iter().map(state).collect()
}

/// Whether the topic is as good as new: every replica in sync, leadership spread, and every node knows it. Answers
/// the partitions, or the first thing that is missing.
pub fn judge_settled(
    views: &[Vec<PartitionState>],
    nodes: &[i32],
    partitions: usize,
) -> Result<Vec<PartitionState>, String> {
    for (view, node) in views.iter().zip(nodes) {
        if view.len() != partitions {
            return Err(format!("node {node} knows {} of {partitions} partitions", view.len()));
        }
        if let Some(short) = view.iter().find(|partition| partition.isr.len() < partition.replicas.len()) {
            return Err(format!(
                "partition {} has replicas {:?} and only {:?} in sync, as node {node} sees it",
                short.index, short.replicas, short.isr
            ));
        }
        if let Some(without) = view.iter().find(|partition| partition.leader.is_none()) {
            return Err(format!("partition {} has no leader, as node {node} sees it", without.index));
        }
    }
    let first = views.first().cloned().unwrap_or_default();
    let leaders = |view: &[PartitionState]| view.iter().map(|p| (p.leader, p.leader_epoch)).collect::<Vec<_>>();
    if views.iter().any(|view| leaders(view) != leaders(&first)) {
        return Err("the nodes do not see the same leaders yet".to_owned());
    }
    let led = leading(nodes, &first);
    let (most, least) = (led.values().max().copied().unwrap_or(0), led.values().min().copied().unwrap_or(0));
    let is_preferred = first.iter().all(|p| p.leader.as_ref() == p.replicas.first());
    if most - least > 1 && !is_preferred {
        return Err(format!("leadership is not spread yet: {led:?} (node: partitions led)"));
    }
    Ok(first)
}

/// The partitions that a node's death holds up: those it leads, and those whose leader waits for it.
pub fn affected_by(node: i32, partitions: &[PartitionState]) -> Vec<i32> {
    let is_affected = |p: &&PartitionState| p.leader == Some(node) || p.isr.contains(&node);
    partitions.iter().filter(is_affected).map(|p| p.index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32, leader: i32, isr: &[i32]) -> PartitionState {
        let replicas = vec![index % 3 + 1, (index + 1) % 3 + 1, (index + 2) % 3 + 1];
        PartitionState { index, leader: Some(leader), leader_epoch: 4, replicas, isr: isr.to_vec() }
    }

    fn settled() -> Vec<PartitionState> {
        (0..3).map(|i| partition(i, i + 1, &[1, 2, 3])).collect()
    }

    fn judged(views: [Vec<PartitionState>; 3]) -> Result<Vec<PartitionState>, String> {
        judge_settled(&views, &[1, 2, 3], 3)
    }

    #[test]
    fn settled_is_full_isr_spread_leaders_and_one_opinion() {
        assert_eq!(judged([settled(), settled(), settled()]), Ok(settled()));

        let mut short = settled();
        short[1].isr = vec![2, 3];
        let mut leaderless = settled();
        leaderless[2].leader = None;
        let mut newer = settled();
        newer[0].leader_epoch = 5;
        for (odd, why) in [
            (short, "partition 1 has replicas [2, 3, 1] and only [2, 3] in sync, as node 3"),
            (leaderless, "partition 2 has no leader"),
            (newer, "not see the same leaders"),
            (Vec::new(), "node 3 knows 0 of 3"),
        ] {
            let error = judged([settled(), settled(), odd]).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn one_node_leading_everything_is_not_settled() {
        let view: Vec<PartitionState> = (0..3).map(|i| partition(i, 1, &[1, 2, 3])).collect();
        let error = judged([view.clone(), view.clone(), view]).unwrap_err();
        assert!(error.contains("not spread"), "{error}");
    }

    #[test]
    fn a_death_is_felt_by_leaders_and_by_those_that_wait_for_a_follower() {
        let mut partitions = settled();
        partitions[2].isr = vec![3, 1];
        assert_eq!(affected_by(2, &partitions), [0, 1]);
        assert_eq!(affected_by(1, &partitions), [0, 1, 2]);
    }
}
