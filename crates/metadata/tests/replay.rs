//! What records do to an image, which entries count, and that a snapshot rebuilds what it was taken of.

use std::sync::Arc;

use raftsman_metadata::{
    BrokerRegistration, BrokerState, ConfigResource, Durability, EntryOutcome, MetadataDelta, MetadataEntry,
    MetadataImage, MetadataRecord, PartitionChange, PartitionImage, RecoveryState,
};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition, Uuid,
};

fn topic_id(n: u8) -> TopicId {
    TopicId(Uuid([n; 16]))
}

fn broker(id: i32, epoch: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker(Arc::new(BrokerRegistration {
        id: BrokerId(id),
        broker_epoch: BrokerEpoch(epoch),
        incarnation: IncarnationId(Uuid([1; 16])),
        listeners: Vec::new(),
        inter_broker_listener: "PLAINTEXT".into(),
        rack: Some("r".into()),
        directories: vec![DirectoryId(Uuid([3; 16]))],
        offline_directories: Vec::new(),
        state: BrokerState::Fenced,
        features: vec![("metadata.version".into(), 1, 2)],
        boot_id: "b".into(),
        log_durability: Durability::Written,
    }))
}

fn partition(topic: u8, index: i32) -> MetadataRecord {
    let state = PartitionImage {
        replicas: vec![BrokerId(1), BrokerId(2)],
        directories: vec![DirectoryId::ZERO; 2],
        isr: vec![BrokerId(1)],
        elr: vec![BrokerId(2)],
        leader: Some(BrokerId(1)),
        ..PartitionImage::default()
    };
    MetadataRecord::CreatePartition { topic_id: topic_id(topic), partition: index, state: Arc::new(state) }
}

fn set(resource: ConfigResource, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::SetConfig { resource, key: key.into(), value: value.map(Into::into) }
}

fn topic(name: &str, id: u8) -> MetadataRecord {
    MetadataRecord::CreateTopic { name: name.into(), topic_id: topic_id(id) }
}

fn sample() -> MetadataImage {
    let mut image = MetadataImage::default();
    let entries = [
        vec![MetadataRecord::Activate { controller: BrokerId(3), epoch: None }],
        vec![
            MetadataRecord::FormCluster { cluster_id: "c".into() },
            MetadataRecord::SetFeatureLevel { name: "metadata.version".into(), level: 7 },
        ],
        vec![broker(1, 3), broker(2, 3)],
        vec![MetadataRecord::UnfenceBroker { broker: BrokerId(1), broker_epoch: BrokerEpoch(3) }],
        vec![topic("a", 1), partition(1, 0), partition(1, 1), topic("b", 2), partition(2, 0)],
        vec![
            set(ConfigResource::topic("a"), "retention.ms", Some("5")),
            set(ConfigResource::cluster(), "min.insync.replicas", Some("2")),
            MetadataRecord::AllocateProducerIds {
                broker: BrokerId(1),
                broker_epoch: BrokerEpoch(3),
                next_producer_id: 1000,
            },
        ],
    ];
    for records in entries {
        let entry = MetadataEntry { base_version: image.version, records };
        assert_eq!(image.replay(&entry), EntryOutcome::Applied);
    }
    image
}

fn replay(image: &mut MetadataImage, records: Vec<MetadataRecord>) {
    let entry = MetadataEntry { base_version: image.version, records };
    assert_eq!(image.replay(&entry), EntryOutcome::Applied);
}

#[test]
fn an_entry_counts_only_on_the_version_it_was_decided_on() {
    let mut image = sample();
    let before = image.clone();
    for base_version in [0, before.version - 1, before.version + 1] {
        let entry = MetadataEntry { base_version, records: vec![topic("late", 9)] };
        assert_eq!(image.replay(&entry), EntryOutcome::Stale);
        assert_eq!(image, before);
    }
    // An activation counts on any, but only alone.
    let activate = MetadataRecord::Activate { controller: BrokerId(4), epoch: None };
    let smuggled = MetadataEntry { base_version: 0, records: vec![activate.clone(), topic("late", 9)] };
    assert_eq!(image.replay(&smuggled), EntryOutcome::Stale);
    assert_eq!(image.replay(&MetadataEntry { base_version: 0, records: vec![activate] }), EntryOutcome::Applied);
    assert_eq!(image.version, before.version + 1);
    assert_eq!(image.controller, Some((BrokerId(4), before.version + 1)));
}

