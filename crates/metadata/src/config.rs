use std::collections::BTreeMap;
use std::sync::Arc;

/// Dynamic settings of one resource: values by Kafka's key.
pub type Settings = BTreeMap<Arc<str>, Arc<str>>;

/// What a dynamic configuration belongs to (Kafka's ConfigResource types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigResourceType {
    /// A topic's settings; its name is the topic's.
    Topic = 2,
    /// A broker's settings; its name is the `node.id`, or empty for all brokers of the cluster.
    Broker = 4,
    /// A broker's log levels (not kept in the metadata).
    BrokerLogger = 8,
    /// Client metrics subscriptions (KIP-714).
    ClientMetrics = 16,
    /// A consumer group's settings (KIP-848).
    Group = 32,
}

impl ConfigResourceType {
    /// The type of a code from the wire, if it is one.
    pub fn from_code(code: i8) -> Option<ConfigResourceType> {
        Some(match code {
            2 => ConfigResourceType::Topic,
            4 => ConfigResourceType::Broker,
            8 => ConfigResourceType::BrokerLogger,
            16 => ConfigResourceType::ClientMetrics,
            32 => ConfigResourceType::Group,
            _ => return None,
        })
    }

    /// The number on the wire and in the metadata log.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One thing that can be configured dynamically.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What kind of thing.
    pub resource_type: ConfigResourceType,
    /// Its name; empty for the cluster-wide broker settings.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// A topic's settings.
    pub fn topic(name: impl Into<Arc<str>>) -> ConfigResource {
        ConfigResource { resource_type: ConfigResourceType::Topic, name: name.into() }
    }

    /// One broker's settings.
    pub fn broker(id: raftsman_types::BrokerId) -> ConfigResource {
        ConfigResource { resource_type: ConfigResourceType::Broker, name: id.to_string().into() }
    }

    /// The settings of all brokers ("cluster-wide default").
    pub fn cluster() -> ConfigResource {
        ConfigResource { resource_type: ConfigResourceType::Broker, name: "".into() }
    }
}
