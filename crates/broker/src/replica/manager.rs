use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use raftsman_log::dir::{DirectoryError, LogDirectory};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, TopicIdPartition};
use tokio::sync::watch;

use super::absent::{Absence, Absent};
use super::core::Core;
use super::data_waiter::DataWaiter;
use super::directory::Directory;
use super::fetch_stream::FetchStream;
use super::link::ControllerLink;
use super::log_memory::LogMemory;
use super::opening::DamagedReplica;
use super::partition::Partition;
use super::service::ReplicationService;
use super::shell::Shell;
use super::startup;
use super::{
    Acks, AppendError, AppendOrigin, Appended, Clock, DeleteRecordsError, FetchError, FetchRead, FetchTerms, Fetched,
    Isolation, ListedOffset, PartitionState, RecordsDeleted, ReplicaConfig, ReplicaRole, SystemClock,
};

/// Why replicas cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A log directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A log directory has no id yet.
    #[error("{0} is not formatted: it has no directory.id in meta.properties")]
    NotFormatted(String),
    /// There is no log directory.
    #[error("log.dirs names no directory that can be used: see what is said of each above")]
    NoDirectory,
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// All replicas on this broker. A handle: clones are the same one.
#[derive(Clone)]
pub struct ReplicaManager {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub core: Arc<Core>,
    pub directories: Vec<Arc<Directory>>,
    /// Log directories that could not be opened.
    pub unusable: Vec<PathBuf>,
    pub partitions: RwLock<HashMap<TopicIdPartition, Arc<Partition>>>,
    /// Replicas whose logs are damaged below what was flushed: to be copied anew, if the metadata agrees.
    pub damaged: Mutex<BTreeMap<TopicIdPartition, DamagedReplica>>,
    pub absent: Absent,
    /// Replicas that could not be made because the disk was full.
    pub unmade: Mutex<BTreeSet<TopicIdPartition>>,
    pub streams: Mutex<BTreeMap<BrokerId, Arc<FetchStream>>>,
    pub memory: LogMemory,
    /// Held by whoever changes which replicas there are, and what they are.
    pub publishing: Mutex<Publishing>,
    stuck_writes: watch::Sender<bool>,
    clean_shutdown_epoch: BrokerEpoch,
    shell: Shell,
}

/// What publishing remembers from one time to the next.
#[derive(Default)]
pub(super) struct Publishing {
    /// Whether replicas of topics that are gone were looked for since this broker registered.
    pub strays_removed: bool,
    /// Whether replicas that are not here were looked for since this broker registered, and since this process started.
    pub absent_known: bool,
    pub was_ever_registered: bool,
    pub stopped: bool,
}

impl ReplicaManager {
    /// Opens the replicas in these directories, recovering what an unclean stop left. Blocks for as long as that takes.
    /// They lead and follow nothing before [`publish`](ReplicaManager::publish) and
    /// [`registered`](ReplicaManager::registered) say so. Tasks run on `runtime`.
    ///
    /// A directory that is not formatted, or whose files cannot be read, stays offline.
    ///
    /// # Errors
    /// If no directory is left. A damaged replica is none: see [`damaged`](ReplicaManager::damaged).
    pub fn open(
        config: ReplicaConfig,
        directories: Vec<LogDirectory>,
        link: Arc<dyn ControllerLink>,
        runtime: tokio::runtime::Handle,
    ) -> Result<ReplicaManager, OpenError> {
        let manager = Self::open_in(
            Shell::on(runtime, config.cleaner),
            config,
            directories,
            link,
            Arc::new(SystemClock::start()),
        )?;
        manager.inner.shell.start(&manager.inner)?;
        Ok(manager)
    }

    /// Opens the replicas; what goes on by itself is up to the shell.
    pub(super) fn open_in(
        shell: Shell,
        config: ReplicaConfig,
        directories: Vec<LogDirectory>,
        link: Arc<dyn ControllerLink>,
        clock: Arc<dyn Clock>,
    ) -> Result<ReplicaManager, OpenError> {
        let memory = LogMemory::new(&config);
        let core = Arc::new(Core::new(config, link, clock));
        let opened = startup::open(&core, directories, &memory, shell.has_threads())?;
        Ok(ReplicaManager {
            inner: Arc::new(Inner {
                core,
                directories: opened.directories,
                unusable: opened.unusable,
                absent: Absent::new(opened.gone, opened.begun),
                partitions: RwLock::new(opened.partitions),
                damaged: Mutex::new(opened.damaged),
                unmade: Mutex::default(),
                streams: Mutex::default(),
                memory,
                publishing: Mutex::default(),
                stuck_writes: watch::Sender::new(false),
                clean_shutdown_epoch: opened.clean_shutdown_epoch,
                shell,
            }),
        })
    }

