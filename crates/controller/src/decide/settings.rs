use std::time::Duration;

/// What the controller's own file says about the cluster: used where the image has no dynamic setting.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSettings {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i32,
    /// `min.insync.replicas`, if the file has it: enters the image when this node forms the cluster, and is not looked at afterwards.
    pub min_insync_replicas: Option<i32>,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `auto.leader.rebalance.enable`.
    pub auto_leader_rebalance: bool,
    /// How long after a preferred replica is back in the ISR it takes its leadership back; Kafka looks every
    /// `leader.imbalance.check.interval.seconds`, 5 minutes.
    pub leader_rebalance_delay: Duration,
    /// `delete.topic.enable`.
    pub delete_topic: bool,
}

impl Default for ClusterSettings {
    fn default() -> ClusterSettings {
        ClusterSettings {
            num_partitions: 1,
            default_replication_factor: 1,
            min_insync_replicas: None,
            unclean_leader_election: false,
            auto_leader_rebalance: true,
            leader_rebalance_delay: Duration::from_secs(1),
            delete_topic: true,
        }
    }
}
