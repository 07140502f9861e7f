use std::sync::Arc;

use raftsman_types::{BrokerEpoch, BrokerId};

use crate::{MetadataImage, MetadataRecord};

impl MetadataImage {
    /// The records that rebuild this image with [`MetadataImage::from_snapshot`], in an order in which they can be replayed.
    pub fn to_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let cluster = self.cluster_id.iter().map(|id| MetadataRecord::FormCluster { cluster_id: id.clone() });
        let controller = self
            .controller
            .iter()
            .map(|(controller, epoch)| MetadataRecord::Activate { controller: *controller, epoch: Some(*epoch) });
        let features = self
            .features
            .iter()
            .map(|(name, level)| MetadataRecord::SetFeatureLevel { name: name.clone(), level: *level });
        let brokers = self.brokers.values().map(|broker| MetadataRecord::RegisterBroker(broker.clone()));
        let topics = self.topics.values().flat_map(|topic| {
            let created = MetadataRecord::CreateTopic { name: topic.name.clone(), topic_id: topic.id };
            let partitions = topic.partitions.iter().map(|(partition, state)| MetadataRecord::CreatePartition {
                topic_id: topic.id,
                partition: *partition,
                state: state.clone(),
            });
            std::iter::once(created).chain(partitions)
        });
        let configs = self.configs.iter().flat_map(|(resource, settings)| {
            settings.iter().map(|(key, value)| MetadataRecord::SetConfig {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(Arc::clone(value)),
            })
        });
        let producer_ids = (self.next_producer_id > 0).then_some(MetadataRecord::AllocateProducerIds {
            broker: BrokerId::NONE,
            broker_epoch: BrokerEpoch::NONE,
            next_producer_id: self.next_producer_id,
        });
        cluster.chain(controller).chain(features).chain(brokers).chain(topics).chain(configs).chain(producer_ids)
    }

    /// The image of that version which the records of a snapshot add up to.
    pub fn from_snapshot(version: u64, records: impl IntoIterator<Item = MetadataRecord>) -> MetadataImage {
        let mut image = MetadataImage::default();
        for record in records {
            image.replay_record(&record);
        }
        image.version = version;
        image
    }
}