    /// Replicas with damage below what was flushed: this broker must not claim at its registration to have them.
    pub fn damaged(&self) -> Vec<TopicIdPartition> {
        self.inner.damaged.lock().keys().copied().collect()
    }

    /// The ids of the log directories that are online.
    pub fn directory_ids(&self) -> Vec<DirectoryId> {
        self.inner.directories.iter().filter(|d| !d.is_offline()).map(|d| d.id).collect()
    }

    /// How many log directories are not.
    pub fn offline_directories(&self) -> usize {
        self.inner.unusable.len() + self.inner.directories.iter().filter(|d| d.is_offline()).count()
    }

    /// The log directories whose disks are full up to the reserve, by the last look: clients' writes are refused there.
    pub fn full_directories(&self) -> Vec<PathBuf> {
        self.inner.directories.iter().filter(|d| d.is_full()).map(|d| d.path.clone()).collect()
    }

    /// Whether a log directory is online and its disk has stopped to answer: then this broker's replicas hold up every
    /// acknowledgement they count for, and others had better take over.
    pub fn has_stalled_disk(&self) -> bool {
        let now = self.inner.core.now();
        let directories = self.inner.directories.iter().filter(|directory| !directory.is_offline());
        // Each is asked, so that each says when it changes.
        let stalled = directories.filter(|directory| directory.disk.is_stalled(now, &directory.path));
        let stalled = stalled.count() > 0;
        self.turn_away_from_stuck_writes();
        stalled
    }

    /// Changes to true when a write has not returned for so long that the disk counts as stalled, and to false when it has.
    /// The thread that made it stands still, and with it whoever shares it.
    pub fn stuck_writes(&self) -> watch::Receiver<bool> {
        self.inner.stuck_writes.subscribe()
    }

    /// Who waits on a replica whose directory takes no write is told to look elsewhere, now and at each further look.
    fn turn_away_from_stuck_writes(&self) {
        let is_stuck = |directory: &Arc<Directory>| !directory.is_offline() && directory.disk.is_write_stuck();
        let any = self.inner.directories.iter().any(is_stuck);
        if any {
            for partition in self.inner.replicas().iter().filter(|partition| is_stuck(&partition.directory)) {
                partition.turn_away();
            }
        }
        self.inner.stuck_writes.send_if_modified(|stuck| std::mem::replace(stuck, any) != any);
    }

    /// The broker epoch in which all directories were closed cleanly; [`BrokerEpoch::NONE`] after an unclean stop.
    pub fn clean_shutdown_epoch(&self) -> BrokerEpoch {
        self.inner.clean_shutdown_epoch
    }

    /// The controller answered a heartbeat that was sent at this time, and holds this broker for fenced or not. A leader that
    /// has not heard of it for a session stops serving. Says whether it counts as contact: not if the broker was fenced and its
    /// metadata does not show that yet.
    pub fn controller_heard(&self, sent: Instant, fenced: bool) -> bool {
        let core = &self.inner.core;
        core.controller_heard(core.now() - sent.elapsed(), fenced)
    }

    /// Appends records, on this thread. Returns once the kernel has them; acks=all then waits with
    /// [`committed`](ReplicaManager::committed).
    ///
    /// # Errors
    /// [`AppendError`]: nothing was written, but for `Storage`, after which nobody knows.
    pub fn append(
        &self,
        at: TopicIdPartition,
        records: Bytes,
        acks: Acks,
        origin: AppendOrigin,
    ) -> Result<Appended, AppendError> {
        self.replica(at)?.append(records, acks, origin)
    }

    /// Completes when the record at `last_offset`, appended in `leader_epoch`, is committed, or cannot be said to be.
    ///
    /// # Errors
    /// `NotLeaderOrFollower`, `NotEnoughReplicasAfterAppend` and `TimedOut` leave open whether it will be.
    pub fn committed(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        last_offset: Offset,
        deadline: tokio::time::Instant,
    ) -> impl Future<Output = Result<(), AppendError>> + Send + use<> {
        let partition = self.replica(at).map_err(AppendError::from);
        let waiting = partition.and_then(|partition| partition.wait_for_commit(leader_epoch, last_offset));
        async move {
            let Some(waiting) = waiting? else { return Ok(()) };
            match tokio::time::timeout_at(deadline, waiting).await {
                Ok(Ok(outcome)) => outcome,
                // The replica went away with all who waited on it.
                Ok(Err(_)) => Err(AppendError::NotLeaderOrFollower),
                Err(_) => Err(AppendError::TimedOut),
            }
        }
    }

