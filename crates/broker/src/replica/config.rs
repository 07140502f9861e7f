use std::time::Duration;

use raftsman_log::LogConfig;
use raftsman_types::BrokerId;

/// What a broker's replicas go by: static settings, the defaults below every topic's own ones.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// This broker's `node.id`.
    pub broker_id: BrokerId,
    /// How far the flushed offset of an in-sync follower may lag (`replica.lag.time.max.ms`).
    pub replica_lag_time_max: Duration,
    /// How long a leader serves without having heard of the controller (`broker.session.timeout.ms`).
    pub session_timeout: Duration,
    /// `min.insync.replicas` where neither the topic nor the cluster's metadata sets it.
    pub min_insync_replicas: usize,
    /// The broker's `log.*` settings, which topics override one by one.
    pub log: LogConfig,
    /// How often high watermarks and recovery points are written down (`replica.high.watermark.checkpoint.interval.ms`).
    pub checkpoint_interval: Duration,
    /// How often old segments are looked for (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    /// Bytes of records a leader may push to this follower before it has taken them in, for each leader.
    pub credit_bytes: u32,
    /// The most bytes of records in one replication frame; at most 256 KiB are useful.
    pub frame_bytes: usize,
    /// The longest wait before a broken stream to a leader is dialled again.
    pub reconnect_backoff_max: Duration,
}

impl ReplicaConfig {
    /// Kafka's defaults, and ours where Kafka has none, for a broker.
    pub fn new(broker_id: BrokerId) -> ReplicaConfig {
        ReplicaConfig {
            broker_id,
            replica_lag_time_max: Duration::from_secs(30),
            session_timeout: Duration::from_secs(1),
            min_insync_replicas: 1,
            log: LogConfig::default(),
            checkpoint_interval: Duration::from_secs(5),
            retention_check_interval: Duration::from_secs(300),
            credit_bytes: 4 << 20,
            frame_bytes: 128 << 10,
            reconnect_backoff_max: Duration::from_millis(50),
        }
    }
}
