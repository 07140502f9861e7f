use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use raftsman_coordinator::{CoordinatorConfig, DeletedTopic, Now, Reply, Request, partition_for};
use raftsman_metadata::{MetadataDelta, MetadataImage, PartitionDelta};
use raftsman_protocol::Str;
use raftsman_protocol::messages::list_groups::ListedGroup;
use raftsman_types::{BrokerId, ErrorCode, TopicIdPartition};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, Semaphore, oneshot};

use super::shard_driver::{Answer, ShardDriver};
use super::shell::Shell;
use super::timer::Timer;
use super::{OFFSETS_TOPIC, OffsetsLog, timer};
use crate::api::Context;
use crate::config::BrokerConfig;
use crate::replica::{Clock, ReplicaManager, SystemClock};

/// Partitions that are read at a time.
const LOADS_AT_A_TIME: usize = 2;
/// Bytes of a batch that are not its records'.
const BATCH_OVERHEAD: usize = 512;

/// To those whom a driver did not answer. It answers everyone before it goes: for one that is torn down with the process.
pub(super) const UNANSWERED: ErrorCode = ErrorCode::NotCoordinator;
/// To those who have waited for long enough: what was written may be committed yet; all of these requests may be repeated.
pub(super) const LATE: ErrorCode = ErrorCode::CoordinatorNotAvailable;

/// The groups of this broker. Cheap to clone.
#[derive(Clone)]
pub struct CoordinatorService {
    pub(super) shared: Arc<Shared>,
}

/// Who asks, for the coordinator's records of its members.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The request's version.
    pub version: i16,
    /// The client id of its header, empty if there was none.
    pub client_id: Str,
    /// The client's address as Kafka writes it, `/127.0.0.1`.
    pub client_host: Str,
}

impl Asker {
    /// The client of a request.
    pub fn of(ctx: &Context, version: i16) -> Asker {
        Asker {
            version,
            client_id: ctx.client_id.clone().unwrap_or_default(),
            client_host: Str::from(format!("/{}", ctx.client_address.ip())),
        }
    }
}

/// What the service's tasks and shards share.
pub(super) struct Shared {
    pub config: Arc<CoordinatorConfig>,
    pub log: Arc<dyn OffsetsLog>,
    pub shell: Shell,
    pub timer: Timer,
    pub stopped: Notify,
    pub loads: Semaphore,
    /// Held while the offsets topic is being created, so that it is asked for once.
    pub creation: Mutex<Option<Instant>>,
    broker_id: BrokerId,
    answer_timeout: Duration,
    clock: Arc<dyn Clock>,
    image: RwLock<Arc<MetadataImage>>,
    drivers: RwLock<BTreeMap<TopicIdPartition, Arc<ShardDriver>>>,
}

impl CoordinatorService {
    /// A coordinator without groups; [`CoordinatorService::publish`] tells it which partitions are its own. Its tasks
    /// run on `runtime`.
    pub fn new(config: &BrokerConfig, replicas: ReplicaManager, runtime: Handle) -> CoordinatorService {
        let groups = &config.groups;
        let pure = CoordinatorConfig {
            initial_rebalance_delay: Duration::from_millis(groups.initial_rebalance_delay_ms),
            min_session_timeout_ms: groups.min_session_timeout_ms,
            max_session_timeout_ms: groups.max_session_timeout_ms,
            max_size: groups.max_size,
            offset_metadata_max_bytes: groups.offset_metadata_max_bytes,
            offsets_retention_ms: i64::try_from(groups.offsets_retention_minutes.saturating_mul(60_000))
                .unwrap_or(i64::MAX),
            offsets_retention_check_interval: Duration::from_millis(groups.offsets_retention_check_interval_ms),
            max_record_bytes: config.message_max_bytes.saturating_sub(BATCH_OVERHEAD),
        };
        let answer_timeout = Duration::from_millis(groups.offsets_commit_timeout_ms);
        CoordinatorService::over(Arc::new(replicas), pure, config.node_id, answer_timeout, runtime)
    }

    /// A coordinator over any log, on this runtime.
    pub(super) fn over(
        log: Arc<dyn OffsetsLog>,
        config: CoordinatorConfig,
        broker_id: BrokerId,
        answer_timeout: Duration,
        runtime: Handle,
    ) -> CoordinatorService {
        let clock = Arc::new(SystemClock::start());
        let shell = Shell::Running(runtime.clone());
        let service = CoordinatorService::within(shell, log, config, broker_id, answer_timeout, clock);
        runtime.spawn(timer::run(Arc::downgrade(&service.shared)));
        service
    }

    pub(super) fn within(
        shell: Shell,
        log: Arc<dyn OffsetsLog>,
        config: CoordinatorConfig,
        broker_id: BrokerId,
        answer_timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> CoordinatorService {
        let shared = Shared {
            config: Arc::new(config),
            log,
            shell,
            timer: Timer::new(),
            stopped: Notify::new(),
            loads: Semaphore::new(LOADS_AT_A_TIME),
            creation: Mutex::new(None),
            broker_id,
            answer_timeout,
            clock,
            image: RwLock::default(),
            drivers: RwLock::default(),
        };
        CoordinatorService { shared: Arc::new(shared) }
    }

    /// Takes a change of the cluster's metadata: loads the partitions that this broker leads now, drops those that it
    /// does not, and forgets the offsets of deleted topics. Does not block on loading. The replicas know of the change
    /// before.
    pub fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        *self.shared.image.write() = Arc::clone(image);
        let is_ours = |changed: &&PartitionDelta| &*changed.topic == OFFSETS_TOPIC;
        for changed in delta.partitions.iter().filter(is_ours) {
            self.shared.follow(changed);
        }
        let deleted = deleted_topics(delta, image);
        if !deleted.is_empty() {
            for driver in self.shared.drivers() {
                driver.topics_deleted(&deleted);
            }
        }
    }

