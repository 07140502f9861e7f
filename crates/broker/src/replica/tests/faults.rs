use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs};
use raftsman_metadata::ConfigResource;
use raftsman_records::{DownConverter, LegacyFormat, RecordBatch};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, Uuid};

use super::cluster::{AT, Cluster, await_condition, batch};
use crate::replica::{Acks, AppendError, AppendOrigin, DeleteRecordsError, FetchError, Isolation, ReplicaRole};

/// Brokers of which the first is on a disk in memory.
fn with_memory(brokers: i32, min_insync_replicas: u32) -> (Cluster, MemoryFs) {
    let memory = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = [(1, Arc::new(memory.clone()) as _)].into();
    (Cluster::on(brokers, min_insync_replicas, file_systems, |_| {}), memory)
}

fn fail(memory: &MemoryFs, target: FaultTarget) {
    memory.inject(FaultPlan { target, skip: 0, fault: Fault::Error(ErrorKind::PermissionDenied) });
}

#[test]
fn a_failed_flush_takes_the_directory_offline_and_is_never_repeated() {
    let (cluster, memory) = with_memory(2, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    fail(&memory, FaultTarget::Sync);
    let appended = cluster.manager(1).append(AT, batch(&["b"]), Acks::All, AppendOrigin::Client).unwrap();
    let outcome = cluster.committed(1, appended, Duration::from_secs(20));
    assert_eq!(outcome, Err(AppendError::Storage), "never acknowledged by a second try");
    assert_eq!(cluster.controller.offline(), [DirectoryId(Uuid([1; 16]))]);
    assert!(cluster.manager(1).directory_ids().is_empty());
    let described = cluster.manager(1).describe_directories();
    assert_eq!((described.len(), described[0].is_offline, described[0].replicas.len()), (1, true, 0));
    assert_eq!(cluster.manager(1).delete_records(AT, 0), Err(DeleteRecordsError::Storage));
    let refused = cluster.produce(1, Acks::Leader, &["c"]).unwrap_err();
    assert_eq!(refused.error_code(), ErrorCode::KafkaStorageError);
    let listed = cluster.manager(1).list_offset(AT, -1, Isolation::ReadUncommitted, None);
    assert_eq!(listed, Err(FetchError::Storage));
    // The controller moves the leadership away; what was committed is there.
    cluster.controller.elect(2, &[2]);
    cluster.produce(2, Acks::All, &["d"]).unwrap();
    let values = cluster.values(2);
    assert_eq!((values.first().unwrap().as_str(), values.last().unwrap().as_str()), ("a", "d"));
    assert_eq!(cluster.state(1).role, ReplicaRole::Idle);
    assert!(!cluster.manager(1).shutdown(), "a directory that failed is not marked as stopped cleanly");
}

#[test]
fn a_failed_write_answers_with_a_storage_error() {
    let (cluster, memory) = with_memory(1, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    fail(&memory, FaultTarget::Write);
    assert_eq!(cluster.produce(1, Acks::All, &["b"]), Err(AppendError::Storage));
    await_condition("the replica is offline", || cluster.state(1).role == ReplicaRole::Idle);
    assert_eq!(cluster.controller.offline().len(), 1);
}

#[test]
fn a_power_cut_of_the_leader_loses_nothing_that_was_acknowledged() {
    let (mut cluster, memory) = with_memory(2, 1);
    for value in ["a", "b", "c"] {
        cluster.produce(1, Acks::All, &[value]).unwrap();
    }
    cluster.kill(1);
    memory.crash();
    cluster.boot(1);
    assert_eq!(cluster.manager(1).damaged(), []);
    cluster.controller.elect(1, &[1, 2]);
    cluster.produce(1, Acks::All, &["d"]).unwrap();
    assert_eq!(cluster.values(1), ["a", "b", "c", "d"]);
}

#[test]
fn a_replica_damaged_below_what_was_flushed_is_reported_and_copied_anew() {
    let mut cluster = Cluster::configured(2, 1, |config| config.checkpoint_interval = Duration::from_millis(20));
    cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    cluster.produce(1, Acks::All, &["c"]).unwrap();
    let checkpoint = cluster.path(2).join("recovery-point-offset-checkpoint");
    await_condition("the recovery point is written down", || {
        std::fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("orders 0 3"))
    });
    cluster.kill(2);
    cluster.controller.fence(&[2]);
    let segment = cluster.path(2).join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[70] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    cluster.boot(2);
    await_condition("broker 2 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(2)));
    assert_eq!(cluster.manager(2).damaged(), [], "it is copied by now");
    cluster.controller.elect(2, &[1, 2]);
    cluster.produce(2, Acks::All, &["d"]).unwrap();
    assert_eq!(cluster.values(2), ["a", "b", "c", "d"]);
}

#[test]
fn a_damaged_replica_that_the_cluster_counts_on_is_left_as_it_is() {
    let mut cluster = Cluster::configured(1, 1, |config| config.checkpoint_interval = Duration::from_millis(20));
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    let checkpoint = cluster.path(1).join("recovery-point-offset-checkpoint");
    await_condition("the recovery point is written down", || {
        std::fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("orders 0 1"))
    });
    cluster.kill(1);
    let segment = cluster.path(1).join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0xff;
    std::fs::write(&segment, &bytes).unwrap();
    cluster.boot(1);
    cluster.controller.elect(1, &[1]);
    assert_eq!(cluster.manager(1).damaged(), [AT]);
    assert_eq!(cluster.produce(1, Acks::All, &["b"]), Err(AppendError::NotLeaderOrFollower));
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "the only copy is not thrown away");
}

