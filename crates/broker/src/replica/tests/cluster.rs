//! Brokers' replica managers in one process, with real streams between them and a controller that is a few lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::{FileSystem, RealFs};
use raftsman_metadata::{
    BrokerRegistration, BrokerState, ConfigResource, Durability, Listener, MetadataDelta, MetadataImage,
    PartitionImage, TopicImage,
};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, IncarnationId, LeaderEpoch, PartitionEpoch, ProducerEpoch,
    ProducerId, TopicId, TopicIdPartition, Uuid,
};
use tokio::runtime::Runtime;

use crate::replica::{
    Acks, AppendError, AppendOrigin, Appended, BoxFuture, ControllerLink, FetchRead, Isolation, IsrChange,
    IsrChangeFailure, IsrChangeResult, PartitionState, ReplicaConfig, ReplicaManager,
};

/// The one partition most tests are about.
pub const AT: TopicIdPartition = TopicIdPartition { topic_id: TopicId(Uuid([7; 16])), partition: 0 };
const PATIENCE: Duration = Duration::from_secs(20);

/// Decides as the real controller would, one change at a time, and publishes to everyone at once.
#[derive(Default)]
pub struct Controller {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    image: MetadataImage,
    managers: BTreeMap<BrokerId, ReplicaManager>,
    reported: Vec<BrokerId>,
    offline: Vec<DirectoryId>,
}

impl Controller {
    /// Changes the image and publishes the change, as one.
    pub fn change(&self, change: impl FnOnce(&mut MetadataImage)) {
        let mut state = self.state.lock();
        let before = state.image.clone();
        change(&mut state.image);
        state.image.version += 1;
        let delta = MetadataDelta::between(&before, &state.image);
        let image = Arc::new(state.image.clone());
        for manager in state.managers.values() {
            manager.publish(&delta, &image);
        }
    }

    pub fn partition(&self) -> PartitionImage {
        (**self.state.lock().image.partition(AT).expect("created before")).clone()
    }

    /// Changes the partition of the tests.
    pub fn change_partition(&self, change: impl FnOnce(&mut PartitionImage)) {
        self.change(|image| change_partition(image, change));
    }

    /// Fences brokers and takes them out of the ISR.
    pub fn fence(&self, brokers: &[i32]) {
        self.change(|image| {
            for id in ids(brokers) {
                let mut broker = (**image.broker(id).unwrap()).clone();
                broker.state = BrokerState::Fenced;
                image.brokers.insert(id, Arc::new(broker));
            }
            change_partition(image, |partition| partition.isr.retain(|id| !brokers.contains(&id.0)));
        });
    }

    /// Gives the partition a leader, in a new epoch.
    pub fn elect(&self, leader: i32, isr: &[i32]) {
        self.change_partition(|partition| {
            partition.leader = Some(BrokerId(leader));
            partition.isr = ids(isr);
            partition.leader_epoch = partition.leader_epoch.next();
        });
    }

    pub fn reported(&self) -> Vec<BrokerId> {
        self.state.lock().reported.clone()
    }

    pub fn offline(&self) -> Vec<DirectoryId> {
        self.state.lock().offline.clone()
    }

    fn decide(&self, change: &IsrChange) -> IsrChangeResult {
        let current = self.partition();
        let refuse = |error| IsrChangeResult { at: change.at, error };
        if change.leader_epoch != current.leader_epoch {
            return refuse(ErrorCode::FencedLeaderEpoch);
        }
        if change.partition_epoch != current.partition_epoch {
            return refuse(ErrorCode::InvalidUpdateVersion);
        }
        let image = self.state.lock().image.clone();
        let eligible =
            |(id, epoch): &(BrokerId, BrokerEpoch)| image.is_active(*id) && image.broker_epoch(*id) == Some(*epoch);
        if !change.new_isr.iter().all(eligible) {
            return refuse(ErrorCode::IneligibleReplica);
        }
        self.change_partition(|partition| partition.isr = change.new_isr.iter().map(|(id, _)| *id).collect());
        IsrChangeResult { at: change.at, error: ErrorCode::None }
    }
}

/// One broker's way to the controller.
struct Link(Arc<Controller>);

impl ControllerLink for Link {
    fn alter_partition(
        &self,
        changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async move { Ok(changes.iter().map(|change| self.0.decide(change)).collect()) })
    }

    fn report_unreachable(&self, broker: BrokerId) {
        self.0.state.lock().reported.push(broker);
    }

    fn directory_offline(&self, directory: DirectoryId) {
        self.0.state.lock().offline.push(directory);
    }
}

/// A running broker, as far as replicas go.
pub struct Node {
    pub manager: ReplicaManager,
    runtime: Runtime,
}

pub struct Cluster {
    pub controller: Arc<Controller>,
    pub nodes: BTreeMap<i32, Node>,
    directory: tempfile::TempDir,
    /// The file system of each broker that is not on the real one.
    pub file_systems: BTreeMap<i32, Arc<dyn FileSystem>>,
    /// The file systems of brokers' second log directories, for those that have one.
    pub second_directories: BTreeMap<i32, Arc<dyn FileSystem>>,
    configure: fn(&mut ReplicaConfig),
}

