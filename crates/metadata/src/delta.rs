use std::sync::Arc;

use raftsman_types::{BrokerId, TopicIdPartition};

use crate::{ConfigResource, PartitionImage};

/// What changed between two images: enough for a publisher to act on without comparing whole images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetadataDelta {
    /// Changed, new and removed partitions, each once, in order.
    pub partitions: Vec<PartitionDelta>,
    /// Brokers that registered, changed state or left.
    pub brokers: Vec<BrokerId>,
    /// Resources whose dynamic settings changed.
    pub configs: Vec<ConfigResource>,
}

/// One partition's change.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionDelta {
    /// Which.
    pub at: TopicIdPartition,
    /// Its topic's name (also of a topic that is gone).
    pub topic: Arc<str>,
    /// Its state before; `None` if it is new.
    pub before: Option<Arc<PartitionImage>>,
    /// Its state now; `None` if it is gone.
    pub after: Option<Arc<PartitionImage>>,
}
