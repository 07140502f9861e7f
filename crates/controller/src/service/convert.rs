//! Requests of brokers, from gRPC to what `decide` takes. A refusal names the field.

use std::sync::Arc;

use raftsman_metadata::{ConfigResource, ConfigResourceType, Durability, Listener};
use raftsman_rpc::{ConvertError, controller as pb, id_from_bytes, metadata};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition,
};

use crate::decide::{
    AlterConfigs, AlterPartition, AssignDirectories, BrokerReference, ConfigOperation, ConfigOperationKind,
    CreatePartitions, CreateTopics, DeleteTopics, DirectoryAssignment, MorePartitions, NewTopic, PartitionIsr,
    RegisterBroker, Request, ResourceConfigs, TopicReference,
};
use crate::heartbeat::Heartbeat;

type Result<T> = std::result::Result<T, ConvertError>;

fn text(value: &str) -> Arc<str> {
    Arc::from(value)
}

fn all<'a, A: 'a, B>(items: &'a [A], convert: impl FnMut(&'a A) -> Result<B>) -> Result<Vec<B>> {
    items.iter().map(convert).collect()
}

pub(super) fn sender(sender: Option<&pb::Sender>) -> Result<&pb::Sender> {
    sender.ok_or(ConvertError::Missing("sender"))
}

pub(super) fn reference(sender: &pb::Sender) -> BrokerReference {
    BrokerReference { broker: BrokerId(sender.broker_id), broker_epoch: BrokerEpoch(sender.broker_epoch) }
}

fn directories(ids: &[bytes::Bytes]) -> Result<Vec<DirectoryId>> {
    all(ids, |id| id_from_bytes("directories", id).map(DirectoryId))
}

fn level(field: &'static str, value: i32) -> Result<i16> {
    i16::try_from(value).map_err(|_| ConvertError::OutOfRange { field, value: value.into() })
}

pub(super) fn register_broker(request: &pb::RegisterBrokerRequest) -> Result<Request> {
    let durability = metadata::Durability::try_from(request.durability)
        .map_err(|_| ConvertError::OutOfRange { field: "durability", value: request.durability.into() })?;
    Ok(Request::RegisterBroker(RegisterBroker {
        broker: reference(sender(request.sender.as_ref())?).broker,
        incarnation: IncarnationId(id_from_bytes("incarnation", &request.incarnation)?),
        listeners: all(&request.listeners, Listener::try_from)?,
        inter_broker_listener: text(&request.inter_broker_listener),
        rack: request.rack.as_deref().map(text),
        directories: directories(&request.directories)?,
        offline_directories: usize::try_from(request.offline_directories).unwrap_or(usize::MAX),
        features: all(&request.features, |f| {
            Ok((text(&f.name), level("features.min_level", f.min_level)?, level("features.max_level", f.max_level)?))
        })?,
        boot_id: text(&request.boot_id),
        clean_shutdown_epoch: BrokerEpoch(request.clean_shutdown_epoch),
        min_insync_replicas: (request.min_insync_replicas > 0).then_some(request.min_insync_replicas),
        damaged: all(&request.damaged, TopicIdPartition::try_from)?,
        missing: all(&request.missing, TopicIdPartition::try_from)?,
        log_durability: Durability::from(durability),
    }))
}

pub(super) fn heartbeat(message: &pb::BrokerHeartbeat) -> Result<Heartbeat> {
    Ok(Heartbeat {
        sender: reference(sender(message.sender.as_ref())?),
        metadata_version: message.metadata_version,
        wants_fence: message.wants_fence,
        wants_shutdown: message.wants_shutdown,
        offline_directories: directories(&message.offline_directories)?,
    })
}

pub(super) fn alter_partition(request: &pb::AlterPartitionRequest) -> Result<Request> {
    Ok(Request::AlterPartition(AlterPartition {
        sender: reference(sender(request.sender.as_ref())?),
        partitions: all(&request.partitions, |p| {
            Ok(PartitionIsr {
                at: TopicIdPartition::try_from(p.at.as_ref().ok_or(ConvertError::Missing("partitions.at"))?)?,
                leader_epoch: LeaderEpoch(p.leader_epoch),
                partition_epoch: PartitionEpoch(p.partition_epoch),
                new_isr: p
                    .new_isr
                    .iter()
                    .map(|m| BrokerReference {
                        broker: BrokerId(m.broker_id),
                        broker_epoch: BrokerEpoch(m.broker_epoch),
                    })
                    .collect(),
                recovered: p.recovered,
            })
        })?,
    }))
}

