//! A cluster's metadata without a cluster: requests are decided and replayed at once.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use raftsman_controller::decide::{
    self, AlterPartition, BrokerReference, ClusterSettings, CreateTopics, Liveness, NewTopic, Outcome, PartitionIsr,
    RegisterBroker, Reply, Request, Situation,
};
use raftsman_metadata::{Durability, EntryOutcome, Listener, MetadataEntry, MetadataImage, PartitionImage};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch, TopicIdPartition, Uuid};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub struct World {
    pub settings: ClusterSettings,
    pub image: MetadataImage,
    pub live: BTreeSet<BrokerId>,
    pub unheard: BTreeSet<BrokerId>,
    pub rng: StdRng,
    /// Every entry ever replayed.
    pub log: Vec<MetadataEntry>,
}

impl World {
    /// A formed cluster without brokers.
    pub fn new(settings: ClusterSettings) -> World {
        let mut world = World {
            settings,
            image: MetadataImage::default(),
            live: BTreeSet::new(),
            unheard: BTreeSet::new(),
            rng: StdRng::seed_from_u64(7),
            log: Vec::new(),
        };
        world.replay(decide::activate(BrokerId(1)));
        let records = decide::form_cluster(&world.settings, &"cluster".into());
        world.replay(records);
        world
    }

    fn replay(&mut self, records: Vec<raftsman_metadata::MetadataRecord>) {
        let entry = MetadataEntry { base_version: self.image.version, records };
        assert_eq!(self.image.replay(&entry), EntryOutcome::Applied);
        self.log.push(entry);
    }

    /// Decides a request without letting it happen.
    pub fn decide(&mut self, request: &Request) -> Outcome {
        let liveness = |broker| match (self.live.contains(&broker), self.unheard.contains(&broker)) {
            (true, _) => Liveness::Lives,
            (false, true) => Liveness::Unheard,
            (false, false) => Liveness::Gone,
        };
        let situation = Situation { settings: &self.settings, image: &self.image, liveness: &liveness };
        decide::decide(&situation, request, &mut self.rng)
    }

    /// Decides a request and replays what was decided.
    pub fn run(&mut self, request: &Request) -> Outcome {
        let outcome = self.decide(request);
        for records in &outcome.entries {
            self.replay(records.clone());
        }
        outcome
    }

    pub fn reference(&self, broker: i32) -> BrokerReference {
        let broker = BrokerId(broker);
        BrokerReference { broker, broker_epoch: self.image.broker_epoch(broker).unwrap_or(BrokerEpoch::NONE) }
    }

    /// Registers and unfences a broker.
    pub fn start(&mut self, broker: i32) -> &mut World {
        let outcome = self.run(&Request::RegisterBroker(registration(broker, 0)));
        assert!(matches!(outcome.reply, Reply::RegisterBroker(Ok(_))), "{:?}", outcome.reply);
        self.run(&Request::UnfenceBroker(self.reference(broker)));
        self
    }

    pub fn fence(&mut self, broker: i32) -> &mut World {
        self.run(&Request::FenceBroker(self.reference(broker)));
        self
    }

    pub fn unfence(&mut self, broker: i32) -> &mut World {
        self.run(&Request::UnfenceBroker(self.reference(broker)));
        self
    }

    /// Creates a topic with replicas by hand.
    pub fn create(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> &mut World {
        let assignments = replicas.iter().enumerate();
        let assignments =
            assignments.map(|(at, list)| (at as i32, list.iter().copied().map(BrokerId).collect())).collect();
        let topic = NewTopic { assignments, ..new_topic(name, -1, -1, configs) };
        let sender = self.any_sender();
        let outcome =
            self.run(&Request::CreateTopics(CreateTopics { sender, topics: vec![topic], validate_only: false }));
        assert!(self.image.topic_by_name(name).is_some(), "{:?}", outcome.reply);
        self
    }

    /// Any registered broker, as the sender of an administrator's request.
    pub fn any_sender(&self) -> BrokerReference {
        self.reference(self.image.brokers.keys().next().map_or(-1, |id| id.0))
    }

    pub fn at(&self, topic: &str, partition: i32) -> TopicIdPartition {
        let topic_id = self.image.topic_by_name(topic).expect("the test created it").id;
        TopicIdPartition { topic_id, partition }
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Arc<PartitionImage> {
        self.image.partition(self.at(topic, partition)).expect("the test created it").clone()
    }

    /// The leader proposes an ISR, with the epochs as they are.
    pub fn alter_isr(&self, topic: &str, partition: i32, isr: &[i32]) -> AlterPartition {
        let state = self.partition(topic, partition);
        let leader = state.leader.unwrap_or(BrokerId::NONE);
        AlterPartition {
            sender: self.reference(leader.0),
            partitions: vec![PartitionIsr {
                at: self.at(topic, partition),
                leader_epoch: state.leader_epoch,
                partition_epoch: PartitionEpoch(state.partition_epoch.0),
                new_isr: isr.iter().map(|id| self.reference(*id)).collect(),
                recovered: false,
            }],
        }
    }
}

/// The `start`th start of a broker, after an unclean stop, on one machine and one disk.
pub fn registration(broker: i32, start: u8) -> RegisterBroker {
    RegisterBroker {
        broker: BrokerId(broker),
        incarnation: IncarnationId(Uuid([broker as u8, start, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])),
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: format!("host{broker}").into(),
            port: 9092,
            security_protocol: 0,
        }],
        inter_broker_listener: "PLAINTEXT".into(),
        rack: None,
        directories: vec![directory(broker, 0)],
        offline_directories: 0,
        features: Vec::new(),
        boot_id: "boot".into(),
        clean_shutdown_epoch: BrokerEpoch::NONE,
        min_insync_replicas: None,
        damaged: Vec::new(),
        missing: Vec::new(),
        log_durability: Durability::Flushed,
    }
}

pub fn directory(broker: i32, number: u8) -> DirectoryId {
    DirectoryId(Uuid([broker as u8, number, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]))
}

pub fn new_topic(name: &str, partition_count: i32, replication_factor: i32, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs.iter().map(|(key, value)| ((*key).into(), Some((*value).into()))).collect();
    NewTopic { name: name.into(), partition_count, replication_factor, assignments: Vec::new(), configs }
}
