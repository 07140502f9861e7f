//! From a node's configuration to what broker and controller are started with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::BrokerConfig;
use raftsman_broker::config::{BrokerKey, CleanerConfig, GroupConfig, ListenerConfig, SecurityProtocol};
use raftsman_controller::decide::ClusterSettings;
use raftsman_controller::{ControllerConfig, RaftTimings, Voter};
use raftsman_metadata::Durability;
use raftsman_types::{BrokerId, DirectoryId};

use crate::config::keys::{KEYS, Kind};
use crate::config::{ConfigError, ServerConfig, Settings};
use crate::directories::Directories;
use crate::network::{Machine, door, network};

/// The folder of the metadata log, under `metadata.log.dir`, as in Kafka.
pub(crate) const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

/// What the broker is started with.
///
/// # Errors
/// A number that its key allows but the broker cannot hold.
pub fn broker_config(config: &ServerConfig, cluster_id: Option<&str>) -> Result<BrokerConfig, ConfigError> {
    let settings = &config.settings;
    let listeners = config.listeners.broker.iter().zip(&config.listeners.advertised);
    Ok(BrokerConfig {
        node_id: BrokerId(config.node_id),
        cluster_id: cluster_id.map(Arc::from),
        listeners: listeners
            .map(|(listener, advertised)| ListenerConfig {
                name: Arc::from(listener.name.as_str()),
                advertised_host: Arc::from(advertised.host.as_str()),
                advertised_port: advertised.port,
                security_protocol: SecurityProtocol::Plaintext,
            })
            .collect(),
        inter_broker_listener: Arc::from(config.listeners.inter_broker.as_str()),
        controller_endpoints: config.controller_endpoints(),
        log_dirs: config.log_dirs.clone(),
        rack: settings.get("broker.rack").map(Arc::from),
        network: network(settings, Machine::look())?,
        groups: groups(config)?,
        session_timeout_ms: settings.number("broker.session.timeout.ms")?,
        heartbeat_interval_ms: settings.number("broker.heartbeat.interval.ms")?,
        cleaner: cleaner(settings)?,
        replica_lag_time_max_ms: settings.number("replica.lag.time.max.ms")?,
        reserved_bytes: settings.number("log.dirs.reserved.bytes")?,
        auto_create_topics: settings.flag("auto.create.topics.enable"),
        num_partitions: settings.number("num.partitions")?,
        default_replication_factor: settings.number("default.replication.factor")?,
        min_insync_replicas: settings.number("min.insync.replicas")?,
        message_max_bytes: settings.number("message.max.bytes")?,
        fetch_max_bytes: settings.number("fetch.max.bytes")?,
        recovery_threads: settings.number("num.recovery.threads.per.data.dir")?,
        log_retention_check_interval: interval(settings, "log.retention.check.interval.ms")?,
        high_watermark_checkpoint_interval: interval(settings, "replica.high.watermark.checkpoint.interval.ms")?,
        producer_id_expiration_ms: settings.number("producer.id.expiration.ms")?,
        durability: durability(settings),
        controlled_shutdown: settings.flag("controlled.shutdown.enable"),
        delete_topic: settings.flag("delete.topic.enable"),
        raw: settings.given(),
        known_keys: KEYS.iter().map(|key| broker_key(key.name, key.default, key.kind)).collect(),
        ..BrokerConfig::default()
    })
}

