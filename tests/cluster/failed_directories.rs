//! Nodes with several log directories, of which one cannot be used at a start.

use std::path::{Path, PathBuf};

use raftsman_testkit::{ClusterOptions, ProcessCluster, raftsman_binary, wait_until};

use crate::nodes::{
    PATIENCE, create_topic, data, judge, load, start_in_vain, times_said, wait_for_line, wait_until_in_sync,
};

const PARTITIONS: i32 = 6;
const DIRECTORIES: [&str; 3] = ["a", "b", "c"];

/// Puts a plain file in a directory's place: permissions do not keep root out.
fn fail(directory: &Path) {
    std::fs::rename(directory, directory.with_extension("away")).expect("a directory can be renamed");
    std::fs::write(directory, "no directory").expect("a file can be written");
}

fn put_back(directory: &Path) {
    std::fs::remove_file(directory).expect("the file is there");
    std::fs::rename(directory.with_extension("away"), directory).expect("a directory can be renamed");
}

/// The replicas of a topic in a directory.
fn replicas(directory: &Path, topic: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|name| name.starts_with(&format!("{topic}-"))).collect();
    found.sort();
    found
}

/// What `raftsman` says with these arguments.
fn said(cluster: &ProcessCluster, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(raftsman_binary());
    command.args(arguments).args(["--bootstrap-server", &cluster.bootstrap_servers()]);
    let output = command.output().expect("the binary can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_node_goes_on_without_a_failed_directory_and_takes_it_back() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions::default());
    for node in &mut cluster.nodes {
        let directory = node.directory().to_owned();
        let all = DIRECTORIES.map(|name| directory.join(name).display().to_string());
        node.set("log.dirs", &all.join(","));
        node.start();
    }
    let tools = cluster.tools();
    create_topic(&tools, "orders", PARTITIONS as usize, 3);
    let load = load(&cluster, "orders", PARTITIONS);
    load.wait_for_acks(300, PATIENCE);
    wait_until_in_sync(&tools, "orders", 3);
    let directories: Vec<PathBuf> = DIRECTORIES.map(|name| cluster.nodes[1].directory().join(name)).into();
    let (failed, well) = (&directories[1], [&directories[0], &directories[2]]);
    let missing = replicas(failed, "orders");
    assert!(!missing.is_empty(), "replicas are spread over the directories");

    cluster.nodes[1].kill();
    fail(failed);
    cluster.nodes[1].start();
    let path = failed.display().to_string();
    wait_for_line(&cluster.nodes[1], &["ERROR", "log.dirs", &path, "goes on without it", "started with it again"]);
    let has_its_others = || {
        tools.describe("orders").is_ok_and(|all| {
            all.len() == PARTITIONS as usize
                && all.iter().all(|p| p.isr.contains(&2) != missing.contains(&format!("orders-{}", p.partition)))
        })
    };
    wait_until("what is in its other directories to be in sync", PATIENCE, has_its_others);
    load.wait_for_acks(100, PATIENCE);
    for directory in well {
        for replica in replicas(directory, "orders") {
            assert!(!missing.contains(&replica), "{replica} was made anew in {}", directory.display());
        }
    }
    let log_dirs = said(&cluster, &["kafka-log-dirs", "--describe"]);
    assert!(log_dirs.contains("KafkaStorageException") && log_dirs.contains(&path), "{log_dirs}");
    let health = said(&cluster, &["health"]);
    assert!(health.contains(&format!("Failed directories: {path} of node 2")) && health.contains("NOT OK"), "{health}");
    // What is new goes to the directories that are well.
    create_topic(&tools, "later", 4, 3);
    wait_until_in_sync(&tools, "later", 3);
    assert_eq!(well.iter().map(|directory| replicas(directory, "later").len()).sum::<usize>(), 4);

    cluster.nodes[1].kill();
    put_back(failed);
    let lost = times_said(&cluster.nodes[1], &["goes on without it"]);
    cluster.nodes[1].start();
    wait_until_in_sync(&tools, "orders", 3);
    assert_eq!(replicas(failed, "orders"), missing, "they are what they were, and where");
    assert_eq!(times_said(&cluster.nodes[1], &["goes on without it"]), lost);
    wait_until("all to be well", PATIENCE, || said(&cluster, &["health"]).lines().last() == Some("OK"));
    load.wait_for_acks(100, PATIENCE);
    judge(load);
}

#[test]
fn without_its_last_directory_a_node_says_why_in_one_line() {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    create_topic(&cluster.tools(), "orders", 1, 1);
    let node = &mut cluster.nodes[0];
    node.kill();
    let directory = data(node);
    fail(&directory);
    let line = start_in_vain(node);
    assert!(line.contains(&directory.display().to_string()) && line.contains("Not a directory"), "{line}");
    put_back(&directory);
    node.start();
    wait_until_in_sync(&cluster.tools(), "orders", 1);
}

/// Replicas that are gone count for nothing, even where all that have them were down together.
#[test]
fn a_replica_that_is_gone_from_a_directory_that_is_there_does_not_lead() {
    let settings = vec![("min.insync.replicas".into(), "2".into())];
    let mut cluster = ProcessCluster::start(&ClusterOptions { settings, ..ClusterOptions::default() });
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(300, PATIENCE);
    wait_until_in_sync(&tools, "orders", 3);
    let leaders: Vec<Option<i32>> =
        tools.describe("orders").expect("the cluster answers").iter().map(|p| p.leader).collect();
    cluster.kill_all_at_once();
    // Of one partition the leader has lost its directory, of another one its partition.metadata is damaged.
    let replica = |partition: usize| {
        let index = leaders[partition].expect("each is led") as usize - 1;
        (index, data(&cluster.nodes[index]).join(format!("orders-{partition}")))
    };
    let ((_, gone), (damaged_on, damaged)) = (replica(0), replica(1));
    std::fs::remove_dir_all(gone).expect("the replica can be removed");
    std::fs::write(damaged.join("partition.metadata"), "version: 0\n").expect("the file can be written");
    for node in &mut cluster.nodes {
        node.start();
    }
    wait_for_line(&cluster.nodes[damaged_on], &["the replica is put aside", "orders-1", "partition.metadata"]);
    wait_until_in_sync(&tools, "orders", 3);
    load.wait_for_acks(100, PATIENCE);
    judge(load);
}

/// Whatever of a new topic the brokers had made when they were killed: nobody has anything of it, so it begins by itself.
#[test]
fn topics_that_were_being_made_when_all_were_killed_come_back() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    for round in 0..4 {
        let topic = format!("orders-{round}");
        create_topic(&tools, &topic, 12, 3);
        cluster.kill_all_at_once();
        if round % 2 == 1 {
            // As a power cut leaves it: the directories were not synced.
            for node in &cluster.nodes {
                for replica in replicas(&data(node), &topic) {
                    std::fs::remove_dir_all(data(node).join(replica)).expect("a replica can be removed");
                }
            }
        }
        for node in &mut cluster.nodes {
            node.start();
        }
        wait_until_in_sync(&tools, &topic, 3);
    }
    let load = load(&cluster, "orders-3", 12);
    load.wait_for_acks(100, PATIENCE);
    judge(load);
}
