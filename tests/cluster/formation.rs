//! How nodes become a cluster: in any order and whenever they start, with the roles and settings that Kafka has.

use std::io::Write;
use std::time::Duration;

use raftsman_client::{Client, ClientOptions, NewTopic, Producer, ProducerOptions, ProducerRecord};
use raftsman_testkit::{ClusterOptions, ProcessCluster, ProcessNode, wait_until};
use tokio::runtime::Runtime;

use crate::nodes::{PATIENCE, create_topic, judge, load, times_said, wait_for_line, wait_until_in_sync, wipe};
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
fn a_node_alone_says_whom_it_waits_for_and_clients_to_come_again() {
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
    create_topic(&cluster.tools(), "orders", 2, 2);
    assert_eq!(times_said(&cluster.nodes[1], &waits), 1, "{}", cluster.nodes[1].output());
}

#[test]
fn the_first_node_may_come_last() {
    start_apart([1, 2, 0]);
    start_apart([2, 1, 0]);
}

#[test]
fn the_second_node_may_come_last() {
    start_apart([0, 2, 1]);
    start_apart([2, 0, 1]);
}

#[test]
fn the_third_node_may_come_last() {
    start_apart([0, 1, 2]);
    start_apart([1, 0, 2]);
}

/// Starts three nodes in an order, each when those before it have been at work for a while. That a wait has no end is
/// `raft::majority`'s test.
fn start_apart(order: [usize; 3]) {
    let [first, second, last] = order;
    let mut cluster = ProcessCluster::prepare(&ClusterOptions::default());
    let tools = cluster.tools();
    cluster.nodes[first].start();
    wait_for_line(&cluster.nodes[first], &["waits for 2 of the 3"]);
    cluster.nodes[second].start();
    create_topic(&tools, "orders", 2, 2);
    let load = load(&cluster, "orders", 2);
    load.wait_for_acks(2_000, PATIENCE);

    cluster.nodes[last].start();
    create_topic(&tools, "all-three", 2, 3);
    wait_until_in_sync(&tools, "all-three", 3);
    load.wait_for_acks(200, PATIENCE);
    // It votes: it is one of the two that are left.
    wait_for_line(&cluster.nodes[last], &["this controller votes"]);
    cluster.nodes[first].kill();
    create_topic(&tools, "of-the-last-two", 1, 2);
    cluster.nodes[first].start();
    wait_until_in_sync(&tools, "all-three", 3);
    load.wait_for_acks(200, PATIENCE);
    judge(load);
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
    let load_of_all = load(&cluster, "orders", 3);
    load_of_all.wait_for_acks(300, PATIENCE);
    for lost in [[1, 2], [0, 2], [0, 1]] {
        let left = 3 - lost[0] - lost[1];
        // Led by the one that stays, so that writers have somebody to try again and again.
        let topic = format!("led-by-{}", cluster.nodes[left].id);
        create_topic_led_by(&cluster, &topic, left);
        let load_of_left = load(&cluster, &topic, 1);
        load_of_left.wait_for_acks(100, PATIENCE);
        let alone = ["no active controller", "1 of 3", "do"];
        let said = times_said(&cluster.nodes[left], &alone);
        for index in lost {
            cluster.nodes[index].kill();
        }
        wait_until("the node that is left to say so", PATIENCE, || times_said(&cluster.nodes[left], &alone) > said);
        let acks = (load_of_all.acks(), load_of_left.acks());
        acknowledges_neither_topic_nor_record(&cluster.nodes[left], &topic);
        assert_eq!((load_of_all.acks(), load_of_left.acks()), acks, "a minority acknowledges nothing");
        for index in lost {
            cluster.nodes[index].start();
        }
        load_of_all.wait_for_acks(300, PATIENCE);
        load_of_left.wait_for_acks(100, PATIENCE);
        judge(load_of_left);
        wait_until_in_sync(&tools, "orders", 3);
    }
    judge(load_of_all);
}

/// Creates a topic of two partitions that a node leads, with all in sync.
fn create_topic_led_by(cluster: &ProcessCluster, name: &str, index: usize) {
    let mut replicas: Vec<i32> = cluster.nodes.iter().map(|node| node.id).collect();
    replicas.rotate_left(index);
    let leader = replicas[0];
    let topic = NewTopic { name: name.to_owned(), assignments: vec![replicas; 2], ..NewTopic::default() };
    let created = Runtime::new().expect("a runtime can be made").block_on(async {
        let client = Client::connect(&cluster.bootstrap_servers(), ClientOptions::default()).await?;
        client.create_topic(&topic, false).await
    });
    created.unwrap_or_else(|error| panic!("topic {name} cannot be created: {error}"));
    let tools = cluster.tools();
    wait_until_in_sync(&tools, name, 3);
    let described = tools.describe(name).expect("the topic is there");
    assert!(described.iter().all(|p| p.leader == Some(leader)), "the first of its replicas leads it: {described:?}");
}

