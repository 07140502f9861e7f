//! DeleteRecords (KIP-107): everywhere, for good, and no more than was asked for.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use raftsman_metadata::ConfigResource;
use raftsman_types::{BrokerId, ErrorCode, Offset};

use super::cluster::{AT, Cluster, await_condition, idempotent_batch};
use crate::replica::{Acks, AppendOrigin, Appended, DeleteRecordsError, ReplicaConfig};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

/// Deletes and waits for all live replicas.
fn delete(cluster: &Cluster, leader: i32, offset: Offset, patience: Duration) -> Result<Offset, DeleteRecordsError> {
    let manager = cluster.manager(leader);
    let deleted = manager.delete_records(AT, offset)?;
    cluster.block_on(leader, async {
        let deadline = tokio::time::Instant::now() + patience;
        manager.deleted(AT, deleted, deadline).await
    })
}

fn fill(cluster: &Cluster, leader: i32, count: usize) {
    for i in 0..count {
        cluster.produce(leader, Acks::All, &[&format!("value {i}")]).unwrap();
    }
}

fn starts(cluster: &Cluster) -> Vec<Offset> {
    cluster.nodes.keys().map(|id| cluster.state(*id).log_start_offset).collect()
}

#[test]
fn the_answer_comes_when_no_replica_has_the_records_nor_would_after_a_crash() {
    let mut cluster = Cluster::start(3, 2);
    fill(&cluster, 1, 10);
    assert_eq!(delete(&cluster, 1, 4, PATIENCE), Ok(4));
    assert_eq!(starts(&cluster), [4, 4, 4]);
    for id in 1..=3 {
        cluster.kill(id);
    }
    for id in 1..=3 {
        cluster.boot(id);
        assert_eq!(cluster.state(id).log_start_offset, 4, "broker {id}");
    }
    cluster.controller.elect(2, &[1, 2, 3]);
    // What is deleted stays deleted; to ask for less is no error.
    assert_eq!(delete(&cluster, 2, 2, PATIENCE), Ok(4));
    assert_eq!(delete(&cluster, 2, 4, PATIENCE), Ok(4));
    cluster.produce(2, Acks::All, &["new"]).unwrap();
    assert_eq!(delete(&cluster, 2, 11, PATIENCE), Ok(11), "all that is committed can go");
    assert_eq!(starts(&cluster), [11, 11, 11]);
}

#[test]
fn minus_one_deletes_all_that_is_committed_and_nothing_else_can_go() {
    let cluster = Cluster::start(3, 2);
    fill(&cluster, 1, 3);
    let out_of_range = |offset| Err(DeleteRecordsError::OffsetOutOfRange { offset, high_watermark: 3 });
    assert_eq!(cluster.manager(1).delete_records(AT, 4), out_of_range(4));
    assert_eq!(cluster.manager(1).delete_records(AT, -2), out_of_range(-2));
    assert_eq!(cluster.manager(2).delete_records(AT, 1), Err(DeleteRecordsError::NotLeaderOrFollower));
    assert_eq!(starts(&cluster), [0, 0, 0]);
    assert_eq!(delete(&cluster, 1, -1, PATIENCE), Ok(3));
    fill(&cluster, 1, 1);
    assert_eq!(starts(&cluster), [3, 3, 3]);
    assert_eq!(cluster.state(1).log_end_offset, 4);
}

#[test]
fn a_compacted_topic_decides_itself_what_goes() {
    let cluster = Cluster::start(1, 1);
    fill(&cluster, 1, 2);
    let set_policy = |policy: &str| {
        cluster.controller.change(|image| {
            let settings = [("cleanup.policy".into(), policy.into())];
            image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
        });
    };
    set_policy("compact");
    let refused = cluster.manager(1).delete_records(AT, 1);
    assert_eq!(refused, Err(DeleteRecordsError::PolicyViolation));
    assert_eq!(refused.unwrap_err().error_code(), ErrorCode::PolicyViolation);
    set_policy("compact,delete");
    assert_eq!(delete(&cluster, 1, 1, PATIENCE), Ok(1));
}

#[test]
fn a_live_follower_that_is_silent_holds_the_answer_up_and_a_dead_one_does_not() {
    let mut cluster = Cluster::start(3, 2);
    fill(&cluster, 1, 6);
    cluster.kill(3);
    // The controller has not noticed yet.
    assert_eq!(delete(&cluster, 1, 5, SHORT), Err(DeleteRecordsError::TimedOut));
    assert_eq!(cluster.state(1).log_start_offset, 5, "what was begun goes on");
    cluster.controller.fence(&[3]);
    assert_eq!(delete(&cluster, 1, 5, PATIENCE), Ok(5));
    cluster.controller.elect(2, &[1, 2]);
    assert_eq!(cluster.manager(1).delete_records(AT, 6), Err(DeleteRecordsError::NotLeaderOrFollower));
    fill(&cluster, 2, 1);
    assert_eq!(delete(&cluster, 2, 7, PATIENCE), Ok(7));
    // It comes back with less than the leader begins with.
    cluster.boot(3);
    await_condition("the third one has followed", || cluster.state(3).log_start_offset == 7);
    assert_eq!(delete(&cluster, 2, 7, PATIENCE), Ok(7));
}

