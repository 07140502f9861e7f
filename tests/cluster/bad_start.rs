//! Starts that cannot work: each ends with one clear line and exit code 1, and harms no running node.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use raftsman_testkit::{ClusterOptions, ProcessCluster, ProcessNode, raftsman_binary, wait_until};

use crate::wire::serves_good_clients;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `raftsman` and gives back whether it succeeded and what it said to stderr.
fn raftsman(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(raftsman_binary()).args(arguments).output().expect("the binary can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    (output.status.success(), said)
}

/// Starts a node that is expected to end by itself, and gives back what it printed.
fn start_in_vain(node: &mut ProcessNode) -> String {
    let before = node.output().len();
    node.start();
    let status = node.wait_for_exit(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", node.output());
    node.output()[before..].to_owned()
}

/// Asserts that the last line printed names everything a reader needs.
fn assert_says(printed: &str, words: &[&str]) {
    let line = printed.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
    for word in words {
        assert!(line.contains(word), "{word:?} is not in the last line: {line:?}\nall of it:\n{printed}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions { nodes: 1, ..Default::default() });
    let address = cluster.nodes[0].client_address;
    let _taken = TcpListener::bind(address).expect("the port is free");
    let printed = start_in_vain(&mut cluster.nodes[0]);
    assert_says(&printed, &[&address.port().to_string(), "in use"]);
}

#[test]
fn a_directory_in_use_is_named() {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    // A node listens before it has its directory; only one that serves has locked it.
    let address = cluster.nodes[0].client_address;
    wait_until("the node to serve", PATIENCE, || serves_good_clients(address));
    let directory = cluster.nodes[0].directory().join("data");
    let mut other = ProcessCluster::prepare(&ClusterOptions {
        nodes: 1,
        settings: vec![("log.dirs".into(), directory.display().to_string())],
        ..ClusterOptions::default()
    });
    let printed = start_in_vain(&mut other.nodes[0]);
    assert_says(&printed, &[&directory.display().to_string(), "lock"]);
    assert!(cluster.nodes[0].is_running());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "not a folder").expect("a file can be written");
    let directory = file.join("data").display().to_string();
    let mut cluster = ProcessCluster::prepare(&ClusterOptions {
        nodes: 1,
        settings: vec![("log.dirs".into(), directory.clone())],
        ..ClusterOptions::default()
    });
    let printed = start_in_vain(&mut cluster.nodes[0]);
    assert_says(&printed, &[&directory]);
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    let address = cluster.nodes[0].client_address;
    wait_until("the node to serve", PATIENCE, || serves_good_clients(address));
    cluster.nodes[0].stop(PATIENCE);
    let data = cluster.nodes[0].directory().join("data");
    let properties = data.join("meta.properties");
    let original = std::fs::read_to_string(&properties).expect("a formatted directory has meta.properties");
    assert!(original.contains("cluster.id="), "{original}");

    let changed = |key: &str, value: &str| -> String {
        original
            .lines()
            .map(|l| if l.starts_with(key) { format!("{key}{value}\n") } else { format!("{l}\n") })
            .collect()
    };
    std::fs::write(&properties, changed("node.id=", "77")).expect("the file can be written");
    assert_says(&start_in_vain(&mut cluster.nodes[0]), &["node.id", "77", "1"]);

    std::fs::write(&properties, changed("cluster.id=", "AAAAAAAAAAAAAAAAAAAAAQ")).expect("the file can be written");
    assert_says(&start_in_vain(&mut cluster.nodes[0]), &["cluster", "AAAAAAAAAAAAAAAAAAAAAQ"]);

    std::fs::write(&properties, &original).expect("the file can be written");
    cluster.nodes[0].start();
    wait_until("the node to serve again", PATIENCE, || serves_good_clients(address));
}

#[test]
fn a_node_id_that_is_alive_is_refused() {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    let address = cluster.nodes[0].client_address;
    wait_until("the node to serve", PATIENCE, || serves_good_clients(address));
    let controller =
        cluster.nodes[0].setting("controller.quorum.voters").expect("a node is told its voters").to_owned();
    let endpoint = controller.split('@').nth(1).expect("a voter has an address").to_owned();
    // A second broker under the id of the first, on other ports and with other data.
    let mut twin = ProcessCluster::prepare(&ClusterOptions {
        nodes: 1,
        settings: vec![
            ("process.roles".into(), "broker".into()),
            ("controller.quorum.bootstrap.servers".into(), endpoint),
        ],
        ..ClusterOptions::default()
    });
    twin.nodes[0].set("controller.quorum.voters", "");
    let listener = format!("PLAINTEXT://{}", twin.nodes[0].client_address);
    twin.nodes[0].set("listeners", &listener);
    let printed = start_in_vain(&mut twin.nodes[0]);
    assert_says(&printed, &["node.id", "1"]);
    assert!(cluster.nodes[0].is_running() && serves_good_clients(address));
}

#[test]
fn bad_settings_name_key_value_and_remedy() {
    for (setting, words) in [
        ("num.partitions=many", ["num.partitions", "many"]),
        ("node.id=-3", ["node.id", "-3"]),
        ("listeners=PLAINTEXT://nowhere", ["listeners", "PLAINTEXT://nowhere"]),
        ("process.roles=zookeeper", ["process.roles", "zookeeper"]),
    ] {
        let (succeeded, said) = raftsman(&["server", "--override", setting]);
        assert!(!succeeded, "{setting} was taken");
        assert_says(&said, &words);
    }
}

#[test]
fn impossible_topics_get_kafkas_error() {
    let cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    let bootstrap = cluster.bootstrap_servers();
    let create = |topic: &str, replication_factor: &str| {
        raftsman(&[
            "kafka-topics",
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            topic,
            "--partitions",
            "1",
            "--replication-factor",
            replication_factor,
        ])
    };
    wait_until("the node to take topics", PATIENCE, || {
        create("warm-up", "1").0 || create("warm-up", "1").1.contains("exists")
    });
    let (succeeded, said) = create("orders", "3");
    assert!(!succeeded && said.contains("replication factor") && said.contains('3'), "{said}");
    let (succeeded, said) = create("or/ders", "1");
    assert!(!succeeded && said.contains("or/ders"), "{said}");
}
