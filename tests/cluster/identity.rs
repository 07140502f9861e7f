//! Whose a directory is, and who a node is: what does not fit is refused in one line, and harms nobody.

use std::fs;

use raftsman_testkit::{ClusterOptions, ProcessCluster, wait_until};

use crate::nodes::{PATIENCE, create_topic, data, judge, load, start_in_vain, times_said, wait_until_in_sync};
use crate::wire::serves_good_clients;

fn says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

#[test]
fn a_directory_moved_to_another_node_is_refused() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    create_topic(&cluster.tools(), "orders", 1, 3);
    let (first, second) = (data(&cluster.nodes[0]), data(&cluster.nodes[1]));
    cluster.nodes[0].kill();
    cluster.nodes[1].kill();
    let kept = second.with_extension("kept");
    fs::rename(&second, &kept).expect("a directory can be renamed");
    fs::rename(&first, &second).expect("a directory can be renamed");
    let line = start_in_vain(&mut cluster.nodes[1]);
    says(&line, &["meta.properties", "node.id=1", "node.id=2", "log.dirs"]);
    // The metadata log alone, in a directory that is the node's own.
    fs::rename(second.join("__cluster_metadata-0"), kept.join("another's")).expect("a directory can be renamed");
    fs::rename(&second, &first).expect("a directory can be renamed");
    fs::rename(&kept, &second).expect("a directory can be renamed");
    fs::rename(second.join("__cluster_metadata-0"), second.join("own")).expect("a directory can be renamed");
    fs::rename(second.join("another's"), second.join("__cluster_metadata-0")).expect("a directory can be renamed");
    let line = start_in_vain(&mut cluster.nodes[1]);
    says(&line, &["__cluster_metadata-0", "node.id 1", "2", "check node.id"]);
    // All put back, all is well.
    fs::rename(second.join("__cluster_metadata-0"), first.join("__cluster_metadata-0")).expect("it can be put back");
    fs::rename(second.join("own"), second.join("__cluster_metadata-0")).expect("it can be put back");
    cluster.nodes[0].start();
    cluster.nodes[1].start();
    wait_until_in_sync(&cluster.tools(), "orders", 3);
}

#[test]
fn a_second_node_under_a_living_ones_id_ends_and_the_first_is_unharmed() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    let tools = cluster.tools();
    create_topic(&tools, "orders", 3, 3);
    let load = load(&cluster, "orders", 3);
    load.wait_for_acks(200, PATIENCE);
    wait_until_in_sync(&tools, "orders", 3);
    let active = tools.active_controller().expect("there is one");
    let list = cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    // Twins of a controller that follows and of the one that is active, each at other ports with a disk of its own.
    for id in [active, active % 3 + 1] {
        let mut twins = ProcessCluster::prepare(&ClusterOptions::default());
        let twin = twins.node(id);
        let own = twin.setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
        let entry = |list: &str, id: i32| -> String {
            let start = format!("{id}@");
            list.split(',').find(|voter| voter.starts_with(&start)).expect("it is listed").to_owned()
        };
        let voters: Vec<String> = (1..=3).map(|voter| entry(if voter == id { &own } else { &list }, voter)).collect();
        twin.set("controller.quorum.voters", &voters.join(","));
        let line = start_in_vain(twin);
        // The broker or the controller, whichever is refused for long first.
        assert!(line.contains(&format!("node.id {id}")) || line.contains(&format!("node.id={id}")), "{line}");
        says(&line, &["a node.id of its own"]);
        assert!(times_said(twin, &["cannot join"]) <= 3, "{}", twin.output());
    }
    assert_eq!(tools.active_controller().expect("there is one"), active, "the active controller stayed");
    let described = tools.describe("orders").expect("the topic is there");
    assert!(described.iter().all(|partition| partition.isr.len() == 3), "{described:?}");
    for node in &mut cluster.nodes {
        assert!(node.is_running());
        assert_eq!(times_said(node, &["wants this broker to register again"]), 0, "{}", node.output());
    }
    judge(load);
}

#[test]
fn a_broker_with_another_clusters_directory_is_refused() {
    let mut ours = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    let mut theirs = ProcessCluster::start(&ClusterOptions { nodes: 2, ..Default::default() });
    create_topic(&ours.tools(), "orders", 1, 1);
    create_topic(&theirs.tools(), "bills", 1, 2);
    let controller = ours.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let stray = &mut theirs.nodes[1];
    // A follower makes its replica once it hears of it.
    wait_until("it has its replica", PATIENCE, || data(stray).join("bills-0").is_dir());
    stray.kill();
    let listener = format!("PLAINTEXT://{}", stray.client_address);
    stray.set("process.roles", "broker");
    stray.set("listeners", &listener);
    stray.set("controller.quorum.voters", &controller);
    let line = start_in_vain(stray);
    says(&line, &["cluster", "controller.quorum.voters"]);
    assert!(data(stray).join("bills-0").is_dir(), "its data is there");
    assert!(ours.nodes[0].is_running());
}

#[test]
fn meta_properties_that_say_nothing_are_refused_and_kafkas_are_taken() {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    create_topic(&cluster.tools(), "orders", 1, 1);
    let address = cluster.nodes[0].client_address;
    cluster.nodes[0].stop(PATIENCE);
    let file = data(&cluster.nodes[0]).join("meta.properties");
    let original = fs::read(&file).expect("a formatted directory has one");
    for damaged in [&b""[..], &[0; 64], &original[..20], b"version=1\nnode.id=one\ncluster.id=x\n"] {
        fs::write(&file, damaged).expect("the file can be written");
        let line = start_in_vain(&mut cluster.nodes[0]);
        says(&line, &["meta.properties", "backup"]);
    }
    fs::remove_file(&file).expect("the file can be removed");
    let line = start_in_vain(&mut cluster.nodes[0]);
    says(&line, &["meta.properties is missing", "orders-0", "put the file back"]);
    assert!(!file.exists() && data(&cluster.nodes[0]).join("orders-0").is_dir());
    fs::write(&file, &original).expect("the file can be written");
    cluster.nodes[0].start();
    wait_until("the node to serve again", PATIENCE, || serves_good_clients(address));

    // A directory that Kafka's own tool formatted: the cluster gets the id that stands there.
    let mut formatted = ProcessCluster::prepare(&ClusterOptions { nodes: 1, ..Default::default() });
    let directory = data(&formatted.nodes[0]);
    fs::create_dir_all(&directory).expect("a directory can be made");
    let kafkas = "#\n#Sat Nov 21 05:00:00 UTC 2026\nnode.id=1\nversion=1\ndirectory.id=nv4hwGjJTYmYJDFa9B9SFw\n\
                  cluster.id=kVTQiJDNRlSb4ZNXo2IT5A\n";
    fs::write(directory.join("meta.properties"), kafkas).expect("the file can be written");
    formatted.nodes[0].start();
    create_topic(&formatted.tools(), "orders", 1, 1);
    let health = formatted.tools().run("health", &[]).expect("the node is well");
    says(&health, &["kVTQiJDNRlSb4ZNXo2IT5A"]);
    let after = fs::read_to_string(directory.join("meta.properties")).expect("it is there");
    says(
        &after,
        &["version=1\n", "node.id=1\n", "cluster.id=kVTQiJDNRlSb4ZNXo2IT5A\n", "directory.id=nv4hwGjJTYmYJDFa9B9SFw\n"],
    );
}
