use std::collections::BTreeMap;

use super::BrokerConfig;

/// A key of `server.properties` as DescribeConfigs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerKey {
    /// Kafka's name.
    pub name: String,
    /// Its default, as text; `None` where there is none.
    pub default: Option<String>,
    /// Kafka's type code in DescribeConfigs: 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
    pub type_code: i8,
}

impl BrokerKey {
    /// Passwords and what holds them: described without a value.
    pub fn is_sensitive(&self) -> bool {
        const PASSWORD: i8 = 9;
        self.type_code == PASSWORD || is_sensitive_name(&self.name)
    }
}

fn is_sensitive_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("password") || lower.contains("secret") || lower.contains("jaas") || lower.ends_with(".key")
}

impl BrokerConfig {
    /// Every key to describe: the known ones, what this broker's typed settings came to, and what else the file holds.
    pub fn described_keys(&self) -> BTreeMap<String, BrokerKey> {
        const STRING: i8 = 2;
        let key =
            |name: &str, default: Option<String>, type_code| BrokerKey { name: name.to_owned(), default, type_code };
        let mut keys: BTreeMap<String, BrokerKey> = self
            .typed()
            .into_iter()
            .map(|(name, value, code)| (name.to_owned(), key(name, Some(value), code)))
            .collect();
        keys.extend(self.known_keys.iter().map(|known| (known.name.clone(), known.clone())));
        for name in self.raw.keys() {
            keys.entry(name.clone()).or_insert_with(|| key(name, None, STRING));
        }
        keys
    }

    /// The settings this broker acts on, as text.
    fn typed(&self) -> Vec<(&'static str, String, i8)> {
        const BOOLEAN: i8 = 1;
        const INT: i8 = 3;
        const SHORT: i8 = 4;
        const LONG: i8 = 5;
        let (network, groups) = (&self.network, &self.groups);
        vec![
            ("auto.create.topics.enable", self.auto_create_topics.to_string(), BOOLEAN),
            ("broker.heartbeat.interval.ms", self.heartbeat_interval_ms.to_string(), INT),
            ("broker.session.timeout.ms", self.session_timeout_ms.to_string(), INT),
            ("connections.max.idle.ms", network.connections_max_idle.as_millis().to_string(), LONG),
            ("controlled.shutdown.enable", self.controlled_shutdown.to_string(), BOOLEAN),
            ("default.replication.factor", self.default_replication_factor.to_string(), INT),
            ("delete.topic.enable", self.delete_topic.to_string(), BOOLEAN),
            ("group.initial.rebalance.delay.ms", groups.initial_rebalance_delay_ms.to_string(), INT),
            ("group.max.session.timeout.ms", groups.max_session_timeout_ms.to_string(), INT),
            ("group.max.size", groups.max_size.to_string(), INT),
            ("group.min.session.timeout.ms", groups.min_session_timeout_ms.to_string(), INT),
            ("log.dirs.reserved.bytes", self.reserved_bytes.to_string(), LONG),
            ("max.connection.creation.rate", network.max_connection_creation_rate.to_string(), INT),
            ("max.connections", network.max_connections.to_string(), INT),
            ("max.connections.per.ip", network.max_connections_per_ip.to_string(), INT),
            ("message.max.bytes", self.message_max_bytes.to_string(), INT),
            ("min.insync.replicas", self.min_insync_replicas.to_string(), INT),
            ("node.id", self.node_id.to_string(), INT),
            ("num.network.threads", network.num_network_threads.to_string(), INT),
            ("num.partitions", self.num_partitions.to_string(), INT),
            ("offset.metadata.max.bytes", groups.offset_metadata_max_bytes.to_string(), INT),
            ("offsets.retention.minutes", groups.offsets_retention_minutes.to_string(), INT),
            ("offsets.topic.num.partitions", groups.offsets_topic_num_partitions.to_string(), INT),
            ("offsets.topic.replication.factor", groups.offsets_topic_replication_factor.to_string(), SHORT),
            ("queued.max.request.bytes", network.queued_max_bytes.to_string(), LONG),
            ("replica.lag.time.max.ms", self.replica_lag_time_max_ms.to_string(), LONG),
            ("socket.request.max.bytes", network.socket_request_max_bytes.to_string(), INT),
        ]
    }
}