    /// Deletes the records below an offset here, or below the high watermark for -1 (KIP-107). The followers do as they
    /// learn of it: [`deleted`](ReplicaManager::deleted) waits for them.
    ///
    /// # Errors
    /// [`DeleteRecordsError`]: nothing was deleted, but for `Storage`.
    pub fn delete_records(&self, at: TopicIdPartition, offset: Offset) -> Result<RecordsDeleted, DeleteRecordsError> {
        self.replica(at)?.delete_records(offset)
    }

    /// Completes with the low watermark when no live replica has the deleted records any more, over a crash either.
    ///
    /// # Errors
    /// `NotLeaderOrFollower`, `Storage` and `TimedOut` leave open whether some have.
    pub fn deleted(
        &self,
        at: TopicIdPartition,
        deleted: RecordsDeleted,
        deadline: tokio::time::Instant,
    ) -> impl Future<Output = Result<Offset, DeleteRecordsError>> + Send + use<> {
        let partition = self.replica(at);
        async move {
            let partition = partition?;
            let waiting = match partition.wait_for_deletion(deleted)? {
                Ok(low_watermark) => return Ok(low_watermark),
                Err(waiting) => waiting,
            };
            match tokio::time::timeout_at(deadline, waiting).await {
                // It may have moved on, or back with a broker that returned; what was asked for was reached.
                Ok(Ok(Ok(()))) => Ok(partition.low_watermark().unwrap_or(deleted.before).max(deleted.before)),
                Ok(Ok(Err(error))) => Err(error.into()),
                // The replica went away with all who waited on it.
                Ok(Err(_)) => Err(DeleteRecordsError::NotLeaderOrFollower),
                Err(_) => Err(DeleteRecordsError::TimedOut),
            }
        }
    }

    /// Reads for a consumer, up to what is committed. May wait for a disk: on a thread that must not,
    /// [`fetched`](ReplicaManager::fetched).
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn fetch(&self, at: TopicIdPartition, read: FetchRead) -> Result<Fetched, FetchError> {
        self.replica(at)?.fetch(read)
    }

