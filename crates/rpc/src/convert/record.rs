use std::sync::Arc;

use raftsman_metadata::{BrokerRegistration, MetadataRecord, PartitionChange};
use raftsman_types::{BrokerEpoch, BrokerId, TopicIdPartition};

use super::configs::resource_from_pb;
use super::{ConvertError, RECORD_VERSION, id_bytes, narrow, partition_from_pb, partition_to_pb, text, topic_id};
use crate::metadata as pb;
use crate::metadata::record::Record as Kind;

fn reference_to_pb(broker: BrokerId, broker_epoch: BrokerEpoch) -> pb::BrokerReference {
    pb::BrokerReference { broker: broker.0, broker_epoch: broker_epoch.0 }
}

fn reference_from_pb(reference: &pb::BrokerReference) -> (BrokerId, BrokerEpoch) {
    (BrokerId(reference.broker), BrokerEpoch(reference.broker_epoch))
}

impl From<&MetadataRecord> for pb::Record {
    fn from(record: &MetadataRecord) -> pb::Record {
        pb::Record { record_version: RECORD_VERSION, record: Some(kind_to_pb(record)) }
    }
}

fn kind_to_pb(record: &MetadataRecord) -> Kind {
    match record {
        MetadataRecord::Activate { controller, epoch } => {
            Kind::Activate(pb::Activate { controller: controller.0, epoch: *epoch })
        }
        MetadataRecord::FormCluster { cluster_id } => {
            Kind::FormCluster(pb::FormCluster { cluster_id: cluster_id.to_string() })
        }
        MetadataRecord::SetFeatureLevel { name, level } => {
            Kind::SetFeatureLevel(pb::SetFeatureLevel { name: name.to_string(), level: (*level).into() })
        }
        MetadataRecord::RegisterBroker(registration) => {
            Kind::RegisterBroker(pb::BrokerRegistration::from(&**registration))
        }
        MetadataRecord::UnregisterBroker { broker, broker_epoch } => {
            Kind::UnregisterBroker(reference_to_pb(*broker, *broker_epoch))
        }
        MetadataRecord::FenceBroker { broker, broker_epoch } => {
            Kind::FenceBroker(reference_to_pb(*broker, *broker_epoch))
        }
        MetadataRecord::UnfenceBroker { broker, broker_epoch } => {
            Kind::UnfenceBroker(reference_to_pb(*broker, *broker_epoch))
        }
        MetadataRecord::StartControlledShutdown { broker, broker_epoch } => {
            Kind::StartControlledShutdown(reference_to_pb(*broker, *broker_epoch))
        }
        MetadataRecord::CreateTopic { name, topic_id } => {
            Kind::CreateTopic(pb::CreateTopic { name: name.to_string(), topic_id: id_bytes(topic_id.0) })
        }
        MetadataRecord::DeleteTopic { topic_id } => {
            Kind::DeleteTopic(pb::DeleteTopic { topic_id: id_bytes(topic_id.0) })
        }
        MetadataRecord::CreatePartition { topic_id, partition, state } => Kind::CreatePartition(pb::CreatePartition {
            at: Some(TopicIdPartition { topic_id: *topic_id, partition: *partition }.into()),
            state: Some(partition_to_pb(state)),
        }),
        MetadataRecord::ChangePartition(change) => Kind::ChangePartition(change.into()),
        MetadataRecord::SetConfig { resource, key, value } => Kind::SetConfig(pb::SetConfig {
            resource_type: resource.resource_type.code().into(),
            resource_name: resource.name.to_string(),
            key: key.to_string(),
            value: value.as_ref().map(|v| v.to_string()),
        }),
        MetadataRecord::AllocateProducerIds { broker, broker_epoch, next_producer_id } => {
            Kind::AllocateProducerIds(pb::ProducerIdBlock {
                broker: broker.0,
                broker_epoch: broker_epoch.0,
                next_producer_id: *next_producer_id,
            })
        }
    }
}

impl TryFrom<&pb::Record> for MetadataRecord {
    type Error = ConvertError;

    fn try_from(record: &pb::Record) -> Result<MetadataRecord, ConvertError> {
        if record.record_version != RECORD_VERSION {
            return Err(ConvertError::UnknownRecordVersion(record.record_version));
        }
        kind_from_pb(record.record.as_ref().ok_or(ConvertError::UnknownRecord)?)
    }
}

impl TryFrom<pb::Record> for MetadataRecord {
    type Error = ConvertError;

    fn try_from(record: pb::Record) -> Result<MetadataRecord, ConvertError> {
        MetadataRecord::try_from(&record)
    }
}

fn kind_from_pb(kind: &Kind) -> Result<MetadataRecord, ConvertError> {
    Ok(match kind {
        Kind::Activate(r) => MetadataRecord::Activate { controller: BrokerId(r.controller), epoch: r.epoch },
        Kind::FormCluster(r) => MetadataRecord::FormCluster { cluster_id: text(&r.cluster_id) },
        Kind::SetFeatureLevel(r) => {
            MetadataRecord::SetFeatureLevel { name: text(&r.name), level: narrow("level", r.level)? }
        }
        Kind::RegisterBroker(r) => MetadataRecord::RegisterBroker(Arc::new(BrokerRegistration::try_from(r)?)),
        Kind::UnregisterBroker(r) => {
            let (broker, broker_epoch) = reference_from_pb(r);
            MetadataRecord::UnregisterBroker { broker, broker_epoch }
        }
        Kind::FenceBroker(r) => {
            let (broker, broker_epoch) = reference_from_pb(r);
            MetadataRecord::FenceBroker { broker, broker_epoch }
        }
        Kind::UnfenceBroker(r) => {
            let (broker, broker_epoch) = reference_from_pb(r);
            MetadataRecord::UnfenceBroker { broker, broker_epoch }
        }
        Kind::StartControlledShutdown(r) => {
            let (broker, broker_epoch) = reference_from_pb(r);
            MetadataRecord::StartControlledShutdown { broker, broker_epoch }
        }
        Kind::CreateTopic(r) => MetadataRecord::CreateTopic {
            name: text(&r.name),
            topic_id: topic_id("create_topic.topic_id", &r.topic_id)?,
        },
        Kind::DeleteTopic(r) => {
            MetadataRecord::DeleteTopic { topic_id: topic_id("delete_topic.topic_id", &r.topic_id)? }
        }
        Kind::CreatePartition(r) => {
            let at = TopicIdPartition::try_from(r.at.as_ref().ok_or(ConvertError::Missing("create_partition.at"))?)?;
            let state = r.state.as_ref().ok_or(ConvertError::Missing("create_partition.state"))?;
            MetadataRecord::CreatePartition {
                topic_id: at.topic_id,
                partition: at.partition,
                state: Arc::new(partition_from_pb(state)?),
            }
        }
        Kind::ChangePartition(r) => MetadataRecord::ChangePartition(PartitionChange::try_from(r)?),
        Kind::SetConfig(r) => MetadataRecord::SetConfig {
            resource: resource_from_pb(r.resource_type, &r.resource_name)?,
            key: text(&r.key),
            value: r.value.as_deref().map(text),
        },
        Kind::AllocateProducerIds(r) => MetadataRecord::AllocateProducerIds {
            broker: BrokerId(r.broker),
            broker_epoch: BrokerEpoch(r.broker_epoch),
            next_producer_id: r.next_producer_id,
        },
    })
}
