use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use raftsman_metadata::{
    BrokerRegistration, BrokerState, ConfigResource, Durability, Listener, MetadataEntry, MetadataRecord,
    PartitionChange, PartitionImage, RecoveryState,
};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition, Uuid,
};

use super::*;
use crate::metadata as pb;

fn partition() -> PartitionImage {
    PartitionImage {
        replicas: vec![BrokerId(0), BrokerId(2), BrokerId(1)],
        directories: vec![DirectoryId(Uuid([7; 16])), DirectoryId::ZERO, DirectoryId(Uuid([9; 16]))],
        adding_replicas: vec![BrokerId(4)],
        removing_replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(2), BrokerId(0)],
        elr: vec![BrokerId(1)],
        last_known_leader: Some(BrokerId(0)),
        leader: Some(BrokerId(2)),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(11),
        recovery_state: RecoveryState::Recovering,
        durability: Durability::Written,
    }
}

fn registration() -> BrokerRegistration {
    let listener =
        |name: &str, port, security_protocol| Listener { name: name.into(), host: "h".into(), port, security_protocol };
    BrokerRegistration {
        id: BrokerId(3),
        broker_epoch: BrokerEpoch(77),
        incarnation: IncarnationId(Uuid([1; 16])),
        listeners: vec![listener("INTERNAL", 65535, 0), listener("EXTERNAL", 1, 3)],
        inter_broker_listener: "INTERNAL".into(),
        rack: Some("".into()),
        directories: vec![DirectoryId(Uuid([2; 16])), DirectoryId(Uuid([3; 16]))],
        offline_directories: vec![DirectoryId(Uuid([4; 16]))],
        state: BrokerState::ControlledShutdown,
        features: vec![("metadata.version".into(), -1, 30)],
        boot_id: "b".into(),
        log_durability: Durability::Written,
    }
}

/// Every variant, and for each optional part a record with it and one without.
fn records() -> Vec<MetadataRecord> {
    let (broker, broker_epoch) = (BrokerId(i32::MAX), BrokerEpoch(i64::MAX));
    let topic_id = TopicId(Uuid([5; 16]));
    let bare_registration = BrokerRegistration { rack: None, state: BrokerState::Fenced, ..registration() };
    let unfenced = BrokerRegistration { state: BrokerState::Unfenced, ..registration() };
    let full_change = PartitionChange {
        topic_id,
        partition: 4,
        leader: Some(Some(BrokerId(0))),
        bump_leader_epoch: true,
        isr: Some(vec![]),
        elr: Some(vec![BrokerId(9)]),
        last_known_leader: Some(None),
        replicas: Some(vec![BrokerId(1)]),
        directories: Some(vec![DirectoryId(Uuid([4; 16]))]),
        adding_replicas: Some(vec![]),
        removing_replicas: Some(vec![BrokerId(6)]),
        recovery_state: Some(RecoveryState::Recovered),
        durability: Some(Durability::Written),
    };
    let leaderless =
        PartitionChange { leader: Some(None), last_known_leader: Some(Some(broker)), ..Default::default() };
    let topic = ConfigResource::topic("t");
    vec![
        MetadataRecord::Activate { controller: BrokerId(0), epoch: None },
        MetadataRecord::Activate { controller: BrokerId(2), epoch: Some(0) },
        MetadataRecord::FormCluster { cluster_id: "c".into() },
        MetadataRecord::SetFeatureLevel { name: "metadata.version".into(), level: -3 },
        MetadataRecord::RegisterBroker(Arc::new(registration())),
        MetadataRecord::RegisterBroker(Arc::new(bare_registration)),
        MetadataRecord::RegisterBroker(Arc::new(unfenced)),
        MetadataRecord::UnregisterBroker { broker, broker_epoch },
        MetadataRecord::FenceBroker { broker, broker_epoch },
        MetadataRecord::UnfenceBroker { broker, broker_epoch },
        MetadataRecord::StartControlledShutdown { broker, broker_epoch },
        MetadataRecord::CreateTopic { name: "t".into(), topic_id },
        MetadataRecord::DeleteTopic { topic_id },
        MetadataRecord::CreatePartition { topic_id, partition: 1, state: Arc::new(partition()) },
        MetadataRecord::CreatePartition { topic_id, partition: 0, state: Arc::default() },
        MetadataRecord::ChangePartition(full_change),
        MetadataRecord::ChangePartition(leaderless),
        MetadataRecord::ChangePartition(PartitionChange::default()),
        MetadataRecord::SetConfig { resource: topic.clone(), key: "k".into(), value: Some("".into()) },
        MetadataRecord::SetConfig { resource: ConfigResource::cluster(), key: "k".into(), value: None },
        MetadataRecord::AllocateProducerIds { broker, broker_epoch, next_producer_id: 1000 },
    ]
}

