use std::process::Command;

use serde_json::Value;

use crate::clients::{install, java, succeed};
use crate::lost_node::start_cluster;

/// Kafka's tool and ours print the same of the same cluster.
#[test]
fn kafkas_log_dirs_tool_gets_a_full_answer() {
    if !install("java") {
        return;
    }
    let cluster = start_cluster();
    cluster.tools().create_topic("orders", 2, 3).expect("a topic can be created");
    cluster.tools().create_topic("other", 1, 3).expect("a topic can be created");
    crate::lost_node::await_in_sync(&cluster, "orders", 2);
    crate::lost_node::await_in_sync(&cluster, "other", 1);
    let describe = |mut tool: Command, more: &[&str]| {
        tool.args(["--bootstrap-server", &cluster.bootstrap_servers(), "--describe"]).args(more);
        succeed(tool)
    };
    let own = || {
        let mut own = Command::new(raftsman_testkit::raftsman_binary());
        own.arg("kafka-log-dirs");
        own
    };
    let more = ["--topic-list", "orders", "--broker-list", "1,3"];
    let theirs = describe(java("org.apache.kafka.tools.LogDirsCommand"), &more);
    let ours = describe(own(), &more);
    let (their_lines, our_lines): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    assert_eq!(our_lines[..2], their_lines[..2]);
    let (their_json, our_json) = (parsed(their_lines[2]), parsed(our_lines[2]));
    assert_eq!(our_json, their_json);
    let brokers = our_json["brokers"].as_array().expect("a list");
    assert_eq!(brokers.len(), 2);
    for broker in brokers {
        let held = &broker["logDirs"][0];
        assert_eq!((held["error"].is_null(), held["partitions"].as_array().map(Vec::len)), (true, Some(2)), "{broker}");
    }
    // Without a list of brokers all of them, and all topics.
    let all = parsed(describe(own(), &[]).lines().last().expect("a line of JSON"));
    let count = |broker: &Value| broker["logDirs"][0]["partitions"].as_array().map(Vec::len);
    let counts: Vec<_> = all["brokers"].as_array().expect("a list").iter().map(count).collect();
    assert_eq!(counts, [Some(3); 3]);
}

/// The order of partitions is free.
fn parsed(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).expect("the last line is JSON");
    for broker in value["brokers"].as_array_mut().expect("a list of brokers") {
        for directory in broker["logDirs"].as_array_mut().expect("a list of directories") {
            let partitions = directory["partitions"].as_array_mut().expect("a list of partitions");
            partitions.sort_by_key(|partition| partition["partition"].to_string());
        }
    }
    value
}
