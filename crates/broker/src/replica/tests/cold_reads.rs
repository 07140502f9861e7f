//! Reads of what is on the disk alone hold up no thread that serves others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::ThreadId;

use raftsman_log::fs::{FileSystem, MemoryFs};
use raftsman_types::BrokerId;

use super::cluster::{AT, Cluster, await_condition};
use crate::replica::{Acks, FetchRead, Isolation};

/// Brokers of which the first is on a disk in memory.
fn with_memory(brokers: i32) -> (Cluster, MemoryFs) {
    let memory = MemoryFs::new();
    let file_systems: BTreeMap<i32, Arc<dyn FileSystem>> = [(1, Arc::new(memory.clone()) as _)].into();
    (Cluster::on(brokers, 1, file_systems, |_| {}), memory)
}

/// Opens the first broker's logs anew, which empties its cache, and its disk's.
fn restart_cold(cluster: &mut Cluster, memory: &MemoryFs, tells: bool) {
    cluster.kill(1);
    cluster.boot(1);
    cluster.controller.elect(1, &[1]);
    memory.make_cold(tells);
}

/// The one thread that runs a broker's tasks.
fn worker(cluster: &Cluster) -> ThreadId {
    cluster.block_on(1, async { tokio::spawn(async { std::thread::current().id() }).await.unwrap() })
}

#[test]
fn a_fetch_leaves_the_waiting_to_another_thread() {
    for tells in [true, false] {
        let (mut cluster, memory) = with_memory(1);
        for value in ["a", "b", "c"] {
            cluster.produce(1, Acks::All, &[value]).unwrap();
        }
        restart_cold(&mut cluster, &memory, tells);
        let read = FetchRead {
            fetch_offset: 1,
            current_leader_epoch: None,
            last_fetched_epoch: None,
            max_bytes: 1 << 20,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        let manager = cluster.manager(1);
        let fetched = cluster.block_on(1, manager.fetched(AT, read)).unwrap();
        let waited = memory.waited();
        assert!(!waited.is_empty(), "the log was read from the disk");
        assert!(!waited.contains(&std::thread::current().id()), "and not by who asked");
        assert_eq!(fetched, manager.fetch(AT, read).unwrap());
        assert_eq!((fetched.next_offset, fetched.high_watermark), (3, 3));
    }
}

#[test]
fn a_lookup_of_a_time_leaves_the_waiting_to_another_thread() {
    // The largest timestamp, any, and one that no record has.
    for (timestamp, is_found) in [(-3, true), (0, true), (i64::MAX, false)] {
        for tells in [true, false] {
            let (mut cluster, memory) = with_memory(1);
            for value in ["a", "b", "c"] {
                cluster.produce(1, Acks::All, &[value]).unwrap();
            }
            let expected = cluster.manager(1).list_offset(AT, timestamp, Isolation::ReadUncommitted, None).unwrap();
            assert_eq!(expected.offset >= 0, is_found);
            restart_cold(&mut cluster, &memory, tells);
            let manager = cluster.manager(1);
            let lookup = manager.listed(AT, timestamp, Isolation::ReadUncommitted, None);
            assert_eq!(cluster.block_on(1, lookup).unwrap(), expected);
            let waited = memory.waited();
            assert!(!is_found || !waited.is_empty(), "what is found was read from the disk");
            assert!(!waited.contains(&std::thread::current().id()), "and not by who asked");
        }
    }
}

#[test]
fn a_follower_is_sent_what_is_on_the_disk_alone() {
    for tells in [true, false] {
        let (mut cluster, memory) = with_memory(2);
        cluster.produce(1, Acks::All, &["a"]).unwrap();
        cluster.kill(2);
        cluster.controller.fence(&[2]);
        for value in ["b", "c", "d"] {
            cluster.produce(1, Acks::All, &[value]).unwrap();
        }
        restart_cold(&mut cluster, &memory, tells);
        cluster.boot(2);
        await_condition("broker 2 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(2)));
        let waited = memory.waited();
        assert!(!waited.is_empty(), "the log was read from the disk");
        assert!(!waited.contains(&worker(&cluster)), "and not by who sends it");
        cluster.controller.elect(2, &[1, 2]);
        assert_eq!(cluster.values(2), ["a", "b", "c", "d"]);
    }
}
