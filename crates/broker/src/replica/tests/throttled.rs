//! Throttled replication (KIP-73), over real streams.

use std::time::{Duration, Instant};

use raftsman_metadata::{ConfigResource, ThrottledSide};
use raftsman_types::BrokerId;

use super::cluster::{AT, Cluster, await_condition, batch};
use crate::replica::{Acks, AppendOrigin};

const SIDES: [ThrottledSide; 2] = [ThrottledSide::Leader, ThrottledSide::Follower];

fn list_key(side: ThrottledSide) -> &'static str {
    match side {
        ThrottledSide::Leader => "leader.replication.throttled.replicas",
        ThrottledSide::Follower => "follower.replication.throttled.replicas",
    }
}

fn set(cluster: &Cluster, resource: &ConfigResource, key: &str, value: &str) {
    cluster.controller.change(|image| {
        let mut settings = image.configs.get(resource).map(|settings| (**settings).clone()).unwrap_or_default();
        settings.insert(key.into(), value.into());
        image.configs.insert(resource.clone(), settings.into());
    });
}

fn throttle(cluster: &Cluster, side: ThrottledSide, replicas: &str, rate: i64) {
    set(cluster, &ConfigResource::cluster(), side.rate_key(), &rate.to_string());
    set(cluster, &ConfigResource::topic("orders"), list_key(side), replicas);
}

/// The replica of the partition that is throttled where broker 3 catches up with broker 1.
fn replica(side: ThrottledSide) -> &'static str {
    match side {
        ThrottledSide::Leader => "0:1",
        ThrottledSide::Follower => "0:3",
    }
}

fn is_in_sync(cluster: &Cluster) -> bool {
    cluster.controller.partition().isr.contains(&BrokerId(3))
}

/// Three brokers, of which the third is away; another record is committed meanwhile.
fn without_the_third() -> Cluster {
    let mut cluster = Cluster::start(3, 2);
    cluster.produce(1, Acks::All, &["before"]).unwrap();
    cluster.kill(3);
    cluster.controller.fence(&[3]);
    cluster.produce(1, Acks::All, &["missed"]).unwrap();
    cluster
}

#[test]
fn who_is_in_sync_is_never_throttled() {
    let cluster = Cluster::start(3, 3);
    for side in SIDES {
        throttle(&cluster, side, "*", 0);
    }
    for _ in 0..20 {
        cluster.produce(1, Acks::All, &["a"]).unwrap();
    }
    assert_eq!(cluster.controller.partition().isr.len(), 3);
}

#[test]
fn who_catches_up_waits_for_the_quota_and_nobody_else_does() {
    for side in SIDES {
        let mut cluster = without_the_third();
        throttle(&cluster, side, replica(side), 0);
        cluster.boot(3);
        for _ in 0..50 {
            cluster.produce(1, Acks::All, &["others go on"]).unwrap();
        }
        assert!(cluster.state(3).log_end_offset == 1 && !is_in_sync(&cluster), "{side:?}");

        set(&cluster, &ConfigResource::cluster(), side.rate_key(), "1000000");
        await_condition("broker 3 is in sync", || is_in_sync(&cluster));
        cluster.produce(1, Acks::All, &["all"]).unwrap();
        assert_eq!(cluster.state(3).flushed_offset, 53);
    }
}

#[test]
fn what_is_taken_off_the_list_goes_on() {
    for side in SIDES {
        let mut cluster = without_the_third();
        throttle(&cluster, side, "*", 0);
        cluster.boot(3);
        cluster.produce(1, Acks::All, &["others go on"]).unwrap();
        set(&cluster, &ConfigResource::topic("orders"), list_key(side), "0:2,1:1,1:3");
        await_condition("broker 3 is in sync", || is_in_sync(&cluster));
    }
}

/// How long it takes has a lower bound, which a slow machine keeps, too.
#[test]
fn catching_up_is_no_faster_than_the_rate() {
    const RATE: usize = 1 << 20;
    let value = "x".repeat(RATE / 32);
    for side in SIDES {
        let mut cluster = without_the_third();
        // Three seconds' worth, of which one may have been saved up.
        for _ in 0..96 {
            cluster.manager(1).append(AT, batch(&[&value]), Acks::Leader, AppendOrigin::Client).unwrap();
        }
        throttle(&cluster, side, replica(side), RATE as i64);
        let began = Instant::now();
        cluster.boot(3);
        await_condition("broker 3 is in sync", || is_in_sync(&cluster));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1500), "{side:?}: {took:?}");
    }
}
