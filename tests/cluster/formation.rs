//! How nodes become a cluster: in any order and whenever they start, with the roles and settings that Kafka has.

use std::io::Write;

use raftsman_testkit::{ClusterOptions, ProcessCluster, ProcessNode, wait_until};

use crate::nodes::{PATIENCE, create_topic, judge, load, times_said, wait_for_line, wait_until_in_sync};
use crate::wire::{answer, connect, frame, hangs_up};

const METADATA: i16 = 3;
const LEADER_NOT_AVAILABLE: [u8; 2] = 5i16.to_be_bytes();

/// A metadata request of version 1 for one topic, or for all.
fn metadata_request(topic: Option<&str>) -> Vec<u8> {
    let mut body = topic.map_or(-1, |_| 1i32).to_be_bytes().to_vec();
    if let Some(name) = topic {
        body.extend((name.len() as i16).to_be_bytes());
        body.extend(name.as_bytes());
    }
    frame(METADATA, 1, 9, &body)
}

#[test]
fn nodes_may_start_apart_and_say_whom_they_wait_for() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions::default());
    let controller_of = |node: &ProcessNode| {
        let listeners = node.setting("listeners").expect("a node has listeners");
        listeners.split("CONTROLLER://").nth(1).expect("it has one for controllers").to_owned()
    };
    let (first, third) = (controller_of(&cluster.nodes[0]), controller_of(&cluster.nodes[2]));
    cluster.nodes[1].start();
    let waits = ["waits for 2 of the 3", "controller.quorum.voters", first.as_str(), third.as_str()];
    wait_for_line(&cluster.nodes[1], &waits);

    // A client is told to come again, and not that there is no such topic or nothing at all.
    let mut client = connect(cluster.nodes[1].client_address);
    client.write_all(&metadata_request(Some("orders"))).expect("the broker takes requests");
    let told = answer(&mut client).expect("an answer");
    assert!(told.windows(8).any(|bytes| bytes[..2] == LEADER_NOT_AVAILABLE && bytes[4..] == *b"orde"), "{told:?}");
    client.write_all(&metadata_request(None)).expect("the broker takes requests");
    assert!(hangs_up(&mut client), "it knows no list of topics");

    cluster.nodes[2].start();
    let tools = cluster.tools();
    create_topic(&tools, "orders", 2, 2);
    let load = load(&cluster, "orders", 2);
    load.wait_for_acks(200, PATIENCE);

    // The last one comes when the others have worked for a while.
    cluster.nodes[0].start();
    create_topic(&tools, "all-three", 2, 3);
    wait_until_in_sync(&tools, "all-three", 3);
    load.wait_for_acks(200, PATIENCE);
    judge(load);
    assert_eq!(times_said(&cluster.nodes[1], &waits), 1, "{}", cluster.nodes[1].output());
}

#[test]
fn different_lists_are_said_and_another_order_is_the_same_list() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions::default());
    let list = cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let reversed: Vec<&str> = list.split(',').rev().collect();
    cluster.nodes[0].set("controller.quorum.voters", &reversed.join(","));
    cluster.nodes[1].set("controller.quorum.voters", &format!("{list},4@127.0.0.1:1"));
    cluster.nodes[0].start();
    cluster.nodes[1].start();
    for node in &cluster.nodes[..2] {
        wait_for_line(node, &["controller.quorum.voters differs", "lists 1,2,3", "1,2,3,4"]);
    }
    assert!(cluster.tools().active_controller().is_err(), "no cluster is formed");
    cluster.nodes[1].kill();
    cluster.nodes[1].set("controller.quorum.voters", &list);
    cluster.nodes[1].start();
    create_topic(&cluster.tools(), "orders", 1, 2);
}

