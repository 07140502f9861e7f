//! Whatever is asked in whatever order: what is decided keeps the image valid, entry by entry.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use raftsman_controller::decide::{
    AlterConfigs, ClusterSettings, ConfigOperation, ConfigOperationKind, CreatePartitions, CreateTopics, DeleteTopics,
    MorePartitions, Request, ResourceConfigs, TopicReference,
};
use raftsman_metadata::{
    BrokerState, ConfigResource, Durability, EntryOutcome, MetadataDelta, MetadataEntry, MetadataImage,
};
use raftsman_types::{BrokerEpoch, BrokerId, TopicIdPartition};
use support::{World, directory, new_topic, registration};

#[derive(Debug, Clone)]
enum Op {
    Register { broker: i32, start: u8, disk: u8, boot: bool, clean: bool, written: bool, damaged: bool },
    Unfence(i32),
    Fence(i32),
    Shutdown(i32),
    Unregister(i32),
    DiskOffline(i32, u8),
    Create { name: u8, partitions: i32, replicas: i32 },
    Delete(u8),
    Grow(u8, i32),
    Isr { pick: u8, members: u8, stale: bool, recovered: bool },
    MinIsr { topic: Option<u8>, value: Option<i32> },
    Unclean { topic: Option<u8>, on: bool },
    Durability { topic: Option<u8>, written: bool },
    Rebalance,
    ProducerIds(i32),
}

fn broker() -> impl Strategy<Value = i32> {
    1..6i32
}

fn op() -> impl Strategy<Value = Op> {
    let flag = any::<bool>();
    prop_oneof![
        4 => (broker(), 0..4u8, 0..2u8, flag, flag, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(broker, start, disk, boot, clean, written, damaged)| {
                Op::Register { broker, start, disk: disk / 2, boot, clean, written, damaged }
            }
        ),
        1 => (broker(), 0..4u8).prop_map(|(broker, start)| {
            Op::Register { broker, start, disk: 1, boot: true, clean: false, written: false, damaged: false }
        }),
        6 => broker().prop_map(Op::Unfence),
        3 => broker().prop_map(Op::Fence),
        1 => broker().prop_map(Op::Shutdown),
        1 => broker().prop_map(Op::Unregister),
        1 => (broker(), 0..2u8).prop_map(|(broker, disk)| Op::DiskOffline(broker, disk)),
        3 => (0..4u8, 1..4i32, 1..4i32).prop_map(|(name, partitions, replicas)| Op::Create { name, partitions, replicas }),
        1 => (0..4u8).prop_map(Op::Delete),
        1 => (0..4u8, 1..6i32).prop_map(|(name, count)| Op::Grow(name, count)),
        8 => (any::<u8>(), any::<u8>(), prop::bool::weighted(0.1), flag)
            .prop_map(|(pick, members, stale, recovered)| Op::Isr { pick, members, stale, recovered }),
        1 => (prop::option::of(0..4u8), prop::option::of(1..4i32)).prop_map(|(topic, value)| Op::MinIsr { topic, value }),
        1 => (prop::option::of(0..4u8), flag).prop_map(|(topic, on)| Op::Unclean { topic, on }),
        1 => (prop::option::of(0..4u8), flag).prop_map(|(topic, written)| Op::Durability { topic, written }),
        1 => Just(Op::Rebalance),
        1 => broker().prop_map(Op::ProducerIds),
    ]
}

fn name(number: u8) -> String {
    format!("topic{number}")
}

fn configs(world: &World, topic: Option<u8>, key: &str, cluster_key: &str, value: Option<String>) -> Request {
    let (resource, key) = match topic {
        Some(topic) => (ConfigResource::topic(name(topic)), key),
        None => (ConfigResource::cluster(), cluster_key),
    };
    let kind = if value.is_some() { ConfigOperationKind::Set } else { ConfigOperationKind::Delete };
    let operations = vec![ConfigOperation { key: key.into(), value: value.map(Into::into), kind }];
    let resources = vec![ResourceConfigs { resource, operations }];
    Request::AlterConfigs(AlterConfigs {
        sender: world.any_sender(),
        resources,
        validate_only: false,
        incremental: true,
    })
}

fn isr_request(world: &World, pick: u8, members: u8, stale: bool, recovered: bool) -> Option<Request> {
    let partitions: Vec<(String, i32)> = world
        .image
        .topics
        .values()
        .flat_map(|topic| topic.partitions.keys().map(|p| (topic.name.to_string(), *p)).collect::<Vec<_>>())
        .collect();
    let (topic, partition) = partitions.get(usize::from(pick) % partitions.len().max(1))?;
    let state = world.partition(topic, *partition);
    // Mostly sensible: the leader and some of the other replicas.
    let chosen = state.replicas.iter().enumerate();
    let chosen = chosen.filter(|(at, id)| members & (1 << at) != 0 || (members < 250 && state.leader == Some(**id)));
    let isr: Vec<i32> = chosen.map(|(_, id)| id.0).collect();
    let mut request = world.alter_isr(topic, *partition, &isr);
    request.partitions[0].recovered = recovered;
    if stale {
        request.partitions[0].partition_epoch.0 -= 1;
    }
    Some(Request::AlterPartition(request))
}

