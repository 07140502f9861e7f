use std::time::{Duration, Instant};

use raftsman_rpc::controller as pb;

use crate::brokers::{create_topic, register, session};
use crate::cluster::Quorum;

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_is_active_right_after_the_active_one_stopped() {
    let mut quorum = Quorum::started(3).await;
    let mut gaps = Vec::new();
    for _ in 0..5 {
        let active = quorum.until_whole().await;
        let version = quorum.nodes[active].health().metadata_version;
        let stopped = Instant::now();
        quorum.nodes[active].stop();
        let next = quorum.active().await;
        gaps.push(stopped.elapsed());
        assert_ne!(next, active);
        let after = quorum.nodes[next].health();
        assert!(after.metadata_version > version, "the new one has written its Activate");
        quorum.start(active);
    }
    println!("from the stop's beginning to the next active controller: {gaps:?}");
    // Ticks alone need 650 ms and more each time; the shutdown itself is in these figures too.
    gaps.sort();
    assert!(gaps[2] < Duration::from_millis(500), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_controller_without_a_majority_stands_down() {
    let mut quorum = Quorum::started(3).await;
    let active = quorum.until_whole().await;
    let (second, third) = ((active + 1) % 3, (active + 2) % 3);
    let mut client = quorum.nodes[active].client().await;
    let epoch = register(&mut client, 1).await;
    let mut heartbeats = session(&mut client, 1, epoch).await;
    heartbeats.until_unfenced().await;
    quorum.nodes[second].stop();
    quorum.nodes[third].stop();
    let alone = quorum.nodes[active].until("alone", |h| !h.is_active).await;
    assert_eq!(alone.active_controller, None, "it does not call itself active to others either");
    heartbeats.until_closed().await;
    quorum.start(second);
    let next = quorum.active().await;
    let version = quorum.nodes[next].health().metadata_version;
    assert!(version > alone.metadata_version, "whoever is active has written a new Activate");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_when_all_stop_and_start_again() {
    let mut quorum = Quorum::started(3).await;
    let active = quorum.active().await;
    let mut client = quorum.nodes[active].client().await;
    let epoch = register(&mut client, 1).await;
    let mut session = session(&mut client, 1, epoch).await;
    session.until_unfenced().await;
    create_topic(&mut client, 1, epoch, "kept").await;
    drop(session);
    let version = quorum.nodes[active].health().metadata_version;
    for node in &mut quorum.nodes {
        node.stop();
    }
    for index in 0..3 {
        quorum.start(index);
    }
    let active = quorum.active().await;
    for node in &quorum.nodes {
        node.until("caught up", |h| h.metadata_version > version).await;
    }
    let mut client = quorum.nodes[active].client().await;
    let image = crate::brokers::watch_until(&mut client, version).await;
    assert!(image.topic_by_name("kept").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_far_behind_gets_a_snapshot() {
    let mut quorum = Quorum::of(3);
    quorum.timings.snapshot_after_entries = 20;
    quorum.timings.entries_kept = 5;
    for index in 0..3 {
        quorum.start(index);
    }
    let active = quorum.until_whole().await;
    let behind = (active + 1) % 3;
    quorum.nodes[behind].stop();
    let mut client = quorum.nodes[active].client().await;
    let epoch = register(&mut client, 1).await;
    for _ in 0..60 {
        let sender = Some(pb::Sender { cluster_id: String::new(), broker_id: 1, broker_epoch: epoch });
        let reply = client.allocate_producer_ids(pb::AllocateProducerIdsRequest { sender }).await.unwrap();
        assert_eq!(reply.get_ref().error_code, 0);
    }
    let version = quorum.nodes[active].health().metadata_version;
    assert!(version >= 60);
    let snapshots =
        |index: usize| std::fs::read_dir(quorum.nodes[index].metadata_dir().join("snapshots")).unwrap().count();
    assert_eq!(snapshots(behind), 0);
    assert_eq!(snapshots(active), 1);
    quorum.start(behind);
    quorum.nodes[behind].until("caught up", |h| h.metadata_version >= version).await;
    let snapshots = std::fs::read_dir(quorum.nodes[behind].metadata_dir().join("snapshots")).unwrap().count();
    assert_eq!(snapshots, 1, "it came by snapshot");
    // And it goes on from there by the log, also after a restart.
    quorum.nodes[behind].stop();
    quorum.start(behind);
    quorum.nodes[behind].until("restored", |h| h.metadata_version >= version).await;
    // It has no batches from before its snapshot: a new watcher gets the image in parts.
    let mut client = quorum.nodes[behind].client().await;
    let image = crate::brokers::watch_until(&mut client, version).await;
    assert_eq!(image.broker_epoch(raftsman_types::BrokerId(1)).map(|e| e.0), Some(epoch));
    assert!(image.next_producer_id > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_entries_are_soon_in_a_snapshot() {
    let mut quorum = Quorum::of(1);
    quorum.timings.snapshot_after_bytes = 300;
    quorum.start(0);
    quorum.active().await;
    let mut client = quorum.nodes[0].client().await;
    register(&mut client, 1).await;
    register(&mut client, 2).await;
    register(&mut client, 3).await;
    let directory = quorum.nodes[0].metadata_dir().join("snapshots");
    let has_one = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while std::fs::read_dir(&directory).unwrap().count() == 0 {
            look.tick().await;
        }
    };
    tokio::time::timeout(crate::cluster::LIMIT, has_one).await.expect("a snapshot is made");
}
