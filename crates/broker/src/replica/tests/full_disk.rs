//! A disk without room: writes are refused, nothing else, and taken again by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::fs::{FileSystem, MemoryFs};
use raftsman_types::ErrorCode;

use super::cluster::{Cluster, await_condition};
use crate::replica::{Acks, AppendError, ReplicaConfig};

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