fn request(world: &World, op: &Op) -> Option<Request> {
    let sender = world.any_sender();
    Some(match op {
        Op::Register { broker, start, disk, boot, clean, written, damaged } => {
            let mut request = registration(*broker, *start);
            request.directories = vec![directory(*broker, *disk)];
            request.boot_id = if *boot { "boot".into() } else { "other".into() };
            if *clean {
                request.clean_shutdown_epoch = world.image.broker_epoch(BrokerId(*broker)).unwrap_or(BrokerEpoch::NONE);
            }
            if *written {
                request.log_durability = Durability::Written;
            }
            if *damaged {
                let ids = world.image.topics.keys();
                request.damaged = ids.map(|id| TopicIdPartition { topic_id: *id, partition: 0 }).collect();
            }
            Request::RegisterBroker(request)
        }
        Op::Unfence(broker) => Request::UnfenceBroker(world.reference(*broker)),
        Op::Fence(broker) => Request::FenceBroker(world.reference(*broker)),
        Op::Shutdown(broker) => Request::ControlledShutdown(world.reference(*broker)),
        Op::Unregister(broker) => Request::UnregisterBroker(world.reference(*broker)),
        Op::DiskOffline(broker, disk) => Request::DirectoriesOffline {
            broker: world.reference(*broker),
            directories: vec![directory(*broker, *disk)],
        },
        Op::Create { name: number, partitions, replicas } => {
            let topics = vec![new_topic(&name(*number), *partitions, *replicas, &[])];
            Request::CreateTopics(CreateTopics { sender, topics, validate_only: false })
        }
        Op::Delete(number) => {
            let topics = vec![TopicReference::Name(name(*number).into())];
            Request::DeleteTopics(DeleteTopics { sender, topics })
        }
        Op::Grow(number, partition_count) => {
            let (name, partition_count) = (name(*number).into(), *partition_count);
            let topics = vec![MorePartitions { name, partition_count, assignments: Vec::new() }];
            Request::CreatePartitions(CreatePartitions { sender, topics, validate_only: false })
        }
        Op::Isr { pick, members, stale, recovered } => return isr_request(world, *pick, *members, *stale, *recovered),
        Op::MinIsr { topic, value } => {
            let key = "min.insync.replicas";
            configs(world, *topic, key, key, value.map(|value| value.to_string()))
        }
        Op::Unclean { topic, on } => {
            let key = "unclean.leader.election.enable";
            configs(world, *topic, key, key, Some(on.to_string()))
        }
        Op::Durability { topic, written } => {
            let value = if *written { "written" } else { "flushed" };
            configs(world, *topic, "durability", "log.durability", Some(value.to_owned()))
        }
        Op::Rebalance => Request::RebalanceLeaders,
        Op::ProducerIds(broker) => Request::AllocateProducerIds(world.reference(*broker)),
    })
}

fn check_image(image: &MetadataImage) {
    for topic in image.topics.values() {
        assert_eq!(image.topic_ids.get(&topic.name), Some(&topic.id));
        for (index, p) in &topic.partitions {
            let at = format!("{}-{index}: {p:?}", topic.name);
            assert!(p.isr.iter().all(|id| p.replicas.contains(id)), "ISR outside of replicas: {at}");
            assert!(p.elr.iter().all(|id| p.replicas.contains(id)), "ELR outside of replicas: {at}");
            assert!(!p.elr.iter().any(|id| p.isr.contains(id)), "ELR and ISR share a member: {at}");
            assert!(p.isr.iter().all(|id| image.is_active(*id)), "a fenced or stopping broker is in the ISR: {at}");
            assert_eq!(p.leader.is_none(), p.isr.is_empty(), "led without ISR or the other way round: {at}");
            assert!(p.leader.is_none_or(|leader| p.isr.contains(&leader)), "leader outside of the ISR: {at}");
            assert!(p.leader.is_none() || p.last_known_leader.is_none(), "led, yet a last known leader: {at}");
            let minimum = image.min_insync_replicas(topic, p);
            assert!(p.isr.len() < minimum || p.elr.is_empty(), "eligible replicas beside a full ISR: {at}");
            let unique: BTreeSet<_> = p.replicas.iter().collect();
            assert_eq!(unique.len(), p.replicas.len(), "a replica twice: {at}");
            assert!(p.durability <= image.durability_of(&topic.name, &p.replicas), "durability not recorded: {at}");
        }
    }
}