/// What the controller is started with.
///
/// # Errors
/// A number that its key allows but the controller cannot hold.
pub fn controller_config(config: &ServerConfig, directories: &Directories) -> Result<ControllerConfig, ConfigError> {
    let settings = &config.settings;
    let voters = config.voters.iter();
    let advertised = config.listeners.controller_advertised.as_ref();
    Ok(ControllerConfig {
        node_id: BrokerId(config.node_id),
        voters: voters.map(|v| Voter { node_id: BrokerId(v.node_id), host: v.host.clone(), port: v.port }).collect(),
        bootstrap_servers: config.bootstrap_servers.clone(),
        advertised_host: advertised.map(|a| a.host.clone()).unwrap_or_default(),
        advertised_port: advertised.map_or(0, |a| a.port),
        metadata_dir: Path::new(&config.metadata_log_dir).join(METADATA_DIRECTORY),
        cluster_id: directories.cluster_id().map(str::to_owned),
        // Of a directory that was prepared it is known.
        directory_id: directories.directory_id(&config.metadata_log_dir).unwrap_or(DirectoryId::ZERO),
        earlier_life: directories.earlier_life(),
        session_timeout_ms: settings.number("broker.session.timeout.ms")?,
        defaults: ClusterSettings {
            num_partitions: settings.number("num.partitions")?,
            default_replication_factor: settings.number("default.replication.factor")?,
            min_insync_replicas: settings
                .is_given("min.insync.replicas")
                .then(|| settings.number("min.insync.replicas"))
                .transpose()?,
            unclean_leader_election: settings.flag("unclean.leader.election.enable"),
            auto_leader_rebalance: settings.flag("auto.leader.rebalance.enable"),
            leader_rebalance_delay: rebalance_delay(settings)?,
            delete_topic: settings.flag("delete.topic.enable"),
            file: settings.given(),
        },
        raft: RaftTimings::default(),
        door: door(Machine::look(), config.roles.broker),
    })
}

fn cleaner(settings: &Settings) -> Result<CleanerConfig, ConfigError> {
    let dedupe_buffer: i64 = settings.number("log.cleaner.dedupe.buffer.size")?;
    Ok(CleanerConfig {
        enabled: settings.flag("log.cleaner.enable"),
        threads: settings.number("log.cleaner.threads")?,
        dedupe_buffer_bytes: usize::try_from(dedupe_buffer).unwrap_or(0),
        load_factor: settings.number("log.cleaner.io.buffer.load.factor")?,
        io_buffer_bytes: settings.number("log.cleaner.io.buffer.size")?,
        io_max_bytes_per_second: settings.number("log.cleaner.io.max.bytes.per.second")?,
        backoff: Duration::from_millis(settings.number("log.cleaner.backoff.ms")?),
    })
}

fn groups(config: &ServerConfig) -> Result<GroupConfig, ConfigError> {
    let settings = &config.settings;
    Ok(GroupConfig {
        initial_rebalance_delay_ms: settings.number("group.initial.rebalance.delay.ms")?,
        min_session_timeout_ms: settings.number("group.min.session.timeout.ms")?,
        max_session_timeout_ms: settings.number("group.max.session.timeout.ms")?,
        max_size: settings.number("group.max.size")?,
        offsets_topic_num_partitions: settings.number("offsets.topic.num.partitions")?,
        offsets_topic_replication_factor: config.offsets_topic_replication_factor,
        offsets_topic_segment_bytes: settings.number("offsets.topic.segment.bytes")?,
        offset_metadata_max_bytes: settings.number("offset.metadata.max.bytes")?,
        offsets_retention_minutes: settings.number("offsets.retention.minutes")?,
        offsets_retention_check_interval_ms: settings.number("offsets.retention.check.interval.ms")?,
        offsets_commit_timeout_ms: settings.number("offsets.commit.timeout.ms")?,
    })
}

/// How often something is done. Kafka takes any number; a thread of ours must not do nothing else.
fn interval(settings: &Settings, key: &str) -> Result<Duration, ConfigError> {
    const SHORTEST: Duration = Duration::from_millis(50);
    let ms: i64 = settings.number(key)?;
    Ok(Duration::from_millis(u64::try_from(ms).unwrap_or(0)).max(SHORTEST))
}

fn durability(settings: &Settings) -> Durability {
    match settings.get("log.durability") {
        Some("written") => Durability::Written,
        _ => Durability::Flushed,
    }
}