/// The id of a broker's first log directory, or of its second.
pub fn directory_id(broker: i32, is_second: bool) -> DirectoryId {
    DirectoryId(Uuid([broker as u8 + if is_second { 100 } else { 0 }; 16]))
}

impl Cluster {
    /// Starts brokers 1 to `brokers`, with one partition on all of them that broker 1 leads.
    pub fn start(brokers: i32, min_insync_replicas: u32) -> Cluster {
        Cluster::configured(brokers, min_insync_replicas, |_| {})
    }

    pub fn configured(brokers: i32, min_insync_replicas: u32, configure: fn(&mut ReplicaConfig)) -> Cluster {
        Cluster::on(brokers, min_insync_replicas, BTreeMap::new(), configure)
    }

    /// With some brokers on file systems of their own.
    pub fn on(
        brokers: i32,
        min_insync_replicas: u32,
        file_systems: BTreeMap<i32, Arc<dyn FileSystem>>,
        configure: fn(&mut ReplicaConfig),
    ) -> Cluster {
        let mut cluster = Cluster {
            controller: Arc::default(),
            nodes: BTreeMap::new(),
            directory: tempfile::tempdir().unwrap(),
            file_systems,
            second_directories: BTreeMap::new(),
            configure,
        };
        cluster.controller.change(|image| image.cluster_id = Some("test".into()));
        for id in 1..=brokers {
            cluster.boot(id);
        }
        let all: Vec<i32> = (1..=brokers).collect();
        cluster.controller.change(|image| {
            let settings = [("min.insync.replicas".into(), min_insync_replicas.to_string().into())];
            image.configs.insert(ConfigResource::cluster(), Arc::new(settings.into()));
            let partition = PartitionImage {
                replicas: ids(&all),
                directories: vec![DirectoryId::ZERO; all.len()],
                isr: ids(&all),
                leader: Some(BrokerId(1)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                durability: Durability::Flushed,
                ..Default::default()
            };
            let partitions = [(0, Arc::new(partition))].into_iter().collect();
            let topic = TopicImage { id: AT.topic_id, name: "orders".into(), partitions };
            image.topic_ids.insert("orders".into(), AT.topic_id);
            image.topics.insert(AT.topic_id, Arc::new(topic));
        });
        cluster
    }

    fn file_system(&self, id: i32) -> Arc<dyn FileSystem> {
        self.file_systems.get(&id).cloned().unwrap_or_else(|| Arc::new(RealFs::new()))
    }

    pub fn path(&self, id: i32) -> PathBuf {
        // A disk in memory has nothing above.
        let above = if self.file_systems.contains_key(&id) { Path::new("/") } else { self.directory.path() };
        above.join(id.to_string())
    }

    /// Starts a broker, again if it ran before, and has it registered and unfenced.
    pub fn boot(&mut self, id: i32) {
        let mut directories = vec![formatted(self.file_system(id), self.path(id), id, directory_id(id, false))];
        if let Some(second) = self.second_directories.get(&id) {
            directories.push(formatted(Arc::clone(second), "/second".into(), id, directory_id(id, true)));
        }
        let directory_ids = (0..directories.len()).map(|i| directory_id(id, i > 0)).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = ReplicaConfig::new(BrokerId(id));
        config.session_timeout = Duration::from_secs(3600);
        (self.configure)(&mut config);
        let link = Arc::new(Link(Arc::clone(&self.controller)));
        let manager = ReplicaManager::open(config, directories, link, runtime.handle().clone()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let server = tonic::transport::Server::builder().add_service(manager.service().server());
        runtime.spawn(async move {
            let incoming =
                tokio_stream::wrappers::TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
            server.serve_with_incoming(incoming).await.unwrap();
        });
        let mut epoch = BrokerEpoch::NONE;
        self.controller.change(|image| {
            epoch = BrokerEpoch(image.version as i64 + 1);
            let registration = BrokerRegistration { directories: directory_ids, ..registration(id, epoch, port) };
            image.brokers.insert(BrokerId(id), Arc::new(registration));
        });
        let (image, delta) = {
            let mut state = self.controller.state.lock();
            state.managers.insert(BrokerId(id), manager.clone());
            (state.image.clone(), MetadataDelta::between(&MetadataImage::default(), &state.image))
        };
        manager.publish(&delta, &Arc::new(image));
        manager.registered(epoch);
        self.nodes.insert(id, Node { manager, runtime });
    }

    /// Ends a broker as SIGKILL would: nothing is written down, its connections break.
    pub fn kill(&mut self, id: i32) {
        let node = self.nodes.remove(&id).expect("it runs");
        self.controller.state.lock().managers.remove(&BrokerId(id));
        node.runtime.shutdown_timeout(PATIENCE);
        drop(node.manager);
        self.await_unlocked(id);
    }

    /// Stops a broker in good order.
    pub fn stop(&mut self, id: i32) {
        let node = self.nodes.remove(&id).expect("it runs");
        self.controller.state.lock().managers.remove(&BrokerId(id));
        assert!(node.manager.shutdown(), "a clean stop");
        node.runtime.shutdown_timeout(PATIENCE);
        drop(node.manager);
        self.await_unlocked(id);
    }

    fn await_unlocked(&self, id: i32) {
        await_condition("the directory is unlocked", || {
            LogDirectory::open(self.file_system(id), self.path(id)).is_ok()
        });
    }

    pub fn manager(&self, id: i32) -> &ReplicaManager {
        &self.nodes[&id].manager
    }

    pub fn state(&self, id: i32) -> PartitionState {
        self.manager(id).partition_state(AT).expect("a replica")
    }

    /// Appends records with these values and, for acks=all, waits for the commit.
    pub fn produce(&self, leader: i32, acks: Acks, values: &[&str]) -> Result<Appended, AppendError> {
        let appended = self.manager(leader).append(AT, batch(values), acks, AppendOrigin::Client)?;
        if acks == Acks::All {
            self.committed(leader, appended, PATIENCE)?;
        }
        Ok(appended)
    }

    pub fn committed(&self, leader: i32, appended: Appended, patience: Duration) -> Result<(), AppendError> {
        let node = &self.nodes[&leader];
        node.runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + patience;
            node.manager.committed(AT, appended.leader_epoch, appended.last_offset, deadline).await
        })
    }

