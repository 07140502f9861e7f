//! Disks that are lost: a node comes back by itself, as another member, and nobody takes its empty replicas for full ones.

use raftsman_testkit::{ClusterOptions, ProcessCluster, Tools, wait_until};

use crate::nodes::{
    PATIENCE, create_topic, data, judge, load, start_in_vain, times_said, wait_for_line, wait_until_in_sync, wipe,
};

#[test]
fn each_node_in_turn_comes_back_from_an_empty_disk_twice() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(300, PATIENCE);
    // After the first round nobody has a byte of what was acknowledged before it, but what the others gave it.
    for _ in 0..2 {
        for index in 0..3 {
            let node = &mut cluster.nodes[index];
            let votes = times_said(node, &["this controller votes"]);
            node.kill();
            wipe(node);
            node.start();
            // Before it votes again the next one must not be lost: two of three would be.
            wait_until("the node to vote", PATIENCE, || {
                times_said(&cluster.nodes[index], &["this controller votes"]) > votes
            });
            wait_until_in_sync(&tools, "orders", 3);
            load.wait_for_acks(100, PATIENCE);
        }
    }
    judge(load);
}

#[test]
fn an_emptied_replica_does_not_lead_what_it_lost() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions {
        nodes: 3,
        settings: vec![("min.insync.replicas".into(), "2".into())],
        ..ClusterOptions::default()
    });
    // The controller is a node of its own, so that it outlives both brokers.
    let list = cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let controller = list.split(',').next().expect("three voters").to_owned();
    for node in &mut cluster.nodes {
        let listeners = node.setting("listeners").expect("a node has listeners").to_owned();
        let (client, quorum) = listeners.split_once(',').expect("two listeners");
        let is_controller = node.id == 1;
        node.set("process.roles", if is_controller { "controller" } else { "broker" });
        node.set("listeners", if is_controller { quorum } else { client });
        node.set("controller.quorum.voters", &controller);
        node.start();
    }
    let addresses: Vec<String> = cluster.nodes[1..].iter().map(|node| node.client_address.to_string()).collect();
    let tools = Tools::at(addresses.join(","));
    create_topic(&tools, "orders", 2, 2);
    let load = raftsman_testkit::Load::start(&addresses.join(","), raftsman_testkit::LoadOptions::new("orders", 2));
    load.wait_for_acks(200, PATIENCE);
    wait_until_in_sync(&tools, "orders", 2);
    cluster.kill_all_at_once();
    wipe(&mut cluster.nodes[1]);
    cluster.nodes[0].start();
    cluster.nodes[1].start();
    let alone = Tools::at(addresses[0].clone());
    wait_until("the emptied broker to be back", PATIENCE, || {
        alone.describe("orders").is_ok_and(|all| all.len() == 2 && all.iter().all(|p| !p.isr.contains(&2)))
    });
    for partition in alone.describe("orders").expect("the broker answers") {
        assert_eq!(partition.leader, None, "who has the data is away: {partition:?}");
    }
    cluster.nodes[2].start();
    wait_until_in_sync(&tools, "orders", 2);
    load.wait_for_acks(200, PATIENCE);
    judge(load);
}

#[test]
fn two_wiped_controllers_of_three_form_nothing_and_a_backup_helps() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(300, PATIENCE);
    let backups: Vec<_> = (0..2)
        .map(|index| {
            let node = &mut cluster.nodes[index];
            node.kill();
            let (at, backup) = (data(node), data(node).with_extension("backup"));
            std::fs::rename(&at, &backup).expect("a directory can be renamed");
            (at, backup)
        })
        .collect();
    for node in &mut cluster.nodes[..2] {
        node.start();
    }
    for index in 0..2 {
        wait_for_line(&cluster.nodes[index], &["waits to join cluster", "node 3 at", "backup"]);
    }
    wait_for_line(&cluster.nodes[2], &["no active controller", "node 1 at", "has lost its metadata log", "node 2 at"]);
    for node in &cluster.nodes {
        assert_eq!(times_said(node, &["formed a cluster", "voters=2"]), 0, "{}", node.output());
    }
    assert!(tools.active_controller().is_err());
    // One of the disks is found again.
    cluster.nodes[0].kill();
    let (at, backup) = &backups[0];
    std::fs::remove_dir_all(at).expect("the directory can be removed");
    std::fs::rename(backup, at).expect("a directory can be renamed");
    cluster.nodes[0].start();
    wait_until_in_sync(&tools, "orders", 3);
    load.wait_for_acks(100, PATIENCE);
    judge(load);
}