/// Asks a node that has no majority for a topic, and writes to the partition of a topic that nobody else writes to. Both
/// are tried as long as their client is patient, while others try again and again.
fn acknowledges_neither_topic_nor_record(node: &ProcessNode, topic: &str) {
    const PATIENT_FOR: Duration = Duration::from_secs(3);
    let options = ClientOptions { request_timeout: PATIENT_FOR, api_timeout: PATIENT_FOR, ..ClientOptions::default() };
    let too_much = NewTopic { name: "too-much".to_owned(), assignments: vec![vec![node.id]], ..NewTopic::default() };
    let record = ProducerRecord {
        topic: topic.into(),
        partition: Some(1),
        value: Some("unwanted".into()),
        ..ProducerRecord::default()
    };
    Runtime::new().expect("a runtime can be made").block_on(async {
        let client = Client::unconnected(&node.client_address.to_string(), options).expect("an address");
        assert!(client.create_topic(&too_much, false).await.is_err(), "a minority creates no topic");
        let options = ProducerOptions {
            delivery_timeout: PATIENT_FOR,
            request_timeout: PATIENT_FOR / 3,
            is_idempotent: false,
            ..ProducerOptions::default()
        };
        let producer = Producer::new(client, options);
        let acked = match producer.send(record).await {
            Ok(delivery) => delivery.await.map(|acked| acked.offset),
            Err(error) => Err(error),
        };
        assert!(acked.is_err(), "a minority acknowledges no record: {acked:?}");
    });
}

/// Another address for a cluster's third node.
struct Elsewhere {
    /// A cluster that is never started: its places are free as long as it is here.
    place: ProcessCluster,
    listeners: String,
    /// The cluster's voters, the third one at its new address.
    voters: String,
}

impl Elsewhere {
    fn for_the_third(cluster: &ProcessCluster) -> Elsewhere {
        let place = ProcessCluster::prepare(&ClusterOptions::default());
        let listeners = place.nodes[2].setting("listeners").expect("a node has listeners").to_owned();
        let address = listeners.split("CONTROLLER://").nth(1).expect("it has one for controllers");
        let list = cluster.nodes[2].setting("controller.quorum.voters").expect("a node is told its voters");
        let others: Vec<&str> = list.split(',').take(2).collect();
        let voters = format!("{},3@{address}", others.join(","));
        Elsewhere { place, listeners, voters }
    }
}

#[test]
fn a_voter_moves_to_another_address_with_its_own_file_changed_alone() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(200, PATIENCE);
    let elsewhere = Elsewhere::for_the_third(&cluster);
    let moved = &mut cluster.nodes[2];
    moved.kill();
    moved.set("listeners", &elsewhere.listeners);
    moved.set("controller.quorum.voters", &elsewhere.voters);
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

/// Its machine is lost whole: another one takes its `node.id`, at another address and with an empty disk. What an operator
/// does is to give the new node its own list, wait until it votes, and put the address into the others' lists one after
/// the other.
#[test]
fn a_voter_is_replaced_by_an_empty_one_at_another_address() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(200, PATIENCE);
    let elsewhere = Elsewhere::for_the_third(&cluster);
    let votes = times_said(&cluster.nodes[2], &["this controller votes"]);
    cluster.nodes[2].kill();
    wipe(&mut cluster.nodes[2]);
    let replaced = &mut cluster.nodes[2];
    replaced.client_address = elsewhere.place.nodes[2].client_address;
    replaced.set("listeners", &elsewhere.listeners);
    replaced.set("controller.quorum.voters", &elsewhere.voters);
    replaced.start();
    wait_until("the new node to vote", PATIENCE, || times_said(&cluster.nodes[2], &["this controller votes"]) > votes);
    wait_until_in_sync(&tools, "orders", 3);
    for index in 0..2 {
        let node = &mut cluster.nodes[index];
        node.stop(PATIENCE);
        node.set("controller.quorum.voters", &elsewhere.voters);
        node.start();
        wait_until_in_sync(&tools, "orders", 3);
        load.wait_for_acks(100, PATIENCE);
    }
    // Each of the others may be lost now: the new one is the second of two.
    for index in 0..2 {
        cluster.nodes[index].kill();
        create_topic(&cluster.tools(), &format!("without-{}", index + 1), 1, 2);
        load.wait_for_acks(200, PATIENCE);
        cluster.nodes[index].start();
        wait_until_in_sync(&cluster.tools(), "orders", 3);
    }
    judge(load);
}
