use crate::clients::{install, python};
use crate::lost_node::{ProducerThroughAKill, RECORDS, bring_back, read_all, start_cluster};

const READ_EACH_TIME: usize = 200;

/// Committed offsets are in a replicated topic: they outlive the coordinator, and all nodes at once.
#[test]
fn committed_offsets_survive_every_kill() {
    if !install("python") {
        return;
    }
    let mut cluster = start_cluster();
    let bootstrap = cluster.bootstrap_servers();
    let mut producer = python("confluent_produce.py");
    producer.args([&bootstrap, "orders", &RECORDS.to_string()]);
    let history = ProducerThroughAKill::start(producer).run(|| {});

    let read_some = || {
        let mut reader = python("confluent_commit.py");
        reader.args([&bootstrap, "orders", "readers", &READ_EACH_TIME.to_string()]);
        read_all(reader)
    };
    let mut found = Vec::new();
    // Each node once: one of them coordinates the group.
    for node in 1..=3 {
        found.extend(read_some());
        cluster.node(node).kill();
        found.extend(read_some());
        bring_back(&mut cluster, "orders");
    }
    found.extend(read_some());
    cluster.kill_all_at_once();
    bring_back(&mut cluster, "orders");
    let mut reader = python("confluent_consume.py");
    reader.args([&bootstrap, "orders", "readers"]);
    found.extend(read_all(reader));

    // Had a commit been lost, records would be read twice; had one run ahead, some not at all.
    let verdict = history.judge(&found);
    assert!(verdict.is_clean(), "{verdict}");
}
