//! What each record does to an image. Shape A's second half: total, deterministic, deciding nothing.
//!
//! A record whose target is unknown leaves no effect. A record that would break an invariant of the image
//! (a leader outside the ISR, an ISR outside the replicas, an epoch that falls) is a bug in `decide`, and stops the process.

use std::sync::Arc;

use imbl::OrdMap;
use raftsman_types::{BrokerEpoch, BrokerId, TopicId, TopicIdPartition};

use crate::{
    BrokerRegistration, BrokerState, ConfigResource, EntryOutcome, MetadataEntry, MetadataImage, MetadataRecord,
    PartitionChange, PartitionImage, Settings, TopicImage,
};

impl MetadataImage {
    /// Replays an entry if it was decided on this very version (an `Activate` alone on any), which raises the
    /// version by one; else leaves everything as it is. Every node computes the same answer.
    pub fn replay(&mut self, entry: &MetadataEntry) -> EntryOutcome {
        if !entry.applies_to(self.version) {
            return EntryOutcome::Stale;
        }
        for record in &entry.records {
            self.replay_record(record);
        }
        self.close_entry();
        EntryOutcome::Applied
    }

    /// Replays one record of an entry that is still being decided: the version stays what it was until `close_entry`.
    pub fn replay_record(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Activate { controller, epoch } => self.activate(*controller, *epoch),
            MetadataRecord::FormCluster { cluster_id } => self.cluster_id = Some(cluster_id.clone()),
            MetadataRecord::SetFeatureLevel { name, level: 0 } => {
                self.features.remove(name);
            }
            MetadataRecord::SetFeatureLevel { name, level } => {
                self.features.insert(name.clone(), *level);
            }
            MetadataRecord::RegisterBroker(registration) => self.register(registration),
            MetadataRecord::UnregisterBroker { broker, broker_epoch } => {
                if self.broker_epoch(*broker) == Some(*broker_epoch) {
                    self.brokers.remove(broker);
                    self.configs.remove(&ConfigResource::broker(*broker));
                }
            }
            MetadataRecord::FenceBroker { broker, broker_epoch } => {
                self.set_broker_state(*broker, *broker_epoch, BrokerState::Fenced);
            }
            MetadataRecord::UnfenceBroker { broker, broker_epoch } => {
                self.set_broker_state(*broker, *broker_epoch, BrokerState::Unfenced);
            }
            MetadataRecord::StartControlledShutdown { broker, broker_epoch } => {
                self.set_broker_state(*broker, *broker_epoch, BrokerState::ControlledShutdown);
            }
            MetadataRecord::CreateTopic { name, topic_id } => self.create_topic(name, *topic_id),
            MetadataRecord::DeleteTopic { topic_id } => self.delete_topic(*topic_id),
            MetadataRecord::CreatePartition { topic_id, partition, state } => {
                self.create_partition(*topic_id, *partition, state);
            }
            MetadataRecord::ChangePartition(change) => self.change_partition(change),
            MetadataRecord::SetConfig { resource, key, value } => self.set_config(resource, key, value.as_ref()),
            MetadataRecord::AllocateProducerIds { next_producer_id, .. } => {
                assert!(*next_producer_id >= self.next_producer_id, "producer ids must never be handed out twice");
                self.next_producer_id = *next_producer_id;
            }
        }
    }

    /// Ends an entry whose records were replayed one by one: the version rises by one.
    pub fn close_entry(&mut self) {
        self.version += 1;
    }

    fn activate(&mut self, controller: BrokerId, epoch: Option<u64>) {
        let epoch = epoch.unwrap_or(self.version + 1);
        let before = self.controller.map_or(0, |(_, epoch)| epoch);
        assert!(epoch >= before, "controller epoch must never fall: {before} to {epoch}");
        self.controller = Some((controller, epoch));
    }

    fn register(&mut self, registration: &Arc<BrokerRegistration>) {
        if let Some(before) = self.broker_epoch(registration.id) {
            let now = registration.broker_epoch;
            assert!(now >= before, "epoch of broker {} must never fall: {before} to {now}", registration.id);
        }
        self.brokers.insert(registration.id, registration.clone());
    }

    fn set_broker_state(&mut self, broker: BrokerId, broker_epoch: BrokerEpoch, state: BrokerState) {
        if let Some(registration) = self.brokers.get_mut(&broker)
            && registration.broker_epoch == broker_epoch
        {
            Arc::make_mut(registration).state = state;
        }
    }

    fn create_topic(&mut self, name: &Arc<str>, topic_id: TopicId) {
        if self.topics.contains_key(&topic_id) || self.topic_ids.contains_key(name) {
            return;
        }
        let topic = TopicImage { id: topic_id, name: name.clone(), partitions: OrdMap::new() };
        self.topics.insert(topic_id, Arc::new(topic));
        self.topic_ids.insert(name.clone(), topic_id);
    }

    fn delete_topic(&mut self, topic_id: TopicId) {
        if let Some(topic) = self.topics.remove(&topic_id) {
            self.topic_ids.remove(&topic.name);
            self.configs.remove(&ConfigResource::topic(topic.name.clone()));
        }
    }

    fn create_partition(&mut self, topic_id: TopicId, partition: i32, state: &Arc<PartitionImage>) {
        let Some(topic) = self.topics.get_mut(&topic_id) else { return };
        if topic.partitions.contains_key(&partition) {
            return;
        }
        assert_valid(TopicIdPartition { topic_id, partition }, state);
        Arc::make_mut(topic).partitions.insert(partition, state.clone());
    }

    fn change_partition(&mut self, change: &PartitionChange) {
        let at = TopicIdPartition { topic_id: change.topic_id, partition: change.partition };
        let Some(topic) = self.topics.get_mut(&at.topic_id) else { return };
        let Some(before) = topic.partitions.get(&at.partition) else { return };
        let after = change.applied_to(before);
        assert_valid(at, &after);
        Arc::make_mut(topic).partitions.insert(at.partition, Arc::new(after));
    }

    fn set_config(&mut self, resource: &ConfigResource, key: &Arc<str>, value: Option<&Arc<str>>) {
        let mut settings = self.configs.get(resource).map_or_else(Settings::new, |settings| (**settings).clone());
        match value {
            Some(value) => settings.insert(key.clone(), value.clone()),
            None => settings.remove(key),
        };
        if settings.is_empty() {
            self.configs.remove(resource);
        } else {
            self.configs.insert(resource.clone(), Arc::new(settings));
        }
    }
}

