//! What a broker misses at its start: a log directory that has failed, or replicas in one that is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::RealFs;
use raftsman_metadata::{MetadataDelta, MetadataImage, PartitionImage, TopicImage};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, TopicIdPartition, Uuid};
use tokio::runtime::Runtime;

use super::cluster::{AT, await_condition, batch, registration};
use crate::replica::{
    Acks, AppendError, AppendOrigin, BoxFuture, ControllerLink, FetchError, Isolation, IsrChange, IsrChangeFailure,
    IsrChangeResult, MissingReplicas, OpenError, ReplicaConfig, ReplicaManager,
};

const A: DirectoryId = DirectoryId(Uuid([1; 16]));
const B: DirectoryId = DirectoryId(Uuid([2; 16]));

struct NoController;

impl ControllerLink for NoController {
    fn alter_partition(
        &self,
        _changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async { Err(IsrChangeFailure::NotTaken("there is no controller".to_owned())) })
    }

    fn report_unreachable(&self, _broker: BrokerId) {}

    fn directory_offline(&self, _directory: DirectoryId) {}
}

struct Rig {
    place: tempfile::TempDir,
    runtime: Runtime,
    image: MetadataImage,
}

/// A running broker.
struct Node(ReplicaManager);

impl Rig {
    /// With replicas of these partitions on the broker, recorded in these directories.
    fn new(partitions: &[(i32, DirectoryId)]) -> Rig {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let image = MetadataImage { version: 1, cluster_id: Some("test".into()), ..MetadataImage::default() };
        let mut rig = Rig { place: tempfile::tempdir().unwrap(), runtime, image };
        let topic = TopicImage { id: AT.topic_id, name: "orders".into(), partitions: Default::default() };
        rig.image.topic_ids.insert("orders".into(), AT.topic_id);
        rig.image.topics.insert(AT.topic_id, Arc::new(topic));
        for (partition, directory) in partitions {
            rig.add(*partition, *directory);
        }
        rig
    }

    fn add(&mut self, partition: i32, directory: DirectoryId) {
        let state = PartitionImage {
            replicas: vec![BrokerId(1)],
            directories: vec![directory],
            isr: vec![BrokerId(1)],
            leader: Some(BrokerId(1)),
            ..PartitionImage::default()
        };
        let mut topic = (**self.image.topic(AT.topic_id).unwrap()).clone();
        topic.partitions.insert(partition, Arc::new(state));
        self.image.topics.insert(AT.topic_id, Arc::new(topic));
        self.image.version += 1;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn files(&self, name: &str, id: DirectoryId) -> LogDirectory {
        let files = LogDirectory::open(Arc::new(RealFs::new()), self.path(name)).unwrap();
        let properties =
            MetaProperties { cluster_id: None, node_id: BrokerId(1), directory_id: Some(id), has_joined: true };
        files.write_meta_properties(&properties).unwrap();
        files
    }

    /// Opens the directories with these names, the others being unusable.
    fn open(&self, names: &[&str]) -> Result<ReplicaManager, OpenError> {
        let all = [("a", A), ("b", B)];
        let (open, unusable): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| names.contains(name));
        let mut config = ReplicaConfig::new(BrokerId(1));
        config.session_timeout = Duration::from_secs(3600);
        config.unusable_directories = unusable.iter().map(|(name, _)| self.path(name)).collect();
        let files = open.iter().map(|(name, id)| self.files(name, *id)).collect();
        ReplicaManager::open(config, files, Arc::new(NoController), self.runtime.handle().clone())
    }

    /// Starts the broker and has it registered.
    fn start(&mut self, names: &[&str]) -> Node {
        let node = Node(self.open(names).unwrap());
        node.0.registered(self.register());
        node.publish(&MetadataImage::default(), &self.image);
        let missing = node.0.missing();
        assert_eq!(node.0.has_missing(), missing != MissingReplicas::default());
        if node.0.has_missing() {
            // The controller takes it at its word; what nobody ever had it lets the last leader begin.
            let before = self.image.clone();
            for at in missing.gone.iter().chain(&missing.never_made) {
                assert_eq!(node.append(at.partition), Err(AppendError::NotLeaderOrFollower));
                self.lead(at.partition, false);
            }
            node.0.registered(self.register());
            node.publish(&before, &self.image);
            assert!(!node.0.has_missing());
            missing.never_made.iter().for_each(|at| self.elect(&node, at.partition));
        }
        node
    }

    /// Elects the broker, or nobody.
    fn lead(&mut self, partition: i32, leads: bool) {
        let mut topic = (**self.image.topic(AT.topic_id).unwrap()).clone();
        let mut state = (**topic.partition(partition).unwrap()).clone();
        state.leader = leads.then_some(BrokerId(1));
        state.isr = state.leader.into_iter().collect();
        state.leader_epoch = state.leader_epoch.next();
        topic.partitions.insert(partition, Arc::new(state));
        self.image.topics.insert(AT.topic_id, Arc::new(topic));
        self.image.version += 1;
    }

