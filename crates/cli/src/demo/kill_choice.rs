use std::collections::BTreeMap;
use std::fmt;

use super::topic_state::PartitionState;

/// Which node is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillKind {
    /// The one that leads most partitions.
    MostLeading,
    /// The one that leads least, and so follows most.
    Follower,
    /// The active controller.
    ActiveController,
}

impl KillKind {
    /// The kind of the `index`th kill, from 0: one kind after the other, over and over.
    pub fn in_turn(index: usize) -> KillKind {
        [KillKind::MostLeading, KillKind::Follower, KillKind::ActiveController][index % 3]
    }
}

impl fmt::Display for KillKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            KillKind::MostLeading => "leads most partitions",
            KillKind::Follower => "a follower",
            KillKind::ActiveController => "the active controller",
        })
    }
}

/// Chooses the node to kill. Among equals it is one killed less often, and then not the active controller (whose turn
/// comes), and then the lowest id; `killed` is every earlier victim.
pub fn choose(
    kind: KillKind,
    nodes: &[i32],
    partitions: &[PartitionState],
    controller: i32,
    killed: &[i32],
) -> Option<i32> {
    let led = leading(nodes, partitions);
    let rank = |node: &i32| {
        let times_killed = killed.iter().filter(|k| *k == node).count();
        (times_killed, *node == controller, *node)
    };
    let nodes = nodes.iter().copied();
    match kind {
        KillKind::MostLeading => nodes.min_by_key(|node| (std::cmp::Reverse(led[node]), rank(node))),
        KillKind::Follower => nodes.min_by_key(|node| (led[node], rank(node))),
        KillKind::ActiveController => nodes.into_iter().find(|node| *node == controller),
    }
}

/// How many partitions each node leads.
pub fn leading(nodes: &[i32], partitions: &[PartitionState]) -> BTreeMap<i32, usize> {
    let count = |node: i32| partitions.iter().filter(|partition| partition.leader == Some(node)).count();
    nodes.iter().map(|node| (*node, count(*node))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led_by(leaders: &[i32]) -> Vec<PartitionState> {
        let partition = |(leader, index): (&i32, i32)| PartitionState {
            index,
            leader: Some(*leader),
            leader_epoch: 0,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2, 3],
        };
        leaders.iter().zip(0..).map(partition).collect()
    }

    #[test]
    fn kinds_take_turns() {
        use KillKind::{ActiveController, Follower, MostLeading};
        let first: Vec<KillKind> = (0..4).map(KillKind::in_turn).collect();
        assert_eq!(first, [MostLeading, Follower, ActiveController, MostLeading]);
    }

    #[test]
    fn the_most_and_the_least_leading() {
        let partitions = led_by(&[2, 2, 2, 1, 1, 3]);
        let chosen = |kind| choose(kind, &[1, 2, 3], &partitions, 1, &[]);
        assert_eq!(chosen(KillKind::MostLeading), Some(2));
        assert_eq!(chosen(KillKind::Follower), Some(3));
        assert_eq!(chosen(KillKind::ActiveController), Some(1));
    }

    #[test]
    fn equals_take_turns_and_the_controller_waits_for_its_own() {
        let partitions = led_by(&[1, 2, 3, 1, 2, 3]);
        let chosen = |killed: &[i32]| choose(KillKind::MostLeading, &[1, 2, 3], &partitions, 1, killed);
        assert_eq!(chosen(&[]), Some(2));
        assert_eq!(chosen(&[2]), Some(3));
        assert_eq!(chosen(&[2, 3]), Some(1));
        assert_eq!(chosen(&[2, 3, 1]), Some(2));
    }

    #[test]
    fn a_controller_that_is_no_node_of_ours_is_not_killed() {
        assert_eq!(choose(KillKind::ActiveController, &[1, 2], &led_by(&[1]), 7, &[]), None);
    }
}