impl MetadataEntry {
    /// Whether the entry may be replayed onto an image of that version.
    pub fn applies_to(&self, version: u64) -> bool {
        self.base_version == version || matches!(self.records.as_slice(), [MetadataRecord::Activate { .. }])
    }
}

impl PartitionChange {
    /// The partition after this change: its partition epoch rises by one.
    pub fn applied_to(&self, before: &PartitionImage) -> PartitionImage {
        fn put<T: Clone>(field: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                field.clone_from(new);
            }
        }
        let mut after = before.clone();
        put(&mut after.leader, self.leader.as_ref());
        put(&mut after.isr, self.isr.as_ref());
        put(&mut after.elr, self.elr.as_ref());
        put(&mut after.last_known_leader, self.last_known_leader.as_ref());
        put(&mut after.replicas, self.replicas.as_ref());
        put(&mut after.directories, self.directories.as_ref());
        put(&mut after.adding_replicas, self.adding_replicas.as_ref());
        put(&mut after.removing_replicas, self.removing_replicas.as_ref());
        put(&mut after.recovery_state, self.recovery_state.as_ref());
        put(&mut after.durability, self.durability.as_ref());
        after.partition_epoch = before.partition_epoch.next();
        if self.bump_leader_epoch {
            after.leader_epoch = before.leader_epoch.next();
        }
        after
    }
}

fn assert_valid(at: TopicIdPartition, state: &PartitionImage) {
    let PartitionImage { replicas, isr, elr, leader, .. } = state;
    assert!(!replicas.is_empty(), "{at} has no replicas");
    assert!(isr.iter().all(|member| replicas.contains(member)), "{at}: ISR {isr:?} outside of replicas {replicas:?}");
    assert!(elr.iter().all(|member| replicas.contains(member)), "{at}: ELR {elr:?} outside of replicas {replicas:?}");
    assert!(!elr.iter().any(|member| isr.contains(member)), "{at}: ELR {elr:?} and ISR {isr:?} share a member");
    if let Some(leader) = leader {
        assert!(isr.contains(leader), "{at}: leader {leader} outside of ISR {isr:?}");
    }
    assert_eq!(state.directories.len(), replicas.len(), "{at}: one directory for each replica");
}