#[test]
fn lost_metadata_logs_are_not_replaced_by_an_empty_one() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(300, PATIENCE);
    cluster.kill_all_at_once();
    for node in &cluster.nodes[..2] {
        std::fs::remove_dir_all(data(node).join("__cluster_metadata-0")).expect("the log can be removed");
    }
    // Two of three with empty logs, and the third one is away: a majority, but not of new nodes.
    for node in &mut cluster.nodes[..2] {
        node.start();
    }
    for node in &cluster.nodes[..2] {
        wait_for_line(node, &["metadata log", "is empty", "orders-", "node 3 at", "No cluster is formed anew"]);
        assert!(data(node).join("orders-0").is_dir(), "the data is there");
    }
    cluster.nodes[2].start();
    wait_for_line(&cluster.nodes[2], &["no active controller", "has lost its metadata log"]);
    assert!(tools.active_controller().is_err());
    drop(load);

    // A controller that has nobody to ask says so and ends.
    let mut single = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    create_topic(&single.tools(), "orders", 1, 1);
    let node = &mut single.nodes[0];
    node.stop(PATIENCE);
    std::fs::remove_dir_all(data(node).join("__cluster_metadata-0")).expect("the log can be removed");
    let line = start_in_vain(node);
    assert!(line.contains("orders-0") && line.contains("__cluster_metadata-0") && line.contains("backup"), "{line}");
    assert!(data(node).join("orders-0").is_dir());
}

#[test]
fn who_finds_a_new_cluster_in_place_of_its_own_keeps_its_data() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 1, 3);
    wait_until_in_sync(&tools, "orders", 3);
    cluster.kill_all_at_once();
    for node in &mut cluster.nodes[..2] {
        wipe(node);
        node.start();
    }
    // Wiped whole they are new nodes, and two of three: nothing can tell them from such.
    create_topic(&tools, "of-the-new-cluster", 1, 2);
    let line = start_in_vain(&mut cluster.nodes[2]);
    assert!(line.contains("belongs to cluster") && line.contains("check controller.quorum.voters"), "{line}");
    assert!(data(&cluster.nodes[2]).join("orders-0/00000000000000000000.log").is_file());
}

#[test]
fn one_of_several_disks_costs_its_own_replicas_alone() {
    const PARTITIONS: i32 = 6;
    let mut cluster = ProcessCluster::prepare(&ClusterOptions::default());
    for node in &mut cluster.nodes {
        let directory = node.directory().to_owned();
        let disks: Vec<String> = ["a", "b"].map(|disk| directory.join(disk).display().to_string()).into();
        node.set("log.dirs", &disks.join(","));
        node.start();
    }
    let tools = cluster.tools();
    create_topic(&tools, "orders", PARTITIONS as usize, 3);
    let load = load(&cluster, "orders", PARTITIONS);
    load.wait_for_acks(300, PATIENCE);
    let on = |cluster: &ProcessCluster, index: usize, disk: &str| -> usize {
        let place = cluster.nodes[index].directory().join(disk);
        let listed = std::fs::read_dir(place).expect("the disk is there");
        listed
            .filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().starts_with("orders-")))
            .count()
    };
    for index in 0..3 {
        assert_eq!((on(&cluster, index, "a"), on(&cluster, index, "b")), (3, 3), "replicas are spread over the disks");
        // The second disk: the metadata log is on the first.
        cluster.nodes[index].kill();
        let disk = cluster.nodes[index].directory().join("b");
        std::fs::remove_dir_all(disk).expect("the disk can be lost");
        cluster.nodes[index].start();
        wait_until_in_sync(&tools, "orders", 3);
        load.wait_for_acks(100, PATIENCE);
        assert_eq!(on(&cluster, index, "a") + on(&cluster, index, "b"), PARTITIONS as usize);
    }
    judge(load);
}
