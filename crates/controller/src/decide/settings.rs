use std::time::Duration;

use raftsman_metadata::StaticSettings;

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
    /// How long after a broker is back (or a replica in sync again) preferred replicas take their leaderships back; Kafka
    /// looks every `leader.imbalance.check.interval.seconds`, 5 minutes. As long as librdkafka's `reconnect.backoff.max.ms`
    /// unless configured: a client that met the broker dead does not dial it before that, and leadership that comes back
    /// sooner makes it wait for nothing.
    pub leader_rebalance_delay: Duration,
    /// `delete.topic.enable`.
    pub delete_topic: bool,
    /// All that the file sets, by Kafka's key: what topics' settings are judged together with.
    pub file: StaticSettings,
}

impl Default for ClusterSettings {
    fn default() -> ClusterSettings {
        ClusterSettings {
            num_partitions: 1,
            default_replication_factor: 1,
            min_insync_replicas: None,
            unclean_leader_election: false,
            auto_leader_rebalance: true,
            leader_rebalance_delay: Duration::from_secs(10),
            delete_topic: true,
            file: StaticSettings::new(),
        }
    }
}
