use std::process::Command;
use std::time::Duration;

use raftsman_testkit::ProcessCluster;

use crate::clients::{install, java, python, succeed};
use crate::lost_node::start_cluster;

/// Deletes with kafka-python, confluent-kafka, Kafka's tool and ours; all nodes are killed; nothing deleted is back.
#[test]
fn deleted_records_stay_deleted() {
    if !install("python") || !install("java") {
        return;
    }
    let mut cluster = start_cluster();
    let script = |cluster: &ProcessCluster, start: &[&str]| {
        let mut script = python("delete_records.py");
        script.args([&cluster.bootstrap_servers(), "orders"]).args(start);
        succeed(script)
    };
    script(&cluster, &[]);

    let directory = tempfile::tempdir().expect("a temporary folder can be made");
    let offsets = directory.path().join("offsets.json");
    let text = r#"{"partitions": [{"topic": "orders", "partition": 0, "offset": 70}], "version": 1}"#;
    std::fs::write(&offsets, text).expect("a file can be written");
    let flags = |mut tool: Command| {
        tool.args(["--bootstrap-server", &cluster.bootstrap_servers(), "--offset-json-file"]).arg(&offsets);
        succeed(tool)
    };
    let theirs = flags(java("org.apache.kafka.tools.DeleteRecordsCommand"));
    assert!(theirs.contains("partition: orders-0\tlow_watermark: 70\n"), "{theirs}");
    let mut own = Command::new(raftsman_testkit::raftsman_binary());
    own.arg("kafka-delete-records");
    assert_eq!(flags(own), theirs, "asked again, nothing changes");

    cluster.kill_all_at_once();
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_listening(Duration::from_secs(60));
    script(&cluster, &["70"]);
    // Each of them has it from its own disk.
    for node in 1..=2 {
        cluster.node(node).kill();
        script(&cluster, &["70"]);
        cluster.node(node).start();
        crate::lost_node::await_in_sync(&cluster, "orders", 1);
    }
}
