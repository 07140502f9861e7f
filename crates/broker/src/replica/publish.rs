//! The metadata's changes become changes of the replicas on this broker.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::Log;
use raftsman_metadata::{BrokerState, ConfigResourceType, Durability, MetadataDelta, MetadataImage, PartitionImage};
use raftsman_metadata::{RecoveryState, TopicImage};
use raftsman_replication::{LeadershipView, ReplicaView};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, TopicIdPartition};

use super::ReplicaManager;
use super::directory::Directory;
use super::fetch_stream::Target;
use super::manager::Publishing;
use super::partition::Partition;
use super::settings::TopicSettings;

impl ReplicaManager {
    /// Takes a change of the metadata: replicas are made and deleted, begin to lead and to follow. Call it with every
    /// image, in order, on one thread; the first delta is from the empty image.
    pub fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let mut publishing = self.inner.publishing.lock();
        if publishing.stopped {
            return;
        }
        self.inner.core.set_image(image);
        self.retarget(delta, image);
        let mut settle: BTreeSet<TopicIdPartition> = delta.partitions.iter().map(|change| change.at).collect();
        for change in &delta.partitions {
            if change.after.is_none() {
                self.delete(change.at, "its topic was deleted");
            }
        }
        let mine_changed = delta.brokers.contains(&self.inner.core.me());
        if mine_changed {
            settle.extend(self.assigned(image));
        } else if !delta.brokers.is_empty() {
            // A replica's standing changed: its leader has to know.
            settle.extend(self.partitions().into_iter().filter(|at| concerns(image, *at, &delta.brokers)));
        }
        self.reconfigure(delta, image, &mut settle);
        self.look_once_for_absent(&mut publishing, image);
        self.settle_all(settle, image);
        self.remove_strays(&mut publishing, image);
    }

    /// This broker is registered under an epoch from now on. Roles taken under an earlier one end.
    pub fn registered(&self, broker_epoch: BrokerEpoch) {
        let mut publishing = self.inner.publishing.lock();
        if publishing.stopped || !self.inner.core.set_broker_epoch(broker_epoch) {
            return;
        }
        publishing.strays_removed = false;
        publishing.absent_known = false;
        self.inner.absent.registered();
        for stream in self.inner.streams.lock().values() {
            stream.restart();
        }
        let image = self.inner.core.image();
        let mut settle: BTreeSet<TopicIdPartition> = self.partitions().into_iter().collect();
        settle.extend(self.assigned(&image));
        self.look_once_for_absent(&mut publishing, &image);
        self.settle_all(settle, &image);
        self.remove_strays(&mut publishing, &image);
    }

    /// Tells the streams where their leaders are.
    fn retarget(&self, delta: &MetadataDelta, image: &MetadataImage) {
        let streams = self.inner.streams.lock();
        for broker in &delta.brokers {
            if let (Some(stream), Some(target)) = (streams.get(broker), target_of(image, *broker)) {
                stream.set_target(target);
            }
        }
    }

    fn look_once_for_absent(&self, publishing: &mut Publishing, image: &MetadataImage) {
        if !publishing.absent_known && self.is_registered_in(image) {
            publishing.absent_known = true;
            let at_start = !std::mem::replace(&mut publishing.was_ever_registered, true);
            self.look_for_absent(image, at_start);
        }
    }

    /// Whether the image has this broker's present registration. In an older one a broker is what its last run was.
    fn is_registered_in(&self, image: &MetadataImage) -> bool {
        let core = &self.inner.core;
        core.broker_epoch() != BrokerEpoch::NONE && image.broker_epoch(core.me()) == Some(core.broker_epoch())
    }

    /// Every partition of the image with a replica on this broker.
    pub(super) fn assigned(&self, image: &MetadataImage) -> Vec<TopicIdPartition> {
        let me = self.inner.core.me();
        let mut assigned = Vec::new();
        for topic in image.topics.values() {
            let mine = topic.partitions.iter().filter(|(_, partition)| partition.has_replica(me));
            assigned.extend(mine.map(|(index, _)| TopicIdPartition { topic_id: topic.id, partition: *index }));
        }
        assigned
    }

    fn reconfigure(&self, delta: &MetadataDelta, image: &MetadataImage, settle: &mut BTreeSet<TopicIdPartition>) {
        let broker_wide = delta.configs.iter().any(|resource| resource.resource_type == ConfigResourceType::Broker);
        let changed = |partition: &Partition| {
            broker_wide
                || delta.configs.iter().any(|resource| {
                    resource.resource_type == ConfigResourceType::Topic && *resource.name == *partition.topic
                })
        };
        if delta.configs.is_empty() {
            return;
        }
        let core = &self.inner.core;
        if broker_wide {
            core.throttle.set_rates(image, core.me(), core.now());
        }
        let partitions: Vec<Arc<Partition>> =
            self.inner.partitions.read().values().filter(|p| changed(p)).cloned().collect();
        let mut settings = HashMap::new();
        for partition in partitions {
            let of_topic = settings
                .entry(Arc::clone(&partition.topic))
                .or_insert_with(|| TopicSettings::of(&partition.topic, image, &core.config));
            partition.set_settings(of_topic.clone());
            // min.insync.replicas may be among them.
            settle.insert(partition.at);
        }
    }

    fn settle_all(&self, settle: BTreeSet<TopicIdPartition>, image: &MetadataImage) {
        for at in settle {
            if let Some(topic) = image.topic(at.topic_id)
                && let Some(state) = topic.partition(at.partition)
            {
                self.settle(at, topic, state, image);
            }
        }
    }

    /// Makes a replica what the image says it is.
    fn settle(&self, at: TopicIdPartition, topic: &TopicImage, state: &PartitionImage, image: &MetadataImage) {
        let core = &self.inner.core;
        let me = core.me();
        if !state.has_replica(me) {
            self.delete(at, "it was moved to other brokers");
            return;
        }
        let existing = self.inner.partitions.read().get(&at).cloned();
        // What its last run was must not be revived.
        if !self.is_registered_in(image) {
            if let Some(partition) = existing {
                partition.resign();
            }
            return;
        }
        let Some(partition) = existing.or_else(|| self.create(at, topic, state, image)) else {
            return self.tell_of_failed_directory(at, state);
        };
        core.link.replica_is_in(at, partition.directory.id, recorded_directory(state, me).unwrap_or(DirectoryId::ZERO));
        match state.leader {
            Some(leader) if leader == me => partition.lead(view(topic, state, image)),
            Some(leader) => {
                let stream = self.inner.stream(leader);
                if let Some(target) = target_of(image, leader) {
                    stream.set_target(target);
                }
                partition.follow(leader, state.leader_epoch, durability(topic, state, image), &stream);
            }
            None => partition.become_idle(state.leader_epoch),
        }
    }

    /// Makes a replica that is not here yet.
    fn create(
        &self,
        at: TopicIdPartition,
        topic: &TopicImage,
        state: &PartitionImage,
        image: &MetadataImage,
    ) -> Option<Arc<Partition>> {
        let core = &self.inner.core;
        if self.withholds(at, state) || !self.discard_damaged(at, state) {
            return None;
        }
        let Some(directory) = self.choose_directory(state) else {
            tracing::error!(topic = %topic.name, partition = at.partition, "no log directory is online for the replica");
            return None;
        };
        let settings = TopicSettings::of(&topic.name, image, &core.config);
        let fs = Arc::clone(directory.files.file_system());
        let path = directory.files.partition_path(&topic.name, at.partition);
        if !self.clear_place(&directory, &path, at) {
            return None;
        }
        match Log::open(fs, path, at.topic_id, settings.log.clone(), false, 0, core.wall_time()) {
            Ok((mut log, _)) => {
                self.inner.memory.grant(&mut log);
                let name = Arc::clone(&topic.name);
                let partition = Partition::new(Arc::clone(core), at, name, directory, log, 0, settings);
                self.inner.partitions.write().insert(at, Arc::clone(&partition));
                Some(partition)
            }
            Err(error) if error.is_out_of_space() => {
                tracing::error!(topic = %topic.name, partition = at.partition, "no room for the replica yet: {error}");
                directory.out_of_space();
                self.inner.unmade.lock().insert(at);
                None
            }
            Err(error) if error.is_out_of_files() => {
                directory.out_of_files(core, &error);
                self.inner.unmade.lock().insert(at);
                None
            }
            Err(error) => {
                directory.fail(core, &error);
                None
            }
        }
    }

    /// Makes the replicas for which there was no room, or no file, if there is now.
    pub(super) fn make_unmade(&self) {
        if self.inner.unmade.lock().is_empty() {
            return;
        }
        let publishing = self.inner.publishing.lock();
        if !publishing.stopped {
            let unmade = std::mem::take(&mut *self.inner.unmade.lock());
            self.settle_all(unmade, &self.inner.core.image());
        }
    }

    /// A damaged replica is thrown away, and one of a format that is not served is put aside, only when the metadata does not
    /// count on it any more: another broker leads, and it is neither in the ISR nor in the ELR. Says whether the place is free.
    fn discard_damaged(&self, at: TopicIdPartition, state: &PartitionImage) -> bool {
        let me = self.inner.core.me();
        let mut damaged = self.inner.damaged.lock();
        let Some(replica) = damaged.get(&at) else { return true };
        let counted = state.isr.contains(&me) || state.elr.contains(&me);
        if counted || state.leader.is_none() || state.leader == Some(me) {
            return false;
        }
        let is_gone = match replica.is_intact {
            // It may be the only one with its records, whatever the metadata says.
            true => replica.directory.set_stray_aside(&self.inner.core, &replica.path),
            // At once: the copy needs the room.
            false => replica.directory.retire(&self.inner.core, &replica.path, Duration::ZERO),
        };
        if is_gone {
            damaged.remove(&at);
        }
        is_gone
    }

    /// Another topic's directory of the same name has to go first: its topic was deleted while this broker was away, or it
    /// says a wrong id. Says whether the place is free.
    fn clear_place(&self, directory: &Arc<Directory>, path: &Path, at: TopicIdPartition) -> bool {
        if !directory.files.file_system().exists(path).unwrap_or(true) {
            return true;
        }
        let found: Vec<TopicIdPartition> = self
            .inner
            .partitions
            .read()
            .values()
            .filter(|p| p.at != at && Arc::ptr_eq(&p.directory, directory))
            .filter(|p| directory.files.partition_path(&p.topic, p.at.partition) == *path)
            .map(|p| p.at)
            .collect();
        if !found.into_iter().all(|stray| self.set_stray_aside(stray)) {
            return false;
        }
        let mut damaged = self.inner.damaged.lock();
        let in_the_way = damaged.iter().find(|(other, replica)| **other != at && replica.path == *path);
        let Some(stray) = in_the_way.map(|(stray, _)| *stray) else { return true };
        damaged.remove(&stray);
        directory.set_stray_aside(&self.inner.core, path)
    }

    /// The directory the metadata names, else the online one with the fewest replicas.
    fn choose_directory(&self, state: &PartitionImage) -> Option<Arc<Directory>> {
        let me = self.inner.core.me();
        let named = recorded_directory(state, me);
        let online = || self.inner.directories.iter().filter(|d| !d.is_offline());
        if let Some(directory) = named.and_then(|id| online().find(|d| d.id == id)) {
            return Some(Arc::clone(directory));
        }
        if self.inner.directories.len() == 1 {
            return online().next().cloned();
        }
        // A full one only if all are.
        let any_has_room = online().any(|d| !d.is_full());
        let online = || online().filter(|d| !any_has_room || !d.is_full());
        let partitions = self.inner.partitions.read();
        let count =
            |directory: &Arc<Directory>| partitions.values().filter(|p| Arc::ptr_eq(&p.directory, directory)).count();
        online().min_by_key(|d| count(d)).cloned()
    }

    fn delete(&self, at: TopicIdPartition, reason: &str) {
        self.inner.absent.forget(at);
        let Some(partition) = self.inner.partitions.write().remove(&at) else { return };
        tracing::info!(partition = %partition.name(), "deletes its replica: {reason}");
        let delay = partition.file_delete_delay();
        partition.end();
        partition.directory.retire(&self.inner.core, &partition.path(), delay);
    }

    /// Says whether the place of a replica that nobody knows is free now.
    fn set_stray_aside(&self, at: TopicIdPartition) -> bool {
        let Some(partition) = self.inner.partitions.write().remove(&at) else { return true };
        partition.end();
        partition.directory.set_stray_aside(&self.inner.core, &partition.path())
    }

    /// Looks after replicas that this broker should not have: of topics that were deleted while it was away, or moved to other
    /// brokers. An image is sure to know every topic that was ever here only once it has this broker's registration. A topic
    /// that is in no image may be one whose id was damaged on the disk: what is left of it is kept, as Kafka does.
    fn remove_strays(&self, publishing: &mut Publishing, image: &MetadataImage) {
        let core = &self.inner.core;
        if publishing.strays_removed || !self.is_registered_in(image) {
            return;
        }
        publishing.strays_removed = true;
        for at in self.partitions() {
            match image.partition(at) {
                None => {
                    self.set_stray_aside(at);
                }
                Some(state) if !state.has_replica(core.me()) => self.delete(at, "it was moved to other brokers"),
                Some(_) => {}
            }
        }
        let mut damaged = self.inner.damaged.lock();
        damaged.retain(|at, replica| match image.partition(*at) {
            None => !replica.directory.set_stray_aside(core, &replica.path),
            Some(state) if !state.has_replica(core.me()) => {
                !replica.directory.retire(core, &replica.path, Duration::ZERO)
            }
            Some(_) => true,
        });
    }
}