#[test]
fn brokers_join_controllers_that_are_nothing_else() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions { nodes: 4, ..Default::default() });
    let listener = |node: &ProcessNode, name: &str| {
        let listeners = node.setting("listeners").expect("a node has listeners").to_owned();
        listeners.split(',').find(|l| l.starts_with(name)).expect("it has this one").to_owned()
    };
    let list = cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let controllers: Vec<&str> = list.split(',').take(2).collect();
    let addresses: Vec<&str> = controllers.iter().filter_map(|voter| voter.split('@').nth(1)).collect();
    for node in &mut cluster.nodes[..2] {
        node.set("process.roles", "controller");
        node.set("listeners", &listener(node, "CONTROLLER"));
        node.set("controller.quorum.voters", &controllers.join(","));
    }
    for node in &mut cluster.nodes[2..] {
        node.set("process.roles", "broker");
        node.set("listeners", &listener(node, "PLAINTEXT"));
    }
    // One is told the voters, the other where to ask.
    cluster.nodes[2].set("controller.quorum.voters", &controllers.join(","));
    cluster.nodes[3].set("controller.quorum.voters", "");
    cluster.nodes[3].set("controller.quorum.bootstrap.servers", &addresses.join(","));
    // The brokers first: they wait.
    for index in [3, 2, 1, 0] {
        cluster.nodes[index].start();
    }
    let brokers = format!("{},{}", cluster.nodes[2].client_address, cluster.nodes[3].client_address);
    let tools = raftsman_testkit::Tools::at(brokers);
    create_topic(&tools, "orders", 2, 2);
    wait_until_in_sync(&tools, "orders", 2);
}

#[test]
fn bootstrap_servers_alone_form_one_node_and_others_join_it() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions {
        nodes: 2,
        settings: vec![("default.replication.factor".into(), "1".into())],
        ..ClusterOptions::default()
    });
    let list = cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let first = list.split(',').next().and_then(|voter| voter.split('@').nth(1)).expect("an address").to_owned();
    for node in &mut cluster.nodes {
        node.set("controller.quorum.voters", "");
        node.set("controller.quorum.bootstrap.servers", &first);
    }
    // The one that is to join is there first: it must not form a cluster of its own.
    cluster.nodes[1].start();
    wait_for_line(&cluster.nodes[1], &["controller.quorum.bootstrap.servers", &first]);
    cluster.nodes[0].start();
    let tools = cluster.tools();
    create_topic(&tools, "orders", 2, 2);
    wait_until_in_sync(&tools, "orders", 2);
}

#[test]
fn a_lost_majority_acknowledges_nothing_and_comes_back() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(300, PATIENCE);
    for lost in [[1, 2], [0, 2], [0, 1]] {
        for index in lost {
            cluster.nodes[index].kill();
        }
        let left = 3 - lost[0] - lost[1];
        wait_for_line(&cluster.nodes[left], &["no active controller", "1 of 3", "do"]);
        let acks = load.acks();
        if left == 0 {
            // Takes as long as the tool is patient.
            assert!(tools.create_topic("too-much", 1, 1).is_err(), "a minority creates no topic");
        }
        assert_eq!(load.acks(), acks, "a minority acknowledges nothing");
        for index in lost {
            cluster.nodes[index].start();
        }
        load.wait_for_acks(300, PATIENCE);
    }
    wait_until_in_sync(&tools, "orders", 3);
    judge(load);
}

#[test]
fn a_voter_moves_to_another_address_with_its_own_file_changed_alone() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(200, PATIENCE);
    // Another cluster's places are free ones.
    let elsewhere = ProcessCluster::prepare(&ClusterOptions::default());
    let listeners = elsewhere.nodes[2].setting("listeners").expect("a node has listeners").to_owned();
    let address = listeners.split("CONTROLLER://").nth(1).expect("it has one for controllers");
    let list = cluster.nodes[2].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let others: Vec<&str> = list.split(',').take(2).collect();
    let moved = &mut cluster.nodes[2];
    moved.kill();
    moved.set("listeners", &listeners);
    moved.set("controller.quorum.voters", &format!("{},3@{address}", others.join(",")));
    moved.start();
    wait_until_in_sync(&tools, "orders", 3);
    // It is one of two now, and the other one's list names its old address.
    cluster.nodes[1].kill();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    load.wait_for_acks(200, PATIENCE);
    cluster.nodes[1].start();
    wait_until("the whole cluster to be back", PATIENCE, || tools.active_controller().is_ok());
    wait_until_in_sync(&tools, "orders", 3);
    judge(load);
}
