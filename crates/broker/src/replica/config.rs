use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::StaticSettings;
use raftsman_types::BrokerId;

use crate::config::CleanerConfig;

/// What a broker's replicas go by.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// This broker's `node.id`.
    pub broker_id: BrokerId,
    /// How far the flushed offset of an in-sync follower may lag (`replica.lag.time.max.ms`).
    pub replica_lag_time_max: Duration,
    /// How long a leader serves without having heard of the controller (`broker.session.timeout.ms`).
    pub session_timeout: Duration,
    /// How long one step of a flush may take before the disk counts as stalled: two sessions, for a disk that does not
    /// answer is as good as a broker that does not, but busy disks hesitate more often.
    pub disk_patience: Duration,
    /// The node's file, key by key: its `log.*` settings hold for topics that have none of their own.
    pub file: Arc<StaticSettings>,
    /// Log directories that are configured and could not be opened: replicas that may be in them are not made anew elsewhere.
    pub unusable_directories: Vec<PathBuf>,
    /// Bytes of each log directory's volume that clients may not fill (`log.dirs.reserved.bytes`, ours); never more
    /// than a twentieth of the volume.
    pub reserved_bytes: u64,
    /// How often high watermarks and recovery points are written down (`replica.high.watermark.checkpoint.interval.ms`).
    pub checkpoint_interval: Duration,
    /// How often old segments are looked for (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    /// How compacted topics are cleaned.
    pub cleaner: CleanerConfig,
    /// How long an idle producer's sequence numbers are remembered, in milliseconds (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
    /// Bytes of records a leader may push to this follower before it has taken them in, for each leader.
    pub credit_bytes: u32,
    /// The most bytes of records in one replication frame; 64 to 256 KiB move best.
    pub frame_bytes: usize,
    /// The largest batch a leader may send: no client can have produced a larger one (`socket.request.max.bytes`).
    pub batch_bytes_max: usize,
    /// The longest wait before a broken stream to a leader is dialled again.
    pub reconnect_backoff_max: Duration,
    /// How many threads open the replicas of a log directory (`num.recovery.threads.per.data.dir`).
    pub recovery_threads: usize,
    /// Bytes of recent batches kept in memory for reads at the tail, over all partitions.
    pub tail_cache_bytes: usize,
    /// Bytes of batches that may wait for a flush to be written, over all partitions.
    pub deferred_bytes: usize,
    /// The smallest append that may wait so.
    pub defer_from_bytes: usize,
}

impl ReplicaConfig {
    /// Kafka's defaults, and ours where Kafka has none, for a broker.
    pub fn new(broker_id: BrokerId) -> ReplicaConfig {
        ReplicaConfig {
            broker_id,
            replica_lag_time_max: Duration::from_secs(30),
            session_timeout: Duration::from_secs(1),
            disk_patience: Duration::from_secs(2),
            file: Arc::default(),
            unusable_directories: Vec::new(),
            reserved_bytes: 256 << 20,
            checkpoint_interval: Duration::from_secs(5),
            retention_check_interval: Duration::from_secs(300),
            cleaner: CleanerConfig::default(),
            producer_id_expiration_ms: 86_400_000,
            credit_bytes: 4 << 20,
            frame_bytes: 128 << 10,
            batch_bytes_max: 104_857_600,
            reconnect_backoff_max: Duration::from_millis(50),
            recovery_threads: 2,
            tail_cache_bytes: 64 << 20,
            deferred_bytes: 64 << 20,
            defer_from_bytes: 16 << 10,
        }
    }
}
