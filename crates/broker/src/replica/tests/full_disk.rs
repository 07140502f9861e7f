//! A disk without room: writes are refused, nothing else, and taken again by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::fs::{FileSystem, MemoryFs};
use raftsman_metadata::ConfigResource;
use raftsman_types::{BrokerId, ErrorCode};

use super::cluster::{AT, Cluster, await_condition, batch, idempotent_batch};
use crate::replica::{Acks, AppendError, AppendOrigin, ReplicaConfig};

fn cluster_with_memory_disk(broker: i32, configure: fn(&mut ReplicaConfig)) -> (Cluster, MemoryFs) {
    let disk = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = BTreeMap::from([(broker, Arc::new(disk.clone()) as _)]);
    (Cluster::on(3, 2, file_systems, configure), disk)
}

#[test]
fn a_leader_on_a_full_disk_refuses_writes_and_nothing_else() {
    let (cluster, disk) = cluster_with_memory_disk(1, |_| {});
    // A twentieth of it is kept free.
    disk.set_capacity(Some(1 << 20));
    let value = "x".repeat(10_000);
    let mut written = 0;
    let refused = loop {
        match cluster.produce(1, Acks::All, &[&value]) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 200, "the disk never fills");
    };
    assert!(matches!(refused, AppendError::DiskFull { .. }), "{refused}");
    assert_eq!(refused.error_code(), ErrorCode::KafkaStorageError);
    assert!(written > 80, "only {written} records went in");
    let manager = cluster.manager(1);
    assert_eq!(manager.full_directories(), [cluster.path(1)]);
    // What is left of the reserve is none of a client's, however small its batch.
    for _ in 0..10 {
        assert!(matches!(cluster.produce(1, Acks::Leader, &["y"]), Err(AppendError::DiskFull { .. })));
    }
    assert_eq!(cluster.values(1).len(), written, "reads go on");
    assert_eq!(cluster.controller.offline(), [], "the directory is no broken one");

    // Not a byte is left, then somebody makes room.
    disk.set_capacity(Some(0));
    assert!(matches!(cluster.produce(1, Acks::All, &["y"]), Err(AppendError::DiskFull { .. })));
    let state = manager.directory_states().remove(0);
    assert_eq!((state.is_full, state.is_offline, state.free_bytes), (true, false, Some(0)));
    disk.set_capacity(Some(4 << 20));
    cluster.produce(1, Acks::All, &["z"]).expect("writes are taken again");
    assert_eq!(manager.full_directories(), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(cluster.values(1).len(), written + 1);
}

#[test]
fn a_write_that_finds_no_room_is_refused_and_the_next_goes_on() {
    let (cluster, disk) = cluster_with_memory_disk(1, |config| config.reserved_bytes = 0);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    disk.set_capacity(Some(0));
    for _ in 0..3 {
        assert!(matches!(cluster.produce(1, Acks::All, &["b"]), Err(AppendError::DiskFull { .. })));
    }
    disk.set_capacity(None);
    cluster.produce(1, Acks::All, &["c"]).unwrap();
    assert_eq!(cluster.values(1), ["a", "c"]);
    assert_eq!(cluster.controller.offline(), []);
}

#[test]
fn a_follower_on_a_full_disk_does_not_hold_the_watermark() {
    // It does not leave for being slow.
    let (cluster, disk) = cluster_with_memory_disk(2, |config| config.replica_lag_time_max = Duration::from_secs(3600));
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    disk.set_capacity(Some(0));
    cluster.produce(1, Acks::All, &["b"]).expect("committed once the follower is out of the ISR");
    assert!(!cluster.controller.partition().isr.contains(&raftsman_types::BrokerId(2)));
    cluster.produce(1, Acks::All, &["c"]).unwrap();
    assert!(cluster.state(2).log_end_offset < 3);
    assert_eq!(cluster.controller.offline(), []);
    disk.set_capacity(None);
    await_condition("the follower is in sync again", || cluster.controller.partition().isr.len() == 3);
    cluster.produce(1, Acks::All, &["d"]).unwrap();
    assert_eq!(cluster.state(2).log_end_offset, 4);
}

#[test]
fn a_stop_on_a_full_disk_is_no_clean_one_and_no_broken_disk() {
    let (mut cluster, disk) = cluster_with_memory_disk(1, |_| {});
    let batch = idempotent_batch(7, 0, "a");
    let appended = cluster.manager(1).append(AT, batch.clone(), Acks::All, AppendOrigin::Client).unwrap();
    cluster.committed(1, appended, Duration::from_secs(20)).unwrap();
    disk.set_capacity(Some(0));
    assert!(!cluster.manager(1).shutdown(), "what is known of producers cannot be written down");
    assert_eq!(cluster.controller.offline(), []);

    disk.set_capacity(None);
    cluster.kill(1);
    cluster.boot(1);
    cluster.controller.elect(1, &[1, 2, 3]);
    let again = cluster.manager(1).append(AT, batch, Acks::All, AppendOrigin::Client).unwrap();
    assert!(again.duplicate, "the log's end was read");
    cluster.committed(1, again, Duration::from_secs(20)).unwrap();
    assert_eq!(cluster.values(1), ["a"]);
}

