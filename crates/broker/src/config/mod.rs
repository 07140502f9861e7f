//! A broker's settings as typed values. The `server` crate fills them from `server.properties`.

mod broker_key;
mod cleaner;
mod group;
mod listener;
mod network;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::Durability;
use raftsman_types::BrokerId;

pub use broker_key::BrokerKey;
pub use cleaner::CleanerConfig;
pub use group::GroupConfig;
pub use listener::{ListenerConfig, SecurityProtocol};
pub use network::{BROKERS_ROOM, MAX_CONNECTIONS, NetworkConfig};

/// Everything a broker is told at its start. Each field names its key in `server.properties`; defaults are Kafka's
/// unless a field says otherwise.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster id in `meta.properties`; `None` before the first registration told it.
    pub cluster_id: Option<Arc<str>>,
    /// `listeners` with `advertised.listeners` and `listener.security.protocol.map`.
    pub listeners: Vec<ListenerConfig>,
    /// `inter.broker.listener.name`: which of the listeners other brokers use.
    pub inter_broker_listener: Arc<str>,
    /// Where controllers listen: `controller.quorum.voters` or `controller.quorum.bootstrap.servers`, host and port.
    pub controller_endpoints: Vec<(String, u16)>,
    /// `log.dirs`. The server has formatted them; the broker locks them.
    pub log_dirs: Vec<PathBuf>,
    /// `broker.rack`.
    pub rack: Option<Arc<str>>,
    /// Sockets: threads, sizes and limits.
    pub network: NetworkConfig,
    /// Consumer groups and `__consumer_offsets`.
    pub groups: GroupConfig,
    /// `broker.session.timeout.ms`; 1000 here (Kafka: 9000).
    pub session_timeout_ms: u64,
    /// `broker.heartbeat.interval.ms`; 200 here (Kafka: 2000).
    pub heartbeat_interval_ms: u64,
    /// `log.cleaner.*`.
    pub cleaner: CleanerConfig,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max_ms: u64,
    /// `log.dirs.reserved.bytes` (ours): what clients may not fill of each log directory's volume; never more than a
    /// twentieth of it.
    pub reserved_bytes: u64,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `num.partitions`; the controller's own value decides, this one is what DescribeConfigs shows.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `min.insync.replicas`: enters the metadata with the first registration of a cluster.
    pub min_insync_replicas: i32,
    /// `message.max.bytes`.
    pub message_max_bytes: usize,
    /// `fetch.max.bytes`: the most bytes of records in one Fetch answer, whatever a client asks; but one batch always fits.
    pub fetch_max_bytes: usize,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads: usize,
    /// `log.retention.check.interval.ms`.
    pub log_retention_check_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `log.durability` (ours): what acks=all means on each in-sync replica.
    pub durability: Durability,
    /// `controlled.shutdown.enable`.
    pub controlled_shutdown: bool,
    /// How long a controlled shutdown may take before the broker stops all the same, in milliseconds. Moving leaderships
    /// takes milliseconds; container runtimes kill after ten seconds.
    pub controlled_shutdown_timeout_ms: u64,
    /// `delete.topic.enable`.
    pub delete_topic: bool,
    /// Every key of the file as it was given, for DescribeConfigs and for keys that other modules read themselves.
    pub raw: BTreeMap<String, String>,
    /// Every key of `server.properties` that the server knows, for DescribeConfigs.
    pub known_keys: Vec<BrokerKey>,
}

impl Default for BrokerConfig {
    fn default() -> BrokerConfig {
        BrokerConfig {
            node_id: BrokerId(1),
            cluster_id: None,
            listeners: Vec::new(),
            inter_broker_listener: "PLAINTEXT".into(),
            controller_endpoints: Vec::new(),
            log_dirs: Vec::new(),
            rack: None,
            network: NetworkConfig::default(),
            groups: GroupConfig::default(),
            session_timeout_ms: 1_000,
            heartbeat_interval_ms: 200,
            cleaner: CleanerConfig::default(),
            replica_lag_time_max_ms: 30_000,
            reserved_bytes: 256 << 20,
            auto_create_topics: true,
            num_partitions: 1,
            default_replication_factor: 1,
            min_insync_replicas: 1,
            message_max_bytes: 1_048_588,
            fetch_max_bytes: 55 << 20,
            recovery_threads: 2,
            log_retention_check_interval: Duration::from_secs(300),
            high_watermark_checkpoint_interval: Duration::from_secs(5),
            producer_id_expiration_ms: 86_400_000,
            durability: Durability::Flushed,
            controlled_shutdown: true,
            controlled_shutdown_timeout_ms: 5_000,
            delete_topic: true,
            raw: BTreeMap::new(),
            known_keys: Vec::new(),
        }
    }
}

impl BrokerConfig {
    /// The listener of a name.
    pub fn listener(&self, name: &str) -> Option<&ListenerConfig> {
        self.listeners.iter().find(|l| &*l.name == name)
    }
}
