//! Many replicas opened at once, after a kill.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs, OpenMode, RealFs};
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{
    BrokerId, DirectoryId, LeaderEpoch, MonotonicTime, TopicId, TopicIdPartition, TopicPartition, Uuid, WallTime,
};

use crate::replica::shell::Shell;
use crate::replica::{
    BoxFuture, Clock, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult, ReplicaConfig, ReplicaManager,
};

const NOW: WallTime = WallTime(1_700_000_000_000);
const TOPIC: TopicId = TopicId(Uuid([9; 16]));
const DIRECTORY: DirectoryId = DirectoryId(Uuid([3; 16]));
/// Several times what is synced together.
const REPLICAS: i32 = 300;
const TORN: i32 = 71;
const DAMAGED: i32 = 140;

#[derive(Default)]
struct NoController {
    /// The directories that were said to have failed.
    failed: Mutex<Vec<DirectoryId>>,
}

impl ControllerLink for NoController {
    fn alter_partition(
        &self,
        _changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async { Err(IsrChangeFailure::NotTaken("there is no controller".to_owned())) })
    }

    fn report_unreachable(&self, _broker: BrokerId) {}

    fn directory_offline(&self, directory: DirectoryId) {
        self.failed.lock().push(directory);
    }
}

fn formatted(fs: Arc<dyn FileSystem>, path: &Path) -> LogDirectory {
    formatted_as(fs, path, DIRECTORY)
}

fn formatted_as(fs: Arc<dyn FileSystem>, path: &Path, id: DirectoryId) -> LogDirectory {
    let files = LogDirectory::open(fs, path).unwrap();
    let directory_id = Some(id);
    let properties = MetaProperties { cluster_id: None, node_id: BrokerId(1), directory_id, has_joined: false };
    files.write_meta_properties(&properties).unwrap();
    files
}

/// Logs of as many batches as their number says, modulo 5, dropped without a flush.
fn fill(files: &LogDirectory) {
    let fs = files.file_system();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, Some(b"key"), Some(b"value"), &[]);
    let batch = builder.build(0, LeaderEpoch(-1));
    for partition in 0..REPLICAS {
        let path = files.partition_path("many", partition);
        let (mut log, _) = Log::open(Arc::clone(fs), path.clone(), TOPIC, LogConfig::default(), true, 0, NOW).unwrap();
        for _ in 0..partition % 5 {
            log.append_as_leader(batch.clone(), LeaderEpoch(1), NOW).unwrap();
        }
        if partition == TORN {
            let file = fs.open(&path.join("00000000000000000000.log"), OpenMode::ReadWrite).unwrap();
            file.write_all_at(b"half a batch", file.length().unwrap()).unwrap();
        }
    }
    // More was flushed of this one than is there.
    let damaged = TopicPartition { topic: "many".into(), partition: DAMAGED };
    std::fs::remove_file(files.partition_path("many", DAMAGED).join("recovery-point-cap")).unwrap();
    files.write_recovery_points(&BTreeMap::from([(damaged, 7)])).unwrap();
}

#[test]
fn many_replicas_are_opened_by_several_threads_and_each_is_what_its_log_says() {
    for threads in [1, 3] {
        let place = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new());
        let files = formatted(fs, &place.path().join("logs"));
        fill(&files);

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = ReplicaConfig { recovery_threads: threads, ..ReplicaConfig::new(BrokerId(1)) };
        let link = Arc::new(NoController::default());
        let manager = ReplicaManager::open(config, vec![files], link.clone(), runtime.handle().clone()).unwrap();
        let at = |partition| TopicIdPartition { topic_id: TOPIC, partition };
        assert_eq!(manager.damaged(), [at(DAMAGED)]);
        let whole: Vec<TopicIdPartition> = (0..REPLICAS).filter(|i| *i != DAMAGED).map(at).collect();
        assert_eq!(manager.partitions(), whole);
        for at in whole {
            let state = manager.partition_state(at).unwrap();
            let end = i64::from(at.partition % 5);
            assert_eq!((state.log_end_offset, state.flushed_offset), (end, end), "{at:?} with {threads} threads");
        }
        assert!(manager.shutdown());
        assert!(link.failed.lock().is_empty());
    }
}

#[test]
fn a_directory_whose_first_sync_fails_is_not_used() {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new("/data")).unwrap();
    let files = formatted(Arc::new(fs.clone()), Path::new("/data/logs"));
    let path = files.partition_path("one", 0);
    drop(Log::open(Arc::new(fs.clone()), path, TOPIC, LogConfig::default(), true, 0, NOW).unwrap());
    fs.inject(FaultPlan { target: FaultTarget::Sync, skip: 0, fault: Fault::Error(io::ErrorKind::Other) });

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let link = Arc::new(NoController::default());
    let config = ReplicaConfig::new(BrokerId(1));
    // Nobody knows what is on the disk, and there is no other.
    let Err(error) = ReplicaManager::open(config, vec![files], link, runtime.handle().clone()) else {
        panic!("its replicas would count as flushed");
    };
    assert!(error.to_string().contains("sync the volume of /data/logs"), "{error}");
}

/// A clock that every replica is opened by: the first to ask wait for each other, if there are to be several.
struct Meeting {
    together: usize,
    asked: Mutex<Vec<ThreadId>>,
    more: Condvar,
}

