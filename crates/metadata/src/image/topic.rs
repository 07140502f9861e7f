use std::sync::Arc;

use imbl::OrdMap;
use raftsman_types::TopicId;

use crate::PartitionImage;

/// A topic as the cluster knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicImage {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions by index.
    pub partitions: OrdMap<i32, Arc<PartitionImage>>,
}

impl TopicImage {
    /// One partition's state.
    pub fn partition(&self, index: i32) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(&index)
    }
}