    pub fn block_on<T>(&self, id: i32, future: impl Future<Output = T>) -> T {
        self.nodes[&id].runtime.block_on(future)
    }

    /// Every value a consumer can read from the leader.
    pub fn values(&self, leader: i32) -> Vec<String> {
        let mut values = Vec::new();
        let mut fetch_offset = 0;
        loop {
            let read = FetchRead {
                fetch_offset,
                current_leader_epoch: None,
                last_fetched_epoch: None,
                max_bytes: 1 << 20,
                at_least_one: true,
                isolation: Isolation::ReadUncommitted,
            };
            let fetched = self.manager(leader).fetch(AT, read).unwrap();
            if fetched.chunks.is_empty() {
                return values;
            }
            fetch_offset = fetched.next_offset;
            for chunk in fetched.chunks {
                for batch in raftsman_records::split_batches(chunk, false) {
                    for record in batch.unwrap().records() {
                        values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
                    }
                }
            }
        }
    }
}

/// A log directory with an id.
fn formatted(files: Arc<dyn FileSystem>, path: PathBuf, id: i32, directory_id: DirectoryId) -> LogDirectory {
    let files = LogDirectory::open(files, path).unwrap();
    if files.read_meta_properties().unwrap().is_none() {
        let properties = MetaProperties {
            cluster_id: Some("test".to_owned()),
            node_id: BrokerId(id),
            directory_id: Some(directory_id),
            has_joined: true,
        };
        files.write_meta_properties(&properties).unwrap();
    }
    files
}

fn change_partition(image: &mut MetadataImage, change: impl FnOnce(&mut PartitionImage)) {
    let mut topic = (**image.topic(AT.topic_id).unwrap()).clone();
    let mut partition = (**topic.partition(AT.partition).unwrap()).clone();
    change(&mut partition);
    partition.partition_epoch = partition.partition_epoch.next();
    topic.partitions.insert(AT.partition, Arc::new(partition));
    image.topics.insert(AT.topic_id, Arc::new(topic));
}

/// A batch of records with these values.
pub fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(now_ms(), None, Some(value.as_bytes()), &[]);
    }
    builder.build(0, LeaderEpoch::NONE)
}

/// A batch of an idempotent producer.
pub fn idempotent_batch(producer: i64, sequence: i32, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None).producer(ProducerId(producer), ProducerEpoch(0), sequence);
    builder.append(now_ms(), None, Some(value.as_bytes()), &[]);
    builder.build(0, LeaderEpoch::NONE)
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Waits until something holds, for a while.
pub fn await_condition(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "gave up waiting until {what}");
        std::thread::yield_now();
    }
}

pub fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|&id| BrokerId(id)).collect()
}

pub fn registration(id: i32, broker_epoch: BrokerEpoch, port: u16) -> BrokerRegistration {
    BrokerRegistration {
        id: BrokerId(id),
        broker_epoch,
        incarnation: IncarnationId::ZERO,
        listeners: vec![Listener { name: "IN".into(), host: "127.0.0.1".into(), port, security_protocol: 0 }],
        inter_broker_listener: "IN".into(),
        rack: None,
        directories: vec![DirectoryId(Uuid([id as u8; 16]))],
        offline_directories: Vec::new(),
        state: BrokerState::Unfenced,
        features: Vec::new(),
        boot_id: "boot".into(),
        log_durability: Durability::Flushed,
    }
}