impl Meeting {
    fn of(together: usize) -> Arc<Meeting> {
        Arc::new(Meeting { together, asked: Mutex::default(), more: Condvar::new() })
    }
}

impl Clock for Meeting {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime::from_millis(1)
    }

    fn wall(&self) -> WallTime {
        let mut asked = self.asked.lock();
        asked.push(std::thread::current().id());
        self.more.notify_all();
        let too_few = |asked: &mut Vec<ThreadId>| asked.len() < self.together;
        let waited = self.more.wait_while_for(&mut asked, too_few, Duration::from_secs(60));
        assert!(!waited.timed_out(), "one waits for the other to be done");
        NOW
    }
}

const DIRECTORIES: [(&str, u8); 4] = [("/data/d", 4), ("/data/b", 2), ("/data/c", 3), ("/data/a", 1)];

/// Four directories, not in the order of their names, with one replica of one batch in each.
fn four_directories(fs: &MemoryFs) -> Vec<LogDirectory> {
    fs.create_directories(Path::new("/data")).unwrap();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, None, Some(b"value"), &[]);
    let batch = builder.build(0, LeaderEpoch(-1));
    let directory = |(path, number): (&str, u8)| {
        let files = formatted_as(Arc::new(fs.clone()), Path::new(path), DirectoryId(Uuid([number; 16])));
        let replica = files.partition_path("one", i32::from(number));
        let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let (mut log, _) = Log::open(shared, replica, TOPIC, LogConfig::default(), true, 0, NOW).unwrap();
        log.append_as_leader(batch.clone(), LeaderEpoch(1), NOW).unwrap();
        files
    };
    DIRECTORIES.into_iter().map(directory).collect()
}

#[test]
fn directories_are_opened_at_the_same_time_and_one_that_fails_does_not_hinder_the_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let fs = MemoryFs::new();
    let files = four_directories(&fs);
    let checkpoint = Path::new("/data/b/recovery-point-offset-checkpoint");
    fs.open(checkpoint, OpenMode::Truncate).unwrap().write_all_at(b"no checkpoint", 0).unwrap();

    // One thread for each is enough: nobody waits until another directory is done.
    let config = ReplicaConfig { recovery_threads: 1, ..ReplicaConfig::new(BrokerId(1)) };
    let (link, clock) = (Arc::new(NoController::default()), Meeting::of(3));
    let shell = Shell::on(runtime.handle().clone(), config.cleaner);
    let manager = ReplicaManager::open_in(shell, config, files, link, clock.clone()).unwrap();

    let ids = [4, 3, 1].map(|number| DirectoryId(Uuid([number; 16])));
    assert_eq!(manager.directory_ids(), ids, "in the order of log.dirs");
    assert_eq!((manager.offline_directories(), &manager.inner.unusable), (1, &vec![PathBuf::from("/data/b")]));
    assert_eq!(manager.partitions(), [1, 3, 4].map(|partition| TopicIdPartition { topic_id: TOPIC, partition }));
    for at in manager.partitions() {
        let state = manager.partition_state(at).unwrap();
        assert_eq!((state.log_end_offset, state.flushed_offset), (1, 1), "{at:?}");
    }
    let mut threads = clock.asked.lock().clone();
    threads.dedup();
    assert_eq!(threads.len(), 3);
}

#[test]
fn a_simulation_opens_its_directories_on_its_own_thread_one_after_the_other() {
    let fs = MemoryFs::new();
    let files = four_directories(&fs);
    // Even if it is told to have more.
    let config = ReplicaConfig { recovery_threads: 3, ..ReplicaConfig::new(BrokerId(1)) };
    let (link, clock) = (Arc::new(NoController::default()), Meeting::of(1));
    let manager = ReplicaManager::open_in(Shell::Stepped, config, files, link, clock.clone()).unwrap();
    assert_eq!(manager.directory_ids(), DIRECTORIES.map(|(_, number)| DirectoryId(Uuid([number; 16]))));
    assert_eq!(*clock.asked.lock(), [std::thread::current().id(); 4]);
}

#[test]
fn a_replica_in_two_directories_is_the_one_of_the_first() {
    let fs = MemoryFs::new();
    let mut files = four_directories(&fs);
    // What 4 has is in 1 as well.
    let copy = files[3].partition_path("one", 4);
    drop(Log::open(Arc::new(fs.clone()), copy, TOPIC, LogConfig::default(), true, 0, NOW).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for ends in [1, 0] {
        let config = ReplicaConfig::new(BrokerId(1));
        let link = Arc::new(NoController::default());
        let manager = ReplicaManager::open(config, files, link, runtime.handle().clone()).unwrap();
        let twice = TopicIdPartition { topic_id: TOPIC, partition: 4 };
        assert_eq!(manager.partition_state(twice).unwrap().log_end_offset, ends);
        drop(manager);
        fs.kill();
        files = [1, 4, 2, 3]
            .map(|number| (DIRECTORIES.iter().find(|(_, other)| *other == number).unwrap().0, number))
            .map(|(path, number)| formatted_as(Arc::new(fs.clone()), Path::new(path), DirectoryId(Uuid([number; 16]))))
            .into();
    }
}