    /// Asks the coordinator of the request's group.
    pub async fn ask(&self, asker: &Asker, request: &Request) -> Reply {
        let answer = match self.put(asker, request) {
            Ok(answer) => answer,
            Err(receiver) => self.received(request, receiver).await,
        };
        answer.unwrap_or_else(|error| request.refusal(asker.version, error))
    }

    /// Puts a request to its shard. The answer is there at once or comes over the receiver.
    pub(super) fn put(&self, asker: &Asker, request: &Request) -> Result<Answer, oneshot::Receiver<Answer>> {
        if let Err(error) = request.check(&self.shared.config) {
            return Ok(Err(error));
        }
        match self.driver_of(request) {
            Ok(driver) => driver.ask(asker, request),
            Err(error) => Ok(Err(error)),
        }
    }

    /// All groups that this broker coordinates, and the error if some of them are not loaded yet.
    pub async fn list_groups(&self, asker: &Asker) -> (Vec<ListedGroup>, ErrorCode) {
        let (mut groups, mut error) = (Vec::new(), ErrorCode::None);
        for driver in self.shared.drivers() {
            let answer = match driver.ask(asker, &Request::ListGroups) {
                Ok(answer) => answer,
                Err(receiver) => self.received(&Request::ListGroups, receiver).await,
            };
            match answer {
                Ok(Reply::ListGroups(Ok(listed))) => groups.extend(listed),
                // Moved away while the list was made: its new coordinator has it.
                Err(ErrorCode::NotCoordinator) => {}
                Err(refusal) | Ok(Reply::ListGroups(Err(refusal))) => error = refusal,
                Ok(_) => error = ErrorCode::UnknownServerError,
            }
        }
        (groups, error)
    }

    /// The lock under which the offsets topic is created, with the time of the last complaint that it cannot be.
    pub(crate) fn creation(&self) -> &Mutex<Option<Instant>> {
        &self.shared.creation
    }

    /// Refuses everyone who waits and stops the tasks.
    pub fn shutdown(&self) {
        for (_, driver) in std::mem::take(&mut *self.shared.drivers.write()) {
            driver.retire();
        }
        self.shared.stopped.notify_one();
        self.shared.loads.close();
    }

    fn driver_of(&self, request: &Request) -> Result<Arc<ShardDriver>, ErrorCode> {
        let group_id = request.group_id().ok_or(ErrorCode::InvalidGroupId)?;
        let image = self.shared.image();
        let topic = image.topic_by_name(OFFSETS_TOPIC).ok_or(ErrorCode::NotCoordinator)?;
        let partition = partition_for(group_id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
        let at = TopicIdPartition { topic_id: topic.id, partition };
        self.shared.drivers.read().get(&at).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    async fn received(&self, request: &Request, receiver: oneshot::Receiver<Answer>) -> Answer {
        let received = match self.shared.patience(request) {
            None => Ok(receiver.await),
            Some(patience) => tokio::time::timeout(patience, receiver).await,
        };
        match received {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(UNANSWERED),
            Err(_) => Err(LATE),
        }
    }
}

impl Shared {
    pub(super) fn now(&self) -> Now {
        Now { monotonic: self.clock.monotonic(), wall: self.clock.wall() }
    }

    /// How long an answer is waited for; for ever if that is up to other members.
    pub(super) fn patience(&self, request: &Request) -> Option<Duration> {
        (!waits_for_others(request)).then_some(self.answer_timeout)
    }

    pub(super) fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.image.read())
    }

    pub(super) fn drivers(&self) -> Vec<Arc<ShardDriver>> {
        self.drivers.read().values().cloned().collect()
    }

    /// One partition of the offsets topic has changed.
    fn follow(self: &Arc<Self>, changed: &PartitionDelta) {
        let leads = changed.after.as_ref().filter(|after| after.leader == Some(self.broker_id));
        let epoch = leads.map(|after| after.leader_epoch);
        let mut drivers = self.drivers.write();
        if drivers.get(&changed.at).map(|driver| driver.leader_epoch) == epoch {
            return;
        }
        if let Some(old) = drivers.remove(&changed.at) {
            old.retire();
        }
        if let Some(epoch) = epoch {
            let driver = ShardDriver::new(Arc::clone(self), changed.at, epoch);
            drivers.insert(changed.at, Arc::clone(&driver));
            self.shell.load(self, driver);
        }
    }
}

/// Whether the answer may take as long as other members do.
fn waits_for_others(request: &Request) -> bool {
    matches!(request, Request::JoinGroup(_) | Request::SyncGroup(_))
}

fn deleted_topics(delta: &MetadataDelta, image: &MetadataImage) -> Vec<DeletedTopic> {
    let mut deleted: Vec<DeletedTopic> = Vec::new();
    for changed in delta.partitions.iter().filter(|changed| changed.after.is_none()) {
        let id = changed.at.topic_id;
        let is_new = deleted.last().is_none_or(|last| last.id != id.0);
        if is_new && image.topic(id).is_none() {
            deleted.push(DeletedTopic { name: Str::copy_from(&changed.topic), id: id.0 });
        }
    }
    deleted
}
