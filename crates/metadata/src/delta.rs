use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use raftsman_types::{BrokerId, TopicIdPartition};

use crate::{ConfigResource, MetadataImage, PartitionImage, TopicImage};

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

impl MetadataDelta {
    /// What changed from one image to another. Costs time by what changed: parts the two images share are skipped.
    pub fn between(before: &MetadataImage, after: &MetadataImage) -> MetadataDelta {
        let mut delta = MetadataDelta::default();
        for change in before.topics.diff(&after.topics) {
            match change {
                DiffItem::Add(_, topic) => delta.compare_topics(None, Some(topic)),
                DiffItem::Update { old: (_, old), new: (_, new) } => delta.compare_topics(Some(old), Some(new)),
                DiffItem::Remove(_, topic) => delta.compare_topics(Some(topic), None),
            }
        }
        delta.brokers = before.brokers.diff(&after.brokers).map(|change| *key_of(change)).collect();
        delta.configs = before.configs.diff(&after.configs).map(|change| key_of(change).clone()).collect();
        delta
    }

    /// Whether nothing a publisher acts on has changed.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.brokers.is_empty() && self.configs.is_empty()
    }

    fn compare_topics(&mut self, before: Option<&Arc<TopicImage>>, after: Option<&Arc<TopicImage>>) {
        let Some(topic) = after.or(before) else { return };
        let none = OrdMap::new();
        let before = before.map_or(&none, |topic| &topic.partitions);
        let after = after.map_or(&none, |topic| &topic.partitions);
        for change in before.diff(after) {
            let (partition, old, new) = match change {
                DiffItem::Add(partition, new) => (*partition, None, Some(new)),
                DiffItem::Update { old: (partition, old), new: (_, new) } => (*partition, Some(old), Some(new)),
                DiffItem::Remove(partition, old) => (*partition, Some(old), None),
            };
            self.partitions.push(PartitionDelta {
                at: TopicIdPartition { topic_id: topic.id, partition },
                topic: topic.name.clone(),
                before: old.cloned(),
                after: new.cloned(),
            });
        }
    }
}

fn key_of<'a, K, V>(change: DiffItem<'a, 'a, K, V>) -> &'a K {
    match change {
        DiffItem::Add(key, _) | DiffItem::Update { new: (key, _), .. } | DiffItem::Remove(key, _) => key,
    }
}