    /// As [`fetch`](ReplicaManager::fetch), for a thread with more to do: what is in memory is read at once, the rest on
    /// another thread of the runtime's.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetched(&self, at: TopicIdPartition, read: FetchRead) -> Result<Fetched, FetchError> {
        let partition = self.replica(at)?;
        let cold = match partition.fetch_without_waiting(read)? {
            Ok(fetched) => return Ok(fetched),
            Err(cold) => cold,
        };
        match tokio::task::spawn_blocking(move || partition.fetch_from_disk(read, cold)).await {
            Ok(outcome) => outcome,
            // The broker stops.
            Err(_) => Err(FetchError::NotLeaderOrFollower),
        }
    }

    /// What the partition's topic says about old fetchers; `None` if there is no replica here.
    pub fn fetch_terms(&self, at: TopicIdPartition) -> Option<FetchTerms> {
        self.partition(at).map(|partition| partition.fetch_terms())
    }

    /// A waiter that is woken by every commit in these partitions and by every change of their leaders, from now on.
    /// Look once more after this call before waiting: what was committed before it wakes nobody.
    pub fn wait_for_data(&self, partitions: &[TopicIdPartition]) -> DataWaiter {
        let found = partitions.iter().filter_map(|at| self.partition(*at)).collect();
        DataWaiter::register(self.inner.core.next_id(), found)
    }

    /// As [`list_offset`](ReplicaManager::list_offset), for a thread with more to do: what looks into batches is done on another
    /// thread of the runtime's.
    ///
    /// # Errors
    /// [`FetchError`]; `OffsetNotAvailable` if a new leader does not know yet (KIP-207).
    pub async fn listed(
        &self,
        at: TopicIdPartition,
        timestamp: i64,
        isolation: Isolation,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<ListedOffset, FetchError> {
        let partition = self.replica(at)?;
        let list = move || partition.list_offset(timestamp, isolation, current_leader_epoch);
        if !Partition::is_lookup(timestamp) {
            return list();
        }
        // The broker stops, if there is no outcome.
        tokio::task::spawn_blocking(list).await.unwrap_or(Err(FetchError::NotLeaderOrFollower))
    }

    /// Answers ListOffsets for one timestamp; Kafka's special ones (-1 latest, -2 earliest, -3 the largest timestamp)
    /// included. May wait for a disk: on a thread that must not, [`listed`](ReplicaManager::listed).
    ///
    /// # Errors
    /// [`FetchError`]; `OffsetNotAvailable` if a new leader does not know yet (KIP-207).
    pub fn list_offset(
        &self,
        at: TopicIdPartition,
        timestamp: i64,
        isolation: Isolation,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<ListedOffset, FetchError> {
        let partition = self.replica(at)?;
        partition.list_offset(timestamp, isolation, current_leader_epoch)
    }

    /// Answers ListOffsets as before Kafka 0.10.1: starts of segments last written at `timestamp` or before, and the end
    /// of the log; the latest first, at most `offsets_max`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn list_segment_offsets(
        &self,
        at: TopicIdPartition,
        timestamp: i64,
        offsets_max: usize,
    ) -> Result<Vec<Offset>, FetchError> {
        self.replica(at)?.list_segment_offsets(timestamp, offsets_max)
    }

    /// The largest leader epoch known that is at most `epoch`, and the offset after its last record (KIP-279).
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn offset_for_leader_epoch(
        &self,
        at: TopicIdPartition,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, FetchError> {
        let partition = self.replica(at)?;
        partition.offset_for_leader_epoch(current_leader_epoch, epoch)
    }

    /// Where a replica stands; `None` if there is none here.
    pub fn partition_state(&self, at: TopicIdPartition) -> Option<PartitionState> {
        self.partition(at).map(|partition| partition.snapshot())
    }

    /// Whether this broker leads the partition.
    pub fn is_leader(&self, at: TopicIdPartition) -> bool {
        self.partition_state(at).is_some_and(|state| state.role == ReplicaRole::Leader)
    }

    /// All replicas on this broker.
    pub fn partitions(&self) -> Vec<TopicIdPartition> {
        let mut partitions: Vec<TopicIdPartition> = self.inner.partitions.read().keys().copied().collect();
        partitions.sort_unstable();
        partitions
    }

    /// What followers of this broker talk to.
    pub fn service(&self) -> ReplicationService {
        ReplicationService::new(self.clone())
    }

    /// Stops: everybody who waits is answered, all logs are flushed and closed, and the directories marked clean.
    /// Blocks; call it where that is allowed, after the last request. Says whether the stop was clean.
    pub fn shutdown(&self) -> bool {
        {
            let mut publishing = self.inner.publishing.lock();
            if std::mem::replace(&mut publishing.stopped, true) {
                return false;
            }
        }
        self.inner.stop_working();
        self.inner.shell.join();
        let clean = startup::close(&self.inner);
        self.inner.partitions.write().clear();
        clean
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    /// The replica here, for whoever wants something of it. While a write of its directory does not return there is none:
    /// who waited for its lock would stand still as well.
    pub(super) fn partition(&self, at: TopicIdPartition) -> Option<Arc<Partition>> {
        self.inner.partitions.read().get(&at).filter(|partition| !partition.directory.disk.is_write_stuck()).cloned()
    }

    /// The same, or why there is none.
    fn replica(&self, at: TopicIdPartition) -> Result<Arc<Partition>, Absence> {
        self.partition(at).ok_or_else(|| self.inner.absent.reason(at))
    }
}

impl Inner {
    /// The stream to a leader, which is begun if there is none.
    pub fn stream(&self, leader: BrokerId) -> Arc<FetchStream> {
        let mut streams = self.streams.lock();
        let stream = streams.entry(leader).or_insert_with(|| {
            let stream = FetchStream::new(&self.core, leader);
            self.shell.stream_begun(&self.core, &stream);
            stream
        });
        Arc::clone(stream)
    }

    /// All replicas, in the order of their ids: the same state leads to the same steps.
    pub fn replicas(&self) -> Vec<Arc<Partition>> {
        let mut replicas: Vec<Arc<Partition>> = self.partitions.read().values().cloned().collect();
        replicas.sort_unstable_by_key(|replica| replica.at);
        replicas
    }

    /// Ends the tasks and the threads, and lets go of everything they hold.
    fn stop_working(&self) {
        let streams = std::mem::take(&mut *self.streams.lock());
        for stream in streams.values() {
            stream.stop();
        }
        self.shell.stop();
        self.core.isr_queue.clear();
        self.core.attention.stop();
        for directory in &self.directories {
            directory.flushes.stop();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a shutdown nothing is marked clean, but all work ends and the directories are unlocked.
        self.stop_working();
    }
}