#[test]
fn an_unknown_target_leaves_no_effect() {
    let mut image = sample();
    let before = image.clone();
    let (nobody, stale) = (BrokerId(9), BrokerEpoch(2));
    let unknown =
        PartitionChange { topic_id: topic_id(9), partition: 0, isr: Some(vec![]), ..PartitionChange::default() };
    replay(
        &mut image,
        vec![
            MetadataRecord::FenceBroker { broker: nobody, broker_epoch: BrokerEpoch(3) },
            MetadataRecord::FenceBroker { broker: BrokerId(1), broker_epoch: stale },
            MetadataRecord::StartControlledShutdown { broker: BrokerId(1), broker_epoch: stale },
            MetadataRecord::UnregisterBroker { broker: BrokerId(1), broker_epoch: stale },
            MetadataRecord::DeleteTopic { topic_id: topic_id(9) },
            MetadataRecord::ChangePartition(PartitionChange { topic_id: topic_id(1), partition: 9, ..unknown.clone() }),
            MetadataRecord::ChangePartition(unknown),
            partition(9, 0),
            partition(1, 0),
            topic("a", 8),
            topic("z", 1),
            set(ConfigResource::topic("b"), "retention.ms", None),
            MetadataRecord::SetFeatureLevel { name: "group.version".into(), level: 0 },
        ],
    );
    assert_eq!(image, MetadataImage { version: before.version + 1, ..before });
}

#[test]
fn a_partition_changes_only_where_the_record_says_so() {
    let mut image = sample();
    let at = TopicIdPartition { topic_id: topic_id(1), partition: 1 };
    let change = PartitionChange {
        topic_id: at.topic_id,
        partition: at.partition,
        leader: Some(None),
        bump_leader_epoch: true,
        isr: Some(Vec::new()),
        elr: Some(vec![BrokerId(1), BrokerId(2)]),
        last_known_leader: Some(Some(BrokerId(1))),
        recovery_state: Some(RecoveryState::Recovering),
        durability: Some(Durability::Written),
        ..PartitionChange::default()
    };
    replay(&mut image, vec![MetadataRecord::ChangePartition(change)]);
    let state = image.partition(at).expect("it exists");
    assert_eq!((state.leader, state.last_known_leader), (None, Some(BrokerId(1))));
    assert_eq!((state.leader_epoch, state.partition_epoch), (LeaderEpoch(1), PartitionEpoch(1)));
    assert_eq!((state.isr.len(), state.elr.len(), state.replicas.len()), (0, 2, 2));
    assert_eq!((state.recovery_state, state.durability), (RecoveryState::Recovering, Durability::Written));
}

#[test]
fn a_deleted_topic_takes_its_settings_and_its_name_along() {
    let mut image = sample();
    replay(&mut image, vec![MetadataRecord::DeleteTopic { topic_id: topic_id(1) }]);
    assert!(image.topic_by_name("a").is_none() && image.topic(topic_id(1)).is_none());
    assert_eq!(image.config(&ConfigResource::topic("a"), "retention.ms"), None);
    replay(&mut image, vec![topic("a", 5)]);
    assert_eq!(image.topic_by_name("a").map(|topic| topic.id), Some(topic_id(5)));
}

#[test]
fn a_snapshot_rebuilds_the_image_it_was_taken_of() {
    for image in [MetadataImage::default(), sample()] {
        let rebuilt = MetadataImage::from_snapshot(image.version, image.to_records());
        assert_eq!(rebuilt, image);
    }
}

#[test]
fn a_delta_names_what_differs_and_nothing_else() {
    let before = sample();
    assert!(MetadataDelta::between(&before, &before.clone()).is_empty());
    let mut after = before.clone();
    replay(
        &mut after,
        vec![
            MetadataRecord::FenceBroker { broker: BrokerId(1), broker_epoch: BrokerEpoch(3) },
            MetadataRecord::DeleteTopic { topic_id: topic_id(2) },
            partition(1, 7),
            set(ConfigResource::cluster(), "min.insync.replicas", Some("1")),
        ],
    );
    let delta = MetadataDelta::between(&before, &after);
    let partitions: Vec<(&str, i32, bool, bool)> =
        delta.partitions.iter().map(|p| (&*p.topic, p.at.partition, p.before.is_some(), p.after.is_some())).collect();
    assert_eq!(partitions, [("a", 7, false, true), ("b", 0, true, false)]);
    assert_eq!(delta.brokers, [BrokerId(1)]);
    assert_eq!(delta.configs, [ConfigResource::cluster()]);
}

#[test]
#[should_panic(expected = "outside of ISR")]
fn a_leader_outside_of_the_isr_stops_the_process() {
    let mut image = sample();
    let leader = Some(Some(BrokerId(2)));
    let change = PartitionChange { topic_id: topic_id(1), partition: 0, leader, ..PartitionChange::default() };
    image.replay_record(&MetadataRecord::ChangePartition(change));
}

#[test]
#[should_panic(expected = "must never fall")]
fn a_broker_epoch_that_falls_stops_the_process() {
    sample().replay_record(&broker(1, 2));
}

#[test]
#[should_panic(expected = "never be handed out twice")]
fn producer_ids_handed_out_twice_stop_the_process() {
    sample().replay_record(&MetadataRecord::AllocateProducerIds {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch(3),
        next_producer_id: 999,
    });
}