fn concerns(image: &MetadataImage, at: TopicIdPartition, brokers: &[BrokerId]) -> bool {
    image.partition(at).is_some_and(|state| brokers.iter().any(|id| state.has_replica(*id)))
}

/// The directory that the metadata names for a broker's replica.
pub(super) fn recorded_directory(state: &PartitionImage, broker: BrokerId) -> Option<DirectoryId> {
    let index = state.replicas.iter().position(|id| *id == broker)?;
    state.directories.get(index).copied()
}

fn target_of(image: &MetadataImage, broker: BrokerId) -> Option<Target> {
    let listener = image.broker(broker)?.inter_broker()?;
    Some(Target { host: Arc::clone(&listener.host), port: listener.port })
}

/// What an acknowledgement means now. What is recorded with the partition is the weakest that held, for restarts.
fn durability(topic: &TopicImage, state: &PartitionImage, image: &MetadataImage) -> raftsman_replication::Durability {
    match image.durability_of(&topic.name, &state.replicas) {
        Durability::Written => raftsman_replication::Durability::Written,
        Durability::Flushed => raftsman_replication::Durability::Flushed,
    }
}

fn view(topic: &TopicImage, state: &PartitionImage, image: &MetadataImage) -> LeadershipView {
    let standing = |id: &BrokerId| {
        let registration = image.broker(*id);
        ReplicaView {
            broker: *id,
            broker_epoch: registration.map_or(BrokerEpoch::NONE, |r| r.broker_epoch),
            eligible: registration.is_some_and(|r| r.state == BrokerState::Unfenced),
        }
    };
    LeadershipView {
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.iter().map(standing).collect(),
        isr: state.isr.clone(),
        min_insync_replicas: image.min_insync_replicas(topic, state),
        durability: durability(topic, state, image),
        recovering: state.recovery_state == RecoveryState::Recovering,
    }
}
