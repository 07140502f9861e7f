//! One of a broker's log directories fails while it runs.

use std::sync::Arc;
use std::time::Duration;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, MemoryFs};
use raftsman_metadata::PartitionImage;
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, LeaderEpoch, TopicIdPartition};

use super::cluster::{AT, Cluster, await_condition, batch, directory_id, ids};
use crate::replica::{Acks, AppendError, AppendOrigin, Appended, FetchError, FetchRead, Isolation, ReplicaRole};

/// In broker 1's first directory, led by it.
const KEPT: TopicIdPartition = AT;
/// In its second directory: led by it, and followed.
const LOST: TopicIdPartition = TopicIdPartition { partition: 1, ..AT };
const FOLLOWED: TopicIdPartition = TopicIdPartition { partition: 2, ..AT };

/// Two brokers with all three partitions; what the second directory of broker 1 is on.
fn cluster() -> (Cluster, MemoryFs) {
    let disk = MemoryFs::new();
    let mut cluster = Cluster::start(2, 1);
    cluster.kill(1);
    cluster.second_directories.insert(1, Arc::new(disk.clone()));
    cluster.boot(1);
    cluster.controller.elect(1, &[1, 2]);
    cluster.controller.change(|image| {
        let mut topic = (**image.topic(AT.topic_id).unwrap()).clone();
        for (at, leader) in [(LOST, 1), (FOLLOWED, 2)] {
            let partition = PartitionImage {
                replicas: ids(&[1, 2]),
                directories: vec![directory_id(1, true), DirectoryId::ZERO],
                isr: ids(&[1, 2]),
                leader: Some(BrokerId(leader)),
                leader_epoch: LeaderEpoch(0),
                ..PartitionImage::default()
            };
            topic.partitions.insert(at.partition, Arc::new(partition));
        }
        image.topics.insert(AT.topic_id, Arc::new(topic));
    });
    (cluster, disk)
}

fn append(cluster: &Cluster, leader: i32, at: TopicIdPartition, value: &str) -> Result<Appended, AppendError> {
    let appended = cluster.manager(leader).append(at, batch(&[value]), Acks::All, AppendOrigin::Client)?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let committed = cluster.manager(leader).committed(at, appended.leader_epoch, appended.last_offset, deadline);
    cluster.block_on(leader, committed).map(|()| appended)
}

/// Where a consumer goes on that has read from the beginning.
fn fetch(cluster: &Cluster, leader: i32, at: TopicIdPartition) -> Result<i64, FetchError> {
    let read = FetchRead {
        fetch_offset: 0,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        max_bytes: 1 << 20,
        at_least_one: true,
        isolation: Isolation::ReadUncommitted,
    };
    cluster.manager(leader).fetch(at, read).map(|fetched| fetched.next_offset)
}

#[test]
fn a_directory_that_fails_takes_nothing_but_its_own_replicas_along() {
    let (cluster, disk) = cluster();
    for (leader, at) in [(1, KEPT), (1, LOST), (2, FOLLOWED)] {
        append(&cluster, leader, at, "before").unwrap();
    }
    let both = [directory_id(1, false), directory_id(1, true)];
    assert_eq!(cluster.manager(1).directory_ids(), both);
    assert!(disk.changes() > 0, "what is to be lost is on the second disk");

    disk.inject(FaultPlan {
        target: FaultTarget::AnyChange,
        skip: 0,
        fault: Fault::ErrorFromHere(std::io::ErrorKind::PermissionDenied),
    });
    let refused = append(&cluster, 1, LOST, "lost").unwrap_err();
    assert_eq!(refused.error_code(), ErrorCode::KafkaStorageError);
    await_condition("its replicas are offline", || {
        [LOST, FOLLOWED].iter().all(|at| cluster.manager(1).partition_state(*at).unwrap().role == ReplicaRole::Idle)
    });
    assert_eq!(cluster.controller.offline(), both[1..], "the controller is told, and of no other");
    assert_eq!((cluster.manager(1).directory_ids(), cluster.manager(1).offline_directories()), (both[..1].into(), 1));
    assert_eq!(append(&cluster, 1, LOST, "lost").map(drop), Err(AppendError::Storage));
    assert_eq!(fetch(&cluster, 1, LOST), Err(FetchError::Storage));

    // The other directory's goes on as if nothing were, with broker 2 as its follower.
    for offset in 1..4 {
        assert_eq!(append(&cluster, 1, KEPT, "after").unwrap().base_offset, offset);
    }
    assert_eq!(fetch(&cluster, 1, KEPT), Ok(4));
    assert_eq!(cluster.controller.partition().isr, ids(&[1, 2]));
    // What the controller does when it hears of it.
    cluster.controller.change(|image| {
        let mut topic = (**image.topic(AT.topic_id).unwrap()).clone();
        for at in [LOST, FOLLOWED] {
            let mut partition = (**topic.partition(at.partition).unwrap()).clone();
            partition.leader = Some(BrokerId(2));
            partition.isr = ids(&[2]);
            partition.leader_epoch = partition.leader_epoch.next();
            partition.partition_epoch = partition.partition_epoch.next();
            topic.partitions.insert(at.partition, Arc::new(partition));
        }
        image.topics.insert(AT.topic_id, Arc::new(topic));
    });
    for at in [LOST, FOLLOWED] {
        append(&cluster, 2, at, "after").unwrap();
        assert_eq!(fetch(&cluster, 2, at).unwrap(), cluster.manager(2).partition_state(at).unwrap().log_end_offset);
        assert!(fetch(&cluster, 2, at).unwrap() >= 2, "what was committed before is there");
        assert_eq!(cluster.manager(1).partition_state(at).unwrap().role, ReplicaRole::Idle, "it is made nowhere else");
    }
    append(&cluster, 1, KEPT, "last").unwrap();
    assert!(!cluster.manager(1).shutdown(), "a directory that failed is not marked as stopped cleanly");
}
