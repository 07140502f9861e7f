//! A process without a file descriptor left: what needs one is refused or put off, and no directory goes offline for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::OpenFiles;
use raftsman_log::fs::{BoundedFs, FileSystem, MemoryFs, OpenMode};
use raftsman_types::ErrorCode;

use super::cluster::{AT, Cluster, await_condition, batch};
use crate::replica::{Acks, AppendError, AppendOrigin, FetchError, FetchRead, Isolation};

/// Two brokers of which one is on a disk in memory; replicas that rest let go of their files at once.
fn with_memory(broker: i32) -> (Cluster, MemoryFs) {
    let memory = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = [(broker, Arc::new(memory.clone()) as _)].into();
    let configure = |config: &mut crate::replica::ReplicaConfig| {
        config.checkpoint_interval = Duration::from_millis(20);
        config.replica_lag_time_max = Duration::from_secs(3600);
    };
    (Cluster::on(2, 1, file_systems, configure), memory)
}

fn await_rest(memory: &MemoryFs) {
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "log");
    await_condition("the replica rests", || !memory.open_handles().iter().any(is_log));
}

fn await_refusal(memory: &MemoryFs) {
    let before = memory.handles_refused();
    await_condition("something wants a file", || memory.handles_refused() > before);
}

const FROM_THE_BEGINNING: FetchRead = FetchRead {
    fetch_offset: 0,
    current_leader_epoch: None,
    last_fetched_epoch: None,
    max_bytes: 1 << 20,
    at_least_one: true,
    isolation: Isolation::ReadUncommitted,
};

#[test]
fn a_leader_without_files_refuses_appends_and_reads_and_nothing_else_happens() {
    let (cluster, memory) = with_memory(1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    for _ in 0..3 {
        await_rest(&memory);
        memory.set_handles_left(0);
        let refused = cluster.produce(1, Acks::Leader, &["b"]).unwrap_err();
        assert_eq!((&refused, refused.error_code()), (&AppendError::TooManyOpenFiles, ErrorCode::KafkaStorageError));
        let manager = cluster.manager(1);
        let unread = [
            manager.fetch(AT, FROM_THE_BEGINNING).unwrap_err(),
            cluster.block_on(1, manager.fetched(AT, FROM_THE_BEGINNING)).unwrap_err(),
        ];
        assert_eq!(unread, [FetchError::TooManyOpenFiles; 2]);
        assert_eq!(unread[0].error_code(), ErrorCode::KafkaStorageError);
        memory.set_handles_left(u64::MAX);
        assert_eq!(cluster.values(1).first().map(String::as_str), Some("a"));
        cluster.produce(1, Acks::All, &["c"]).unwrap();
    }
    assert_eq!(cluster.values(1), ["a", "c", "c", "c"]);

    // The checkpoint of what is deleted here has to wait as well.
    let checkpoint = cluster.path(1).join("log-start-offset-checkpoint");
    let is_written = || {
        let file = memory.open(&checkpoint, OpenMode::Read).unwrap();
        let mut content = [0; 100];
        let read = file.read_at(&mut content, 0).unwrap();
        String::from_utf8_lossy(&content[..read]).contains("orders 0 1")
    };
    assert!(!is_written());
    memory.set_handles_left(0);
    cluster.manager(1).delete_records(AT, 1).unwrap();
    await_refusal(&memory);
    memory.set_handles_left(u64::MAX);
    await_condition("the checkpoint is written", is_written);
    assert_eq!(cluster.controller.offline(), []);
    assert!(cluster.manager(1).shutdown(), "it stops cleanly");
}

#[test]
fn a_flush_without_files_is_tried_again_until_who_waits_for_it_is_answered() {
    let (cluster, memory) = with_memory(1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    await_rest(&memory);
    // So large a batch is left to the flush to be written, and it is that which lacks the file.
    let large = "b".repeat(100_000);
    memory.set_handles_left(0);
    let appended = cluster.manager(1).append(AT, batch(&[&large]), Acks::All, AppendOrigin::Client).unwrap();
    for _ in 0..3 {
        await_refusal(&memory);
    }
    let state = cluster.state(1);
    assert_eq!((state.flushed_offset, state.log_end_offset), (1, 2));
    memory.set_handles_left(u64::MAX);
    assert_eq!(cluster.committed(1, appended, Duration::from_secs(60)), Ok(()));
    assert_eq!(cluster.values(1), ["a", &large]);
    assert_eq!(cluster.controller.offline(), []);
}

#[test]
fn a_follower_without_files_catches_up_once_it_has_some() {
    let (cluster, memory) = with_memory(2);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    await_condition("the follower has it", || cluster.state(2).log_end_offset == 1);
    await_rest(&memory);
    memory.set_handles_left(0);
    cluster.produce(1, Acks::Leader, &["b"]).unwrap();
    await_refusal(&memory);
    cluster.produce(1, Acks::Leader, &["c"]).unwrap();
    assert_eq!(cluster.state(2).log_end_offset, 1);
    memory.set_handles_left(u64::MAX);
    await_condition("the follower has caught up", || cluster.state(2).log_end_offset == 3);
    cluster.produce(1, Acks::All, &["d"]).unwrap();
    assert_eq!(cluster.controller.offline(), []);
}

#[test]
fn brokers_work_with_very_few_files() {
    let memory = MemoryFs::new();
    let files = Arc::new(OpenFiles::new(1));
    let bounded: Arc<dyn FileSystem> = Arc::new(BoundedFs::new(Arc::new(memory.clone()), Arc::clone(&files)));
    let cluster = Cluster::on(2, 1, [(1, Arc::clone(&bounded)), (2, bounded)].into(), |_| {});
    let values: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    for value in &values {
        cluster.produce(1, Acks::All, &[value]).unwrap();
    }
    assert_eq!(cluster.values(1), values);
    await_condition("no more are open than in use", || files.open_count() <= 1);
}
