//! Many replicas opened at once, after a kill.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs, OpenMode, RealFs};
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{BrokerId, DirectoryId, LeaderEpoch, TopicId, TopicIdPartition, TopicPartition, Uuid, WallTime};

use crate::replica::{
    BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult, ReplicaConfig, ReplicaManager,
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
    let files = LogDirectory::open(fs, path).unwrap();
    let directory_id = Some(DIRECTORY);
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
