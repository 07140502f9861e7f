use std::sync::Arc;

use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};

use crate::Durability;

/// Where a broker may be reached under one listener name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, `PLAINTEXT` for one.
    pub name: Arc<str>,
    /// The advertised host.
    pub host: Arc<str>,
    /// The advertised port.
    pub port: u16,
    /// Kafka's code of its security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// What a registered broker may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerState {
    /// Leads nothing and is in no ISR.
    Fenced,
    /// Leads and follows.
    Unfenced,
    /// Is stopping in an orderly way: still serves, but is given nothing new.
    ControlledShutdown,
}

/// A broker as the cluster knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerRegistration {
    /// Its `node.id`.
    pub id: BrokerId,
    /// The version of this registration; a restart gets a new one.
    pub broker_epoch: BrokerEpoch,
    /// Which start of the process this is.
    pub incarnation: IncarnationId,
    /// Its listeners, the inter-broker one first.
    pub listeners: Vec<Listener>,
    /// The name of its inter-broker listener.
    pub inter_broker_listener: Arc<str>,
    /// Its rack, for placement (KIP-36).
    pub rack: Option<Arc<str>>,
    /// The ids of its online log directories.
    pub directories: Vec<DirectoryId>,
    /// The ids of those it had at an earlier start and cannot use now: what is in them may be well after a restart.
    pub offline_directories: Vec<DirectoryId>,
    /// What it may do now.
    pub state: BrokerState,
    /// The features it supports, with the lowest and highest level of each.
    pub features: Vec<(Arc<str>, i16, i16)>,
    /// The kernel's boot id under which it runs: an unclean restart under the same one kept the page cache.
    pub boot_id: Arc<str>,
    /// Its `log.durability`: what its topics without a `durability` of their own fall back to.
    pub log_durability: Durability,
}

impl BrokerRegistration {
    /// The listener of a name.
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|l| &*l.name == name)
    }

    /// Whether a replica that the metadata has in this directory (zero: nobody knows in which) is where the broker can reach it,
    /// as far as its registration tells.
    pub fn reaches(&self, directory: DirectoryId) -> bool {
        let is_anywhere = directory == DirectoryId::ZERO && self.offline_directories.is_empty();
        is_anywhere || self.directories.contains(&directory)
    }

    /// The listener that other brokers use.
    pub fn inter_broker(&self) -> Option<&Listener> {
        self.listener(&self.inter_broker_listener)
    }
}