pub(super) fn assign_directories(request: &pb::AssignDirectoriesRequest) -> Result<Request> {
    Ok(Request::AssignDirectories(AssignDirectories {
        sender: reference(sender(request.sender.as_ref())?),
        assignments: all(&request.assignments, |assignment| {
            Ok(DirectoryAssignment {
                directory: DirectoryId(id_from_bytes("assignments.directory", &assignment.directory)?),
                partitions: all(&assignment.partitions, TopicIdPartition::try_from)?,
                failed: assignment.failed,
            })
        })?,
    }))
}

pub(super) fn allocate_producer_ids(request: &pb::AllocateProducerIdsRequest) -> Result<Request> {
    Ok(Request::AllocateProducerIds(reference(sender(request.sender.as_ref())?)))
}

pub(super) fn administer(request: &pb::AdministerRequest) -> Result<Request> {
    use pb::administer_request::Operation;
    let sender = reference(sender(request.sender.as_ref())?);
    Ok(match request.operation.as_ref().ok_or(ConvertError::Missing("operation"))? {
        Operation::CreateTopics(r) => Request::CreateTopics(CreateTopics {
            sender,
            topics: r.topics.iter().map(new_topic).collect(),
            validate_only: r.validate_only,
        }),
        Operation::DeleteTopics(r) => {
            Request::DeleteTopics(DeleteTopics { sender, topics: all(&r.topics, topic_reference)? })
        }
        Operation::CreatePartitions(r) => Request::CreatePartitions(CreatePartitions {
            sender,
            topics: r.topics.iter().map(more_partitions).collect(),
            validate_only: r.validate_only,
        }),
        Operation::AlterConfigs(r) => Request::AlterConfigs(AlterConfigs {
            sender,
            resources: all(&r.resources, resource_configs)?,
            validate_only: r.validate_only,
            incremental: r.incremental,
        }),
    })
}

/// What the items of an administrator's request are called, for an error that is the same for all of them.
pub(super) fn item_names(request: &pb::AdministerRequest) -> Vec<String> {
    use pb::administer_request::Operation;
    match &request.operation {
        None => Vec::new(),
        Some(Operation::CreateTopics(r)) => r.topics.iter().map(|t| t.name.clone()).collect(),
        Some(Operation::DeleteTopics(r)) => r.topics.iter().map(|t| t.name.clone()).collect(),
        Some(Operation::CreatePartitions(r)) => r.topics.iter().map(|t| t.name.clone()).collect(),
        Some(Operation::AlterConfigs(r)) => r.resources.iter().map(|t| t.resource_name.clone()).collect(),
    }
}

fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn new_topic(topic: &pb::NewTopic) -> NewTopic {
    NewTopic {
        name: text(&topic.name),
        partition_count: topic.partition_count,
        replication_factor: topic.replication_factor,
        assignments: topic.assignments.iter().map(|a| (a.partition, broker_ids(&a.broker_ids))).collect(),
        configs: topic.configs.iter().map(|c| (text(&c.key), c.value.as_deref().map(text))).collect(),
    }
}

fn topic_reference(topic: &pb::TopicReference) -> Result<TopicReference> {
    if topic.topic_id.is_empty() {
        return Ok(TopicReference::Name(text(&topic.name)));
    }
    Ok(TopicReference::Id(TopicId(id_from_bytes("topics.topic_id", &topic.topic_id)?)))
}

fn more_partitions(topic: &pb::MorePartitions) -> MorePartitions {
    MorePartitions {
        name: text(&topic.name),
        partition_count: topic.partition_count,
        assignments: topic.assignments.iter().map(|a| broker_ids(&a.broker_ids)).collect(),
    }
}

fn resource_configs(resource: &pb::ResourceConfigs) -> Result<ResourceConfigs> {
    let wrong = || ConvertError::OutOfRange { field: "resource_type", value: resource.resource_type.into() };
    let resource_type =
        i8::try_from(resource.resource_type).ok().and_then(ConfigResourceType::from_code).ok_or_else(wrong)?;
    Ok(ResourceConfigs {
        resource: ConfigResource { resource_type, name: text(&resource.resource_name) },
        operations: all(&resource.operations, |operation| {
            let kind = ConfigOperationKind::from_code(operation.operation)
                .ok_or(ConvertError::OutOfRange { field: "operation", value: operation.operation.into() })?;
            Ok(ConfigOperation { key: text(&operation.key), value: operation.value.as_deref().map(text), kind })
        })?,
    })
}