#[test]
fn who_waits_at_a_leader_that_is_deposed_is_told() {
    let mut cluster = Cluster::start(3, 2);
    fill(&cluster, 1, 2);
    cluster.kill(3);
    let deleted = cluster.manager(1).delete_records(AT, 1).unwrap();
    let outcome = cluster.block_on(1, async {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut waiting = std::pin::pin!(cluster.manager(1).deleted(AT, deleted, deadline));
        let waits = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "the third one is not dead for the controller");
        cluster.controller.elect(2, &[1, 2]);
        waiting.await
    });
    assert_eq!(outcome, Err(DeleteRecordsError::NotLeaderOrFollower));
}

#[test]
fn a_new_replica_of_a_log_cut_within_a_batch_begins_where_its_leader_does() {
    let mut cluster = Cluster::start(3, 2);
    cluster.produce(1, Acks::All, &["a", "b", "c", "d"]).unwrap();
    cluster.kill(3);
    cluster.controller.fence(&[3]);
    std::fs::remove_dir_all(cluster.path(3).join("orders-0")).unwrap();
    assert_eq!(delete(&cluster, 1, 2, PATIENCE), Ok(2));
    cluster.boot(3);
    await_condition("the third one has it all", || {
        let state = cluster.state(3);
        (state.log_start_offset, state.log_end_offset) == (2, 4)
    });
    assert_eq!(delete(&cluster, 1, 2, PATIENCE), Ok(2));
    cluster.kill(3);
    cluster.boot(3);
    assert_eq!(cluster.state(3).log_start_offset, 2, "that the whole batch is in its file does not matter");
}

#[test]
fn a_followers_log_starts_where_retention_left_its_leaders() {
    fn configure(config: &mut ReplicaConfig) {
        config.retention_check_interval = Duration::from_millis(20);
    }
    let cluster = Cluster::configured(2, 2, configure);
    fill(&cluster, 1, 4);
    cluster.controller.change(|image| {
        let settings = [("retention.ms".into(), "0".into())];
        image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
    });
    await_condition("retention has emptied both", || starts(&cluster) == [4, 4]);
    // Both know of each other that it is so for good.
    assert_eq!(delete(&cluster, 1, 4, PATIENCE), Ok(4));
}

/// Appends a producer's first batch.
fn append_first(cluster: &Cluster, leader: i32) -> Appended {
    cluster.manager(leader).append(AT, idempotent_batch(9, 0, "first"), Acks::All, AppendOrigin::Client).unwrap()
}

fn await_in_sync(cluster: &Cluster, id: i32) {
    await_condition("it is in sync", || cluster.controller.partition().isr.contains(&BrokerId(id)));
}

#[test]
fn who_begins_behind_deleted_records_knows_their_producers() {
    let mut cluster = Cluster::start(2, 1);
    cluster.kill(2);
    cluster.controller.fence(&[2]);
    let first = append_first(&cluster, 1);
    cluster.committed(1, first, PATIENCE).unwrap();
    assert_eq!(delete(&cluster, 1, 1, PATIENCE), Ok(1));
    cluster.boot(2);
    await_in_sync(&cluster, 2);
    cluster.controller.elect(2, &[1, 2]);
    let again = append_first(&cluster, 2);
    assert!(again.duplicate, "what was committed and deleted is not written again");
    assert_eq!((again.last_offset, cluster.state(2).log_end_offset), (first.last_offset, 1));
}

#[test]
fn a_tail_of_an_epoch_that_its_leader_has_deleted_is_not_kept() {
    let mut cluster = Cluster::start(2, 1);
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    cluster.kill(2);
    // Broker 2 is still in the ISR: none of this is committed.
    append_first(&cluster, 1);
    cluster.produce(1, Acks::Leader, &["lost"]).unwrap();
    cluster.kill(1);
    cluster.controller.fence(&[1]);
    cluster.boot(2);
    cluster.controller.elect(2, &[2]);
    fill(&cluster, 2, 3);
    assert_eq!(delete(&cluster, 2, 2, PATIENCE), Ok(2), "with it goes all of the first epoch");
    cluster.boot(1);
    await_in_sync(&cluster, 1);
    cluster.controller.elect(1, &[1, 2]);
    // The producer never had an answer, and tries again.
    let again = append_first(&cluster, 1);
    assert_eq!((again.duplicate, again.last_offset), (false, 4));
}
