mod broker;
mod partition;
mod topic;

use std::sync::Arc;

use imbl::OrdMap;
use raftsman_types::{BrokerEpoch, BrokerId, TopicId, TopicIdPartition};

pub use broker::{BrokerRegistration, BrokerState, Listener};
pub use partition::{Durability, PartitionImage, RecoveryState};
pub use topic::TopicImage;

use crate::{ConfigResource, Settings};

/// All metadata at one version. Made of persistent maps: a clone costs the same whatever the cluster's size.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetadataImage {
    /// Rises by one with every applied entry. Broker and controller epochs are versions.
    pub version: u64,
    /// The cluster's id; `None` before it is formed.
    pub cluster_id: Option<Arc<str>>,
    /// The active controller's `node.id` and the version at which it became active.
    pub controller: Option<(BrokerId, u64)>,
    /// Finalized feature levels (KIP-584).
    pub features: OrdMap<Arc<str>, i16>,
    /// Every registered broker, fenced ones too.
    pub brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    /// Topics by id. Ordered, so that whoever walks them decides the same everywhere.
    pub topics: OrdMap<TopicId, Arc<TopicImage>>,
    /// Topic ids by name, in the order of names.
    pub topic_ids: OrdMap<Arc<str>, TopicId>,
    /// Dynamic settings.
    pub configs: OrdMap<ConfigResource, Arc<Settings>>,
    /// The first producer id that no block holds.
    pub next_producer_id: i64,
}

impl MetadataImage {
    /// The topic of a name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topic_ids.get(name).and_then(|id| self.topics.get(id))
    }

    /// The topic of an id.
    pub fn topic(&self, topic_id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&topic_id)
    }

    /// A partition's state.
    pub fn partition(&self, at: TopicIdPartition) -> Option<&Arc<PartitionImage>> {
        self.topics.get(&at.topic_id).and_then(|topic| topic.partition(at.partition))
    }

    /// A broker's registration, fenced or not.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// Whether the broker is registered under this epoch and may lead and be in sync.
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|b| b.state == BrokerState::Unfenced)
    }

    /// The epoch of a broker's present registration.
    pub fn broker_epoch(&self, id: BrokerId) -> Option<BrokerEpoch> {
        self.brokers.get(&id).map(|b| b.broker_epoch)
    }

    /// One dynamic setting.
    pub fn config(&self, resource: &ConfigResource, key: &str) -> Option<&Arc<str>> {
        self.configs.get(resource).and_then(|settings| settings.get(key))
    }
}