    fn elect(&mut self, node: &Node, partition: i32) {
        let before = self.image.clone();
        self.lead(partition, true);
        node.publish(&before, &self.image);
    }

    /// Starts the broker, and says which replicas it finds gone.
    fn start_and_miss(&mut self, partition: i32) -> Node {
        let probe = Node(self.open(&["a", "b"]).unwrap());
        probe.0.registered(self.register());
        probe.publish(&MetadataImage::default(), &self.image);
        let expected = MissingReplicas { gone: [at(partition)].into(), ..MissingReplicas::default() };
        assert_eq!(probe.0.missing(), expected);
        assert!(!has(&self.path("a"), partition), "it was made anew while it is counted on");
        drop(probe);
        await_condition("the directory is unlocked", || {
            LogDirectory::open(Arc::new(RealFs::new()), self.path("a")).is_ok()
        });
        await_condition("the directory is unlocked", || {
            LogDirectory::open(Arc::new(RealFs::new()), self.path("b")).is_ok()
        });
        self.start(&["a", "b"])
    }

    fn register(&mut self) -> BrokerEpoch {
        let epoch = BrokerEpoch(self.image.version as i64 + 1);
        self.image.version += 1;
        self.image.brokers.insert(BrokerId(1), Arc::new(registration(1, epoch, 1)));
        // Nobody goes on in a leader epoch of before.
        let mut topic = (**self.image.topic(AT.topic_id).unwrap()).clone();
        for (index, partition) in topic.partitions.clone() {
            let leader_epoch = partition.leader_epoch.next();
            topic.partitions.insert(index, Arc::new(PartitionImage { leader_epoch, ..(*partition).clone() }));
        }
        self.image.topics.insert(AT.topic_id, Arc::new(topic));
        epoch
    }
}

impl Node {
    fn publish(&self, before: &MetadataImage, image: &MetadataImage) {
        self.0.publish(&MetadataDelta::between(before, image), &Arc::new(image.clone()));
        self.0.controller_heard(std::time::Instant::now(), false);
    }

    fn append(&self, partition: i32) -> Result<i64, AppendError> {
        let records: Bytes = batch(&["a value"]);
        self.0.append(at(partition), records, Acks::Leader, AppendOrigin::Client).map(|appended| appended.base_offset)
    }
}

fn at(partition: i32) -> TopicIdPartition {
    TopicIdPartition { partition, ..AT }
}

fn has(directory: &Path, partition: i32) -> bool {
    directory.join(format!("orders-{partition}")).exists()
}

#[test]
fn what_may_be_in_a_failed_directory_is_not_made_anew() {
    // The second one is nowhere yet: it goes where the fewest are.
    let mut rig = Rig::new(&[(0, A), (1, DirectoryId::ZERO), (2, B)]);
    let (a, b) = (rig.path("a"), rig.path("b"));
    let node = rig.start(&["a", "b"]);
    assert!(has(&a, 0) && has(&b, 1) && has(&b, 2));
    for partition in 0..3 {
        assert_eq!(node.append(partition), Ok(0));
    }
    assert!(node.0.shutdown());
    drop(node);

    let node = rig.start(&["a"]);
    assert_eq!((node.0.directory_ids(), node.0.offline_directories()), (vec![A], 1));
    assert_eq!(node.append(0), Ok(1));
    for partition in [1, 2] {
        assert!(!has(&a, partition), "orders-{partition} was made anew");
        assert_eq!(node.append(partition), Err(AppendError::Storage));
        let listed = node.0.list_offset(at(partition), -1, Isolation::ReadUncommitted, None);
        assert_eq!(listed.map(|listed| listed.offset), Err(FetchError::Storage));
    }
    let described = node.0.describe_directories();
    let described: Vec<_> = described.iter().map(|d| (&d.path, d.is_offline, d.replicas.len())).collect();
    assert_eq!(described, [(&a, false, 1), (&b, true, 0)]);
    // What comes now is new.
    let before = rig.image.clone();
    rig.add(3, DirectoryId::ZERO);
    node.publish(&before, &rig.image);
    assert!(has(&a, 3));
    assert_eq!(node.append(3), Ok(0));
    // A new registration of the same process makes nothing known that was not.
    let before = rig.image.clone();
    node.0.registered(rig.register());
    node.publish(&before, &rig.image);
    assert_eq!(node.append(1), Err(AppendError::Storage));
    assert_eq!(node.append(3), Ok(1));
    assert!(node.0.shutdown());
    drop(node);

    let node = rig.start(&["a", "b"]);
    for (partition, end) in [(0, 2), (1, 1), (2, 1), (3, 2)] {
        assert_eq!(node.append(partition), Ok(end), "orders-{partition} has what it had");
    }
    assert!(!has(&a, 1) && !has(&a, 2));
    assert!(node.0.shutdown());
}