/// Kafka looks every 5 minutes; unless somebody says so, a preferred leader that is back takes over much sooner.
fn rebalance_delay(settings: &Settings) -> Result<Duration, ConfigError> {
    let key = "leader.imbalance.check.interval.seconds";
    match settings.is_given(key) {
        true => Ok(Duration::from_secs(settings.number(key)?)),
        false => Ok(ClusterSettings::default().leader_rebalance_delay),
    }
}

/// Type codes as in DescribeConfigs. Kafka tells int, short and long apart by the bounds of the type.
fn broker_key(name: &str, default: Option<&str>, kind: Kind) -> BrokerKey {
    let type_code = match kind {
        Kind::Bool => 1,
        Kind::Text | Kind::OneOf(_) => 2,
        Kind::Whole(_, high) if high <= i64::from(i16::MAX) => 4,
        Kind::Whole(_, high) if high <= i64::from(i32::MAX) => 3,
        Kind::Whole(..) => 5,
        Kind::Real(..) => 6,
        Kind::List | Kind::ListOf(_) => 7,
        Kind::Secret => 9,
    };
    BrokerKey { name: name.to_owned(), default: default.map(str::to_owned), type_code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(overrides: &[(&str, &str)]) -> ServerConfig {
        let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ServerConfig::load(None, &overrides, std::iter::empty()).unwrap().0
    }

    #[test]
    fn every_key_of_the_defaults_reaches_its_place() {
        let config = load(&[]);
        let broker = broker_config(&config, Some("c")).unwrap();
        assert_eq!((broker.session_timeout_ms, broker.heartbeat_interval_ms), (1_000, 200));
        assert_eq!(broker.durability, Durability::Flushed);
        assert_eq!(broker.groups.offsets_topic_replication_factor, 1);
        assert_eq!(broker.message_max_bytes, 1_048_588);
        assert_eq!((broker.fetch_max_bytes, broker.producer_id_expiration_ms), (55 << 20, 86_400_000));
        assert_eq!(broker.log_retention_check_interval, Duration::from_secs(300));
        assert_eq!(broker.high_watermark_checkpoint_interval, Duration::from_secs(5));
        assert_eq!(broker.known_keys.len(), KEYS.len());
        let controller = controller_config(&config, &Directories::default()).unwrap();
        assert_eq!((controller.voters.len(), controller.defaults.min_insync_replicas), (1, None));
        assert_eq!(controller.advertised_port, 9093);
    }

    #[test]
    fn what_the_file_says_counts() {
        let config = load(&[
            ("min.insync.replicas", "2"),
            ("num.network.threads", "1"),
            ("num.recovery.threads.per.data.dir", "5"),
            ("log.durability", "written"),
            ("leader.imbalance.check.interval.seconds", "7"),
            ("log.retention.hours", "3"),
            ("log.retention.check.interval.ms", "70"),
            ("replica.high.watermark.checkpoint.interval.ms", "-1"),
            ("producer.id.expiration.ms", "9000"),
            ("fetch.max.bytes", "2048"),
        ]);
        let broker = broker_config(&config, None).unwrap();
        assert_eq!(broker.log_retention_check_interval, Duration::from_millis(70));
        assert_eq!(broker.high_watermark_checkpoint_interval, Duration::from_millis(50));
        assert_eq!((broker.producer_id_expiration_ms, broker.fetch_max_bytes), (9000, 2048));
        assert_eq!(broker.recovery_threads, 5);
        assert_eq!((broker.min_insync_replicas, broker.network.num_network_threads), (2, 1));
        assert_eq!((broker.durability, broker.raw["log.retention.hours"].as_str()), (Durability::Written, "3"));
        let controller = controller_config(&config, &Directories::default()).unwrap();
        assert_eq!(controller.defaults.min_insync_replicas, Some(2));
        assert_eq!(controller.defaults.leader_rebalance_delay, Duration::from_secs(7));
        assert_eq!(controller.defaults.file["log.retention.hours"], "3");
    }
}