fn check_step(before: &MetadataImage, after: &MetadataImage) {
    assert!(after.version > before.version && after.next_producer_id >= before.next_producer_id);
    for (id, broker) in &after.brokers {
        assert!(before.broker_epoch(*id).is_none_or(|epoch| epoch <= broker.broker_epoch));
    }
    let mut changed = BTreeMap::new();
    for topic in after.topics.values() {
        for (partition, now) in &topic.partitions {
            let at = TopicIdPartition { topic_id: topic.id, partition: *partition };
            let Some(old) = before.partition(at) else {
                changed.insert(at, ());
                continue;
            };
            assert!(now.leader_epoch >= old.leader_epoch && now.partition_epoch >= old.partition_epoch);
            assert!(now == old || now.partition_epoch > old.partition_epoch, "changed without a new partition epoch");
            assert!(now.leader == old.leader || now.leader_epoch > old.leader_epoch, "new leader in an old epoch");
            assert!(now.durability <= old.durability, "durability forgotten");
            if let Some(leader) = now.leader {
                let restarted = before.broker_epoch(leader) != after.broker_epoch(leader);
                assert!(!restarted || now.leader_epoch > old.leader_epoch, "leads on after a restart");
            }
            if now != old {
                changed.insert(at, ());
            }
        }
    }
    for topic in before.topics.values() {
        for partition in topic.partitions.keys() {
            let at = TopicIdPartition { topic_id: topic.id, partition: *partition };
            if after.partition(at).is_none() {
                changed.insert(at, ());
            }
        }
    }
    let delta = MetadataDelta::between(before, after);
    assert_eq!(delta.partitions.iter().map(|p| p.at).collect::<Vec<_>>(), changed.into_keys().collect::<Vec<_>>());
    for change in &delta.partitions {
        assert_eq!(change.before.as_ref(), before.partition(change.at));
        assert_eq!(change.after.as_ref(), after.partition(change.at));
    }
    for id in before.brokers.keys().chain(after.brokers.keys()) {
        assert_eq!(delta.brokers.contains(id), before.broker(*id) != after.broker(*id));
    }
    for resource in before.configs.keys().chain(after.configs.keys()) {
        assert_eq!(delta.configs.contains(resource), before.configs.get(resource) != after.configs.get(resource));
    }
}

fn run_checked(world: &mut World, request: &Request) {
    let outcome = world.decide(request);
    for records in outcome.entries {
        assert!(!records.is_empty(), "an empty entry");
        assert!(
            records.iter().map(|r| r.size_bound()).sum::<usize>() <= 256 * 1024 - 64 * 1024,
            "an entry is too large"
        );
        let entry = MetadataEntry { base_version: world.image.version, records };
        let before = world.image.clone();
        assert_eq!(world.image.replay(&entry), EntryOutcome::Applied);
        check_image(&world.image);
        check_step(&before, &world.image);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_requests_keeps_the_image_valid(ops in prop::collection::vec(op(), 1..80), min_isr in 1..3i32) {
        let mut world = World::new(ClusterSettings { min_insync_replicas: Some(min_isr), ..ClusterSettings::default() });
        for broker in 1..4 {
            world.start(broker);
        }
        for op in &ops {
            if let Some(request) = request(&world, op) {
                run_checked(&mut world, &request);
            }
        }
        let image = &world.image;
        let rebuilt = MetadataImage::from_snapshot(image.version, image.to_records());
        prop_assert_eq!(&rebuilt, image);
    }
}

#[test]
fn a_large_change_is_cut_into_entries_that_are_each_valid() {
    let mut world = World::new(ClusterSettings::default());
    for broker in 1..4 {
        world.start(broker);
    }
    let topics = vec![new_topic("large", 9_000, 3, &[])];
    let create = Request::CreateTopics(CreateTopics { sender: world.any_sender(), topics, validate_only: false });
    assert!(world.decide(&create).entries.len() > 5);
    run_checked(&mut world, &create);
    assert_eq!(world.image.topic_by_name("large").map(|topic| topic.partitions.len()), Some(9_000));

    let fence = Request::FenceBroker(world.reference(2));
    assert!(world.decide(&fence).entries.len() > 2);
    run_checked(&mut world, &fence);
    assert_eq!(world.image.broker(BrokerId(2)).map(|b| b.state), Some(BrokerState::Fenced));

    let again = Request::RegisterBroker(registration(3, 1));
    let outcome = world.decide(&again);
    assert!(outcome.entries.len() > 2);
    let version_before = world.image.version;
    run_checked(&mut world, &again);
    // The epoch is the version of the very entry that holds the registration, the last one.
    assert_eq!(world.image.broker_epoch(BrokerId(3)), Some(BrokerEpoch(world.image.version as i64)));
    assert_eq!(world.image.version, version_before + outcome.entries.len() as u64);
}