#[test]
fn a_deleted_replica_of_a_failed_directory_is_forgotten() {
    let mut rig = Rig::new(&[(0, A), (2, B)]);
    let node = rig.start(&["a", "b"]);
    assert!(node.0.shutdown());
    drop(node);
    let node = rig.start(&["a"]);
    assert_eq!(node.append(2), Err(AppendError::Storage));
    let before = rig.image.clone();
    rig.image.topics.remove(&AT.topic_id);
    rig.image.topic_ids.remove("orders");
    rig.image.version += 1;
    node.publish(&before, &rig.image);
    assert_eq!(node.append(2), Err(AppendError::NotLeaderOrFollower));
    assert!(node.0.shutdown());
}

#[test]
fn a_directory_whose_own_files_cannot_be_read_is_offline_and_alone_ends_the_start() {
    let mut rig = Rig::new(&[(0, A), (2, B)]);
    let node = rig.start(&["a", "b"]);
    assert!(node.0.shutdown());
    drop(node);
    let checkpoint = rig.path("b").join("recovery-point-offset-checkpoint");
    std::fs::write(&checkpoint, "no checkpoint").unwrap();
    let node = rig.start(&["a", "b"]);
    assert_eq!((node.0.directory_ids(), node.0.offline_directories()), (vec![A], 1));
    assert_eq!((node.append(0), node.append(2)), (Ok(0), Err(AppendError::Storage)));
    assert!(node.0.shutdown());
    drop(node);
    let error = rig.open(&["b"]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("recovery-point-offset-checkpoint") && !error.contains('\n'), "{error}");
}

/// A broker with a record in each of its replicas, stopped.
fn with_records() -> Rig {
    let mut rig = Rig::new(&[(0, A), (1, B)]);
    let node = rig.start(&["a", "b"]);
    assert_eq!((node.append(0), node.append(1)), (Ok(0), Ok(0)));
    assert!(node.0.shutdown());
    rig
}

#[test]
fn a_replica_that_is_gone_is_not_made_anew_while_it_is_counted_on() {
    let mut rig = with_records();
    std::fs::remove_dir_all(rig.path("a").join("orders-0")).unwrap();
    let node = rig.start_and_miss(0);
    assert_eq!((node.append(0), node.append(1)), (Err(AppendError::NotLeaderOrFollower), Ok(1)));
    // Somebody has decided that what is gone is gone.
    rig.elect(&node, 0);
    assert_eq!(node.append(0), Ok(0));
    assert!(node.0.shutdown());
}

/// A process that ends before it has told the controller leaves the proof to the next one.
#[test]
fn what_is_gone_is_known_for_that_after_another_start() {
    let mut rig = with_records();
    std::fs::remove_dir_all(rig.path("a").join("orders-0")).unwrap();
    // It writes its checkpoint files when it stops.
    assert!(rig.open(&["a", "b"]).unwrap().shutdown());
    drop(rig.start_and_miss(0));
}

#[test]
fn a_directory_that_was_emptied_is_not_one_that_was_being_made() {
    let mut rig = with_records();
    let place = rig.path("a").join("orders-0");
    for entry in std::fs::read_dir(&place).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let node = rig.start(&["a", "b"]);
    assert_eq!((node.append(0), node.append(1)), (Err(AppendError::NotLeaderOrFollower), Ok(1)));
    assert!(node.0.shutdown());
}

#[test]
fn a_replica_that_does_not_say_whose_it_is_concerns_itself_alone() {
    let rig = with_records();
    let place = rig.path("a").join("orders-0");
    std::fs::write(place.join("partition.metadata"), "version: 0\ntopic_id: x\n").unwrap();
    let segment = std::fs::read(place.join("00000000000000000000.log")).unwrap();
    let manager = rig.open(&["a", "b"]).unwrap();
    assert_eq!((manager.partitions(), manager.offline_directories()), (vec![at(1)], 0));
    assert!(manager.shutdown());
    let entries = std::fs::read_dir(rig.path("a")).unwrap().map(|entry| entry.unwrap().path());
    let strays: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with("-stray")).collect();
    assert_eq!(std::fs::read(strays[0].join("00000000000000000000.log")).unwrap(), segment, "it may be the only copy");
    assert_eq!((strays.len(), place.exists()), (1, false));
}

#[test]
fn a_replica_of_an_id_that_nobody_knows_is_not_the_one_that_is_counted_on() {
    let mut rig = with_records();
    let metadata = rig.path("a").join("orders-0/partition.metadata");
    std::fs::write(&metadata, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n").unwrap();
    let node = rig.start(&["a", "b"]);
    assert_eq!((node.append(0), node.append(1)), (Err(AppendError::NotLeaderOrFollower), Ok(1)));
    assert!(node.0.shutdown());
}

#[test]
fn what_was_being_made_is_completed() {
    let mut rig = with_records();
    std::fs::remove_file(rig.path("a").join("orders-0/partition.metadata")).unwrap();
    let node = rig.start(&["a", "b"]);
    assert_eq!((node.append(0), node.append(1)), (Ok(1), Ok(1)));
    assert!(node.0.shutdown());
}