/// A new segment is due and finds no room: what is deleted all the same makes it.
#[test]
fn retention_makes_room_for_the_segment_that_was_due() {
    let disk = MemoryFs::new();
    disk.set_capacity(Some(1 << 40));
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = BTreeMap::from([(1, Arc::new(disk.clone()) as _)]);
    let cluster = Cluster::on(1, 1, file_systems, |config| {
        config.reserved_bytes = 0;
        config.checkpoint_interval = Duration::from_millis(20);
        config.retention_check_interval = Duration::from_millis(20);
    });
    let set = |settings: &[(&str, &str)]| {
        cluster.controller.change(|image| {
            let settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings));
        });
    };
    let small = [("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")];
    set(&small);
    let value = "x".repeat(300_000);
    for _ in 0..10 {
        cluster.produce(1, Acks::All, &[&value]).unwrap();
    }
    let used = (1 << 40) - disk.space(&cluster.path(1)).unwrap().free;
    disk.set_capacity(Some(used));
    assert!(matches!(cluster.produce(1, Acks::Leader, &["y"]), Err(AppendError::DiskFull { .. })));
    assert_eq!(cluster.state(1).log_start_offset, 0);
    // From here on each look at retention finds a segment to be begun first.
    let old = [("segment.ms", "1"), ("retention.ms", "1")];
    set(&[&small[..], &old[..]].concat());
    await_condition("records are taken again", || cluster.produce(1, Acks::Leader, &["y"]).is_ok());
    assert!(cluster.state(1).log_start_offset >= 6, "{:?}", cluster.state(1));
    assert_eq!(cluster.controller.offline(), []);
}

/// Nobody may be told that a log is cut when there was no room to note it first, nor may that be the end of its directory.
#[test]
fn a_follower_that_cannot_cut_its_log_stays_as_it_is_until_there_is_room() {
    let disk = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = BTreeMap::from([(1, Arc::new(disk.clone()) as _)]);
    let mut cluster = Cluster::on(2, 1, file_systems, |config| config.checkpoint_interval = Duration::from_secs(3600));
    cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    cluster.kill(2);
    cluster.produce(1, Acks::Leader, &["lost", "lost too"]).unwrap();
    await_condition("what will be lost is on the disk", || cluster.state(1).flushed_offset == 4);
    disk.set_capacity(Some(0));
    cluster.controller.elect(2, &[2]);
    cluster.boot(2);
    cluster.produce(2, Acks::All, &["c"]).unwrap();
    await_condition("broker 1 has tried", || cluster.manager(1).full_directories() == [cluster.path(1)]);
    for value in ["d", "e"] {
        cluster.produce(2, Acks::All, &[value]).expect("who is out of the ISR is not waited for");
    }
    assert_eq!(cluster.state(1).log_end_offset, 4);
    assert_eq!(cluster.controller.partition().isr, [BrokerId(2)]);
    assert_eq!(cluster.controller.offline(), []);
    disk.set_capacity(None);
    await_condition("broker 1 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(1)));
    cluster.controller.elect(1, &[1, 2]);
    cluster.produce(1, Acks::All, &["f"]).unwrap();
    assert_eq!(cluster.values(1), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(cluster.controller.offline(), []);
}

/// A leader whose log begins within a batch sends all of it, and an empty log begins anew for that. Without room for the batch
/// it is to begin, in the end, where it should, not where the batch does.
#[test]
fn a_log_begun_anew_for_a_batch_without_room_brings_no_deleted_record_back() {
    let (mut cluster, disk) = cluster_with_memory_disk(2, |config| config.reserved_bytes = 0);
    cluster.controller.change(|image| {
        // Or the batch would wait in memory for its flush.
        let settings = [("durability".into(), "written".into())];
        image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
    });
    let value = "x".repeat(20_000);
    cluster.produce(1, Acks::All, &[value.as_str(); 10]).unwrap();
    cluster.manager(1).delete_records(AT, 5).unwrap();
    cluster.kill(2);
    cluster.controller.fence(&[2]);
    disk.set_capacity(Some(1 << 40));
    disk.remove_directory(&cluster.path(2).join("orders-0")).unwrap();
    let used = (1 << 40) - disk.space(&cluster.path(2)).unwrap().free;
    // All but the batch fits.
    disk.set_capacity(Some(used + 20_000));
    cluster.boot(2);
    await_condition("broker 2 has tried", || cluster.manager(2).full_directories() == [cluster.path(2)]);
    await_condition("its log is begun anew for the batch", || cluster.state(2).log_end_offset == 0);
    assert!(!cluster.controller.partition().isr.contains(&BrokerId(2)));
    disk.set_capacity(None);
    await_condition("broker 2 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(2)));
    await_condition("its log begins where its leader's does", || cluster.state(2).log_start_offset == 5);
    cluster.controller.elect(2, &[1, 2, 3]);
    cluster.produce(2, Acks::All, &["y"]).unwrap();
    assert_eq!((cluster.state(2).log_start_offset, cluster.state(2).log_end_offset), (5, 11));
    assert_eq!(cluster.controller.offline(), []);
}

/// A batch waits in memory for its flush, which finds no room, when the topic's acks become those for written records.
#[test]
fn what_is_not_written_yet_is_not_acked_as_written() {
    let disk = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = BTreeMap::from([(1, Arc::new(disk.clone()) as _)]);
    let cluster = Cluster::on(1, 1, file_systems, |config| config.reserved_bytes = 0);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    disk.set_capacity(Some(0));
    let value = "x".repeat(100_000);
    // As far as was looked there is room.
    let waiting = cluster.manager(1).append(AT, batch(&[&value]), Acks::All, AppendOrigin::Client).unwrap();
    await_condition("its flush finds none", || !cluster.manager(1).full_directories().is_empty());
    cluster.controller.change(|image| {
        let settings = [("durability".into(), "written".into())];
        image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
    });
    assert_eq!(cluster.state(1).high_watermark, 1, "a kill would leave nothing of it");
    disk.set_capacity(None);
    cluster.committed(1, waiting, Duration::from_secs(60)).unwrap();
    assert_eq!(cluster.values(1), ["a", &value]);
    // From here on acks are what the topic says.
    cluster.produce(1, Acks::All, &["b"]).unwrap();
    assert_eq!(cluster.controller.offline(), []);
}