/// As Kafka wrote it before 0.11, and no checkpoint says that it was flushed.
#[test]
fn a_replica_of_an_old_format_is_reported_and_never_deleted() {
    let mut cluster = Cluster::configured(2, 1, |_| {});
    cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    cluster.kill(2);
    let segment = cluster.path(2).join("orders-0/00000000000000000000.log");
    let mut converter = DownConverter::new(LegacyFormat::V1, 0, 1 << 20);
    converter.push(&RecordBatch::parse(batch(&["old", "older"])).unwrap(), 1 << 20).unwrap();
    let old = converter.into_bytes();
    std::fs::write(&segment, &old).unwrap();
    cluster.boot(2);
    assert_eq!(cluster.manager(2).damaged(), [AT]);
    assert_eq!(std::fs::read(&segment).unwrap(), old);
    cluster.kill(2);
    cluster.controller.fence(&[2]);
    // It is copied from its leader, which may be without what the old files have.
    cluster.boot(2);
    await_condition("broker 2 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(2)));
    let directories = std::fs::read_dir(cluster.path(2)).unwrap().map(|entry| entry.unwrap().path());
    let aside = directories.filter(|path| path.to_string_lossy().ends_with("-stray"));
    let kept: Vec<_> = aside.map(|path| std::fs::read(path.join("00000000000000000000.log")).unwrap()).collect();
    assert_eq!(kept, [old]);
}

#[test]
fn written_durability_acknowledges_what_the_kernel_has() {
    let (cluster, memory) = with_memory(2, 2);
    cluster.controller.change(|image| {
        let settings = [("durability".into(), "written".into())];
        image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
    });
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    let before = memory.changes();
    cluster.produce(1, Acks::All, &["b"]).unwrap();
    assert!(cluster.state(1).flushed_offset <= 1, "{:?}", cluster.state(1));
    assert_eq!(memory.changes() - before, 1, "one write, and no sync");
    // Back to flushed: what is acknowledged from now on is on the disks.
    cluster.controller.change(|image| {
        image.configs.remove(&ConfigResource::topic("orders"));
    });
    cluster.produce(1, Acks::All, &["c"]).unwrap();
    assert_eq!(cluster.state(1).flushed_offset, 3);
}
