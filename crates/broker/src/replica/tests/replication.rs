use std::time::Duration;

use raftsman_metadata::ConfigResource;
use raftsman_types::{BrokerId, ErrorCode, LeaderEpoch};

use super::cluster::{AT, Cluster, await_condition, batch, idempotent_batch, ids};
use crate::replica::{Acks, AppendError, AppendOrigin, FetchError, FetchRead, Isolation, ReplicaRole};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn acks_all_is_answered_when_every_in_sync_replica_has_it_on_disk() {
    let cluster = Cluster::start(3, 2);
    let appended = cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset), (0, 1));
    for id in 1..=3 {
        let state = cluster.state(id);
        assert_eq!((state.log_end_offset, state.flushed_offset), (2, 2), "broker {id}");
    }
    assert_eq!(cluster.state(1).high_watermark, 2);
    assert_eq!(cluster.values(1), ["a", "b"]);
    await_condition("followers know the watermark", || (2..=3).all(|id| cluster.state(id).high_watermark == 2));
    let latest = cluster.manager(1).list_offset(AT, -1, Isolation::ReadUncommitted, None).unwrap();
    assert_eq!(latest.offset, 2);
}

#[test]
fn a_position_from_before_every_known_epoch_is_never_taken_for_a_known_one() {
    let cluster = Cluster::start(3, 2);
    cluster.controller.elect(2, &[1, 2, 3]);
    cluster.produce(2, Acks::All, &["a"]).unwrap();
    let first = cluster.state(2).leader_epoch;
    let fetch = |fetch_offset, last_fetched_epoch| {
        let read = FetchRead {
            fetch_offset,
            current_leader_epoch: None,
            last_fetched_epoch: Some(last_fetched_epoch),
            max_bytes: 1 << 20,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        cluster.manager(2).fetch(AT, read)
    };
    // What an older epoch wrote is gone: it ended where the first one that is kept begins.
    let before = LeaderEpoch(first.0 - 1);
    assert_eq!(fetch(1, before).unwrap().diverging, Some((before, 0)));
    assert_eq!(fetch(0, before).unwrap().diverging, None);
    assert_eq!(fetch(1, first).unwrap().diverging, None);
    assert_eq!(fetch(5, first).unwrap().diverging, Some((first, 1)));
    // Of what is no epoch nothing can be said: the client resets its position.
    let none = fetch(0, LeaderEpoch(-2));
    assert!(matches!(none, Err(FetchError::OffsetOutOfRange { start: 0, end: 1 })), "{none:?}");
}

#[test]
fn a_single_replica_commits_with_its_own_disk() {
    let cluster = Cluster::start(1, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    assert_eq!(cluster.values(1), ["a"]);
}

#[test]
fn many_batches_arrive_in_order_on_all_replicas() {
    let cluster = Cluster::start(3, 2);
    let values: Vec<String> = (0..2000).map(|i| format!("value {i} {}", "x".repeat(i % 700))).collect();
    let mut last = None;
    for value in &values {
        last = Some(cluster.manager(1).append(AT, batch(&[value]), Acks::All, AppendOrigin::Client).unwrap());
    }
    cluster.committed(1, last.unwrap(), Duration::from_secs(20)).unwrap();
    assert_eq!(cluster.values(1), values);
    cluster.controller.elect(2, &[2, 3]);
    cluster.produce(2, Acks::All, &["last"]).unwrap();
    assert_eq!(cluster.values(2)[..2000], values[..]);
}

#[test]
fn a_batch_larger_than_frames_and_credit_still_gets_through() {
    let cluster = Cluster::configured(2, 2, |config| {
        config.frame_bytes = 1000;
        config.credit_bytes = 2000;
    });
    let large = "x".repeat(500_000);
    cluster.produce(1, Acks::All, &[&large]).unwrap();
    cluster.produce(1, Acks::All, &[&large, "small"]).unwrap();
    assert_eq!(cluster.values(1), [&large, &large, "small"]);
}

#[test]
fn a_follower_that_restarts_catches_up_and_joins_again() {
    let mut cluster = Cluster::start(3, 2);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.kill(3);
    cluster.controller.fence(&[3]);
    cluster.produce(1, Acks::All, &["b", "c"]).unwrap();
    cluster.boot(3);
    await_condition("broker 3 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(3)));
    assert_eq!(cluster.state(3).flushed_offset, 3);
    cluster.produce(1, Acks::All, &["d"]).unwrap();
    assert_eq!(cluster.state(3).flushed_offset, 4);
}

#[test]
fn a_follower_reports_a_leader_that_dies() {
    let mut cluster = Cluster::start(2, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.kill(1);
    await_condition("broker 1 is reported", || cluster.controller.reported().contains(&BrokerId(1)));
}

#[test]
fn a_former_leader_cuts_what_was_never_committed() {
    let mut cluster = Cluster::start(2, 1);
    cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    cluster.kill(2);
    // Broker 2 is still in the ISR: none of this is committed.
    let lost = cluster.produce(1, Acks::Leader, &["lost", "lost too"]).unwrap();
    assert_eq!(cluster.committed(1, lost, SHORT), Err(AppendError::TimedOut));
    cluster.kill(1);
    cluster.boot(2);
    cluster.controller.elect(2, &[2]);
    cluster.produce(2, Acks::All, &["c"]).unwrap();
    cluster.boot(1);
    await_condition("broker 1 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(1)));
    cluster.produce(2, Acks::All, &["d"]).unwrap();
    cluster.controller.elect(1, &[1, 2]);
    cluster.produce(1, Acks::All, &["e"]).unwrap();
    assert_eq!(cluster.values(1), ["a", "b", "c", "d", "e"]);
    let ends: Vec<_> = (0..=2)
        .map(|epoch| cluster.manager(1).offset_for_leader_epoch(AT, None, LeaderEpoch(epoch)).unwrap().unwrap())
        .collect();
    assert_eq!(ends, [(LeaderEpoch(0), 2), (LeaderEpoch(1), 4), (LeaderEpoch(2), 5)]);
}

#[test]
fn too_few_in_sync_replicas_refuse_acks_all_before_the_append() {
    let cluster = Cluster::start(3, 2);
    // Fenced, or they would come back into the ISR by themselves.
    cluster.controller.fence(&[2, 3]);
    let end = cluster.state(1).log_end_offset;
    let refused = cluster.produce(1, Acks::All, &["a"]).unwrap_err();
    assert_eq!(refused, AppendError::NotEnoughReplicas { in_sync: 1, required: 2 });
    assert_eq!(refused.error_code(), ErrorCode::NotEnoughReplicas);
    assert_eq!(cluster.state(1).log_end_offset, end, "nothing was written");
    // acks=1 is taken, and not shown to consumers before enough replicas have it (KIP-966).
    cluster.produce(1, Acks::Leader, &["a"]).unwrap();
    assert_eq!(cluster.values(1), Vec::<String>::new());
}

#[test]
fn those_who_wait_are_told_when_too_few_replicas_stay_in_sync() {
    let mut cluster = Cluster::start(2, 2);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.kill(2);
    let appended = cluster.manager(1).append(AT, batch(&["b"]), Acks::All, AppendOrigin::Client).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let waiting = cluster.manager(1).committed(AT, appended.leader_epoch, appended.last_offset, deadline);
    cluster.controller.fence(&[2]);
    assert_eq!(cluster.block_on(1, waiting), Err(AppendError::NotEnoughReplicasAfterAppend));
}

#[test]
fn those_who_wait_are_told_when_the_leader_changes() {
    let mut cluster = Cluster::start(2, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.kill(2);
    let appended = cluster.produce(1, Acks::Leader, &["b"]).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let waiting = cluster.manager(1).committed(AT, appended.leader_epoch, appended.last_offset, deadline);
    let reader = cluster.manager(1).wait_for_data(&[AT]);
    cluster.controller.elect(2, &[2]);
    assert_eq!(cluster.block_on(1, waiting), Err(AppendError::NotLeaderOrFollower));
    cluster.block_on(1, async { tokio::time::timeout(Duration::from_secs(20), reader.woken()).await }).unwrap();
    assert_eq!(cluster.state(1).role, ReplicaRole::Follower);
    assert_eq!(cluster.produce(1, Acks::Leader, &["c"]), Err(AppendError::NotLeaderOrFollower));
    assert_eq!(
        cluster.manager(1).list_offset(AT, -2, Isolation::ReadUncommitted, Some(LeaderEpoch(0))),
        Err(FetchError::FencedLeaderEpoch)
    );
}

#[test]
fn a_long_poll_is_woken_by_a_commit() {
    let cluster = Cluster::start(3, 2);
    let reader = cluster.manager(1).wait_for_data(&[AT]);
    assert!(cluster.block_on(1, async { tokio::time::timeout(SHORT, reader.woken()).await }).is_err());
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.block_on(1, async { tokio::time::timeout(Duration::from_secs(20), reader.woken()).await }).unwrap();
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_offset() {
    let cluster = Cluster::start(2, 2);
    let manager = cluster.manager(1);
    let first = manager.append(AT, idempotent_batch(9, 0, "a"), Acks::All, AppendOrigin::Client).unwrap();
    cluster.produce(1, Acks::All, &["b"]).unwrap();
    let again = manager.append(AT, idempotent_batch(9, 0, "a"), Acks::All, AppendOrigin::Client).unwrap();
    assert_eq!((again.base_offset, again.last_offset, again.duplicate), (first.base_offset, first.last_offset, true));
    cluster.committed(1, again, SHORT).unwrap();
    let gap = manager.append(AT, idempotent_batch(9, 5, "c"), Acks::All, AppendOrigin::Client).unwrap_err();
    assert_eq!(gap.error_code(), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(cluster.values(1), ["a", "b"]);
}

#[test]
fn a_coordinator_of_another_epoch_appends_nothing() {
    let cluster = Cluster::start(1, 1);
    let (manager, epoch) = (cluster.manager(1), cluster.state(1).leader_epoch);
    for other in [LeaderEpoch(epoch.0 - 1), LeaderEpoch(epoch.0 + 1)] {
        let refused = manager.append(AT, batch(&["a"]), Acks::All, AppendOrigin::Coordinator(other)).unwrap_err();
        assert_eq!(refused, AppendError::NotLeaderOrFollower);
    }
    manager.append(AT, batch(&["b"]), Acks::All, AppendOrigin::Coordinator(epoch)).unwrap();
    assert_eq!(cluster.state(1).log_end_offset, 1);
}

#[test]
fn bad_records_get_kafkas_code_and_write_nothing() {
    let cluster = Cluster::start(1, 1);
    let mut torn = batch(&["a"]).to_vec();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    for (records, code) in
        [(torn.into(), ErrorCode::CorruptMessage), (bytes::Bytes::from_static(b"garbage"), ErrorCode::InvalidRecord)]
    {
        let refused = cluster.manager(1).append(AT, records, Acks::All, AppendOrigin::Client).unwrap_err();
        assert_eq!(refused.error_code(), code, "{refused}");
    }
    assert_eq!(cluster.state(1).log_end_offset, 0);
}

#[test]
fn a_leader_without_its_controller_stops_serving() {
    let cluster = Cluster::configured(1, 1, |config| config.session_timeout = Duration::from_millis(200));
    await_condition("the session is over", || {
        cluster.produce(1, Acks::Leader, &["a"]) == Err(AppendError::NotLeaderOrFollower)
    });
    let listed = cluster.manager(1).list_offset(AT, -2, Isolation::ReadUncommitted, None);
    assert_eq!(listed, Err(FetchError::NotLeaderOrFollower));
    // Fenced meanwhile, by a controller that is ahead of the metadata here: somebody else may lead.
    assert!(!cluster.manager(1).controller_heard(std::time::Instant::now(), true));
    assert_eq!(cluster.produce(1, Acks::Leader, &["a"]), Err(AppendError::NotLeaderOrFollower));
    assert!(cluster.manager(1).controller_heard(std::time::Instant::now(), false));
    cluster.produce(1, Acks::Leader, &["a"]).unwrap();
}

#[test]
fn who_waits_for_a_commit_is_told_when_the_controller_is_lost() {
    let mut cluster = Cluster::configured(2, 2, |config| config.session_timeout = Duration::from_millis(500));
    cluster.kill(2);
    let appended = std::cell::OnceCell::new();
    await_condition("an append within a session", || {
        cluster.manager(1).controller_heard(std::time::Instant::now(), false);
        let tried = cluster.manager(1).append(AT, batch(&["a"]), Acks::All, AppendOrigin::Client);
        tried.is_ok_and(|tried| appended.set(tried).is_ok())
    });
    let appended = appended.into_inner().unwrap();
    // Its follower is gone, so it is not committed; a default client would wait half a minute for the answer.
    let patience = Duration::from_secs(20);
    assert_eq!(cluster.committed(1, appended, patience), Err(AppendError::NotLeaderOrFollower));
}

#[test]
fn a_clean_stop_is_remembered_and_an_old_epoch_is_not_gone_on_with() {
    let mut cluster = Cluster::start(1, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.stop(1);
    cluster.boot(1);
    assert_ne!(cluster.manager(1).clean_shutdown_epoch().0, -1);
    // The controller has not elected anew: in its old epoch the broker leads no more.
    assert_eq!(cluster.state(1).role, ReplicaRole::Idle);
    assert_eq!(cluster.produce(1, Acks::Leader, &["b"]), Err(AppendError::NotLeaderOrFollower));
    cluster.controller.elect(1, &[1]);
    cluster.produce(1, Acks::All, &["b"]).unwrap();
    assert_eq!(cluster.values(1), ["a", "b"]);
    cluster.kill(1);
    cluster.boot(1);
    assert_eq!(cluster.manager(1).clean_shutdown_epoch().0, -1, "a kill is not a clean stop");
}

#[test]
fn a_deleted_topic_takes_its_files_along_even_from_a_broker_that_was_away() {
    let mut cluster = Cluster::start(2, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    let files = |cluster: &Cluster, id| cluster.path(id).join("orders-0").exists();
    assert!(files(&cluster, 1) && files(&cluster, 2));
    cluster.kill(2);
    cluster.controller.change(|image| {
        image.topics.remove(&AT.topic_id);
        image.topic_ids.remove("orders");
        image.configs.remove(&ConfigResource::topic("orders"));
    });
    assert!(!files(&cluster, 1));
    assert_eq!(cluster.manager(1).partition_state(AT), None);
    cluster.boot(2);
    assert!(!files(&cluster, 2), "a stray of a deleted topic is out of the way once the broker is registered");
}

#[test]
fn a_replica_that_was_moved_away_is_deleted_here_and_copied_there() {
    let mut cluster = Cluster::start(2, 1);
    cluster.boot(3);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.controller.change_partition(|p| p.replicas = ids(&[1, 2, 3]));
    await_condition("broker 3 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(3)));
    cluster.controller.change_partition(|p| {
        p.replicas = ids(&[1, 3]);
        p.isr = ids(&[1, 3]);
    });
    assert_eq!(cluster.manager(2).partition_state(AT), None);
    assert!(!cluster.path(2).join("orders-0").exists());
    cluster.produce(1, Acks::All, &["b"]).unwrap();
    assert_eq!(cluster.state(3).flushed_offset, 2);
}