#[test]
fn every_record_survives_the_way_through_bytes() {
    for record in records() {
        let bytes = pb::Record::from(&record).encode_to_vec();
        let decoded = pb::Record::decode(&*bytes).expect("our own bytes decode");
        assert_eq!(MetadataRecord::try_from(&decoded), Ok(record));
    }
}

#[test]
fn an_entry_survives_the_way_through_bytes() {
    let entry = MetadataEntry { base_version: u64::MAX, records: records() };
    let decoded = pb::Batch::from_bytes(pb::Batch::from(&entry).to_bytes()).expect("our own bytes decode");
    assert_eq!(MetadataEntry::try_from(&decoded), Ok(entry));
}

#[test]
fn records_of_a_newer_release_are_named() {
    let known = pb::Record::from(&MetadataRecord::Activate { controller: BrokerId(1), epoch: None });
    let newer_layout = pb::Record { record_version: 2, ..known.clone() };
    assert_eq!(MetadataRecord::try_from(newer_layout), Err(ConvertError::UnknownRecordVersion(2)));
    // Field 4095 of a newer release's oneof: prost drops it and leaves no kind at all.
    let mut bytes = pb::Record { record: None, ..known }.encode_to_vec();
    bytes.extend([0xfa, 0xff, 0x01, 0x00]);
    let newer_kind = pb::Record::decode(&*bytes).expect("unknown fields are skipped");
    assert_eq!(MetadataRecord::try_from(newer_kind), Err(ConvertError::UnknownRecord));
}

#[test]
fn what_cannot_be_is_refused_by_field() {
    let kind = |kind| MetadataRecord::try_from(pb::Record { record_version: RECORD_VERSION, record: Some(kind) });
    use pb::record::Record as Kind;
    let mut port = pb::BrokerRegistration::from(&registration());
    port.listeners[0].port = 65536;
    assert_eq!(
        kind(Kind::RegisterBroker(port)),
        Err(ConvertError::OutOfRange { field: "listener.port", value: 65536 })
    );
    let short = pb::DeleteTopic { topic_id: Bytes::from_static(b"short") };
    assert_eq!(
        kind(Kind::DeleteTopic(short)),
        Err(ConvertError::NotAnId { field: "delete_topic.topic_id", length: 5 })
    );
    let stateless = pb::CreatePartition { at: Some(pb::TopicIdPartition::default()), state: None };
    assert_eq!(kind(Kind::CreatePartition(stateless)), Err(ConvertError::Missing("create_partition.state")));
    let config = pb::SetConfig { resource_type: 3, ..Default::default() };
    assert_eq!(kind(Kind::SetConfig(config)), Err(ConvertError::OutOfRange { field: "resource_type", value: 3 }));
    let mut undurable = partition_to_pb(&partition());
    undurable.durability = 9;
    assert_eq!(partition_from_pb(&undurable), Err(ConvertError::OutOfRange { field: "durability", value: 9 }));
    assert!(matches!(pb::Batch::from_bytes(Bytes::from_static(b"\xff")), Err(ConvertError::Undecodable { .. })));
}

#[test]
fn partitions_and_their_names_survive() {
    assert_eq!(partition_from_pb(&partition_to_pb(&partition())), Ok(partition()));
    let at = TopicIdPartition { topic_id: TopicId(Uuid([8; 16])), partition: -1 };
    assert_eq!(TopicIdPartition::try_from(&pb::TopicIdPartition::from(at)), Ok(at));
}
