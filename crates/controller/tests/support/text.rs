//! Records and replies as one short line each.

use std::fmt::Write;

use raftsman_controller::decide::Reply;
use raftsman_metadata::{MetadataImage, MetadataRecord, PartitionChange, PartitionImage};
use raftsman_types::{BrokerId, ErrorCode, TopicId};

fn topic_name(image: &MetadataImage, topic_id: TopicId) -> String {
    image.topic(topic_id).map_or_else(|| "?".to_owned(), |topic| topic.name.to_string())
}

fn broker(id: Option<BrokerId>) -> String {
    id.map_or_else(|| "nobody".to_owned(), |id| id.to_string())
}

pub fn state(partition: &PartitionImage) -> String {
    let PartitionImage { replicas, isr, elr, leader, leader_epoch, partition_epoch, .. } = partition;
    let mut line = format!(
        "replicas {replicas:?} isr {isr:?} elr {elr:?} leader {} epoch {leader_epoch} partition-epoch {partition_epoch} {:?} {:?}",
        broker(*leader),
        partition.durability,
        partition.recovery_state,
    );
    if let Some(last) = partition.last_known_leader {
        let _ = write!(line, " last-known {last}");
    }
    line
}

fn change(change: &PartitionChange) -> String {
    let mut line = String::new();
    if let Some(leader) = &change.leader {
        let _ = write!(line, " leader={}", broker(*leader));
    }
    if change.bump_leader_epoch {
        line.push_str(" epoch+1");
    }
    if let Some(isr) = &change.isr {
        let _ = write!(line, " isr={isr:?}");
    }
    if let Some(elr) = &change.elr {
        let _ = write!(line, " elr={elr:?}");
    }
    if let Some(last) = &change.last_known_leader {
        let _ = write!(line, " last-known={}", broker(*last));
    }
    if change.directories.is_some() {
        line.push_str(" directories");
    }
    if let Some(recovery) = &change.recovery_state {
        let _ = write!(line, " {recovery:?}");
    }
    if let Some(durability) = &change.durability {
        let _ = write!(line, " {durability:?}");
    }
    line
}

/// `image` is the one after the record.
pub fn record(image: &MetadataImage, record: &MetadataRecord) -> String {
    match record {
        MetadataRecord::RegisterBroker(b) => format!("RegisterBroker {} epoch {} {:?}", b.id, b.broker_epoch, b.state),
        MetadataRecord::UnregisterBroker { broker, .. } => format!("UnregisterBroker {broker}"),
        MetadataRecord::FenceBroker { broker, .. } => format!("FenceBroker {broker}"),
        MetadataRecord::UnfenceBroker { broker, .. } => format!("UnfenceBroker {broker}"),
        MetadataRecord::StartControlledShutdown { broker, .. } => format!("StartControlledShutdown {broker}"),
        MetadataRecord::CreateTopic { name, .. } => format!("CreateTopic {name}"),
        MetadataRecord::DeleteTopic { .. } => "DeleteTopic".to_owned(),
        MetadataRecord::CreatePartition { topic_id, partition, state: image_state } => {
            format!("CreatePartition {}-{partition} {}", topic_name(image, *topic_id), state(image_state))
        }
        MetadataRecord::ChangePartition(c) => {
            format!("ChangePartition {}-{}{}", topic_name(image, c.topic_id), c.partition, change(c))
        }
        MetadataRecord::SetConfig { resource, key, value } => {
            let value = value.as_deref().unwrap_or("(default)");
            format!("SetConfig {:?} {:?} {key}={value}", resource.resource_type, resource.name)
        }
        MetadataRecord::AllocateProducerIds { broker, next_producer_id, .. } => {
            format!("AllocateProducerIds {broker} next {next_producer_id}")
        }
        other => format!("{other:?}"),
    }
}

pub fn reply(reply: &Reply) -> Vec<String> {
    let error = |error: &raftsman_controller::decide::RequestError| format!("{}: {}", error.code, error.message);
    match reply {
        Reply::RegisterBroker(Ok(registered)) => vec![format!("registered epoch {}", registered.broker_epoch)],
        Reply::AllocateProducerIds(Ok(block)) => {
            vec![format!("ids {} and {} more", block.first_producer_id, block.count - 1)]
        }
        Reply::Done(Ok(())) => vec!["done".to_owned()],
        Reply::RegisterBroker(Err(e)) | Reply::AllocateProducerIds(Err(e)) | Reply::Done(Err(e)) => vec![error(e)],
        Reply::AlterPartition(Err(e)) | Reply::Administer(Err(e)) => vec![error(e)],
        Reply::AlterPartition(Ok(results)) => results
            .iter()
            .map(|r| format!("{} now {}", r.error, r.state.as_deref().map_or("-".to_owned(), state)))
            .collect(),
        Reply::Administer(Ok(results)) => results
            .iter()
            .map(|r| {
                let name = r.name.as_deref().unwrap_or("(by id)");
                match (&r.message, r.error) {
                    (None, ErrorCode::None) => {
                        format!("{name}: ok, {} partitions of {} replicas", r.partition_count, r.replication_factor)
                    }
                    (message, code) => format!("{name}: {code} {}", message.as_deref().unwrap_or("")),
                }
            })
            .collect(),
    }
}
