use std::process::Command;

use crate::clients::install;
use crate::lost_node::{all_acked, bring_back, feed_through_a_kill, read_all, start_cluster};

#[test]
fn kcat_loses_a_node_and_no_record() {
    if !install("kcat") {
        return;
    }
    let mut cluster = start_cluster();
    let bootstrap = cluster.bootstrap_servers();
    cluster.tools().create_topic("orders", 3, 3).expect("a topic can be created");

    let mut producer = Command::new("kcat");
    producer.args(["-P", "-b", &bootstrap, "-t", "orders", "-X", "enable.idempotence=true", "-X", "linger.ms=1"]);
    let read = || {
        let mut reader = Command::new("kcat");
        reader.args(["-C", "-q", "-b", &bootstrap, "-t", "orders", "-o", "beginning", "-e", "-f", "%p %o %s\n"]);
        read_all(reader)
    };
    feed_through_a_kill(&mut cluster, "orders", producer, || read().len());
    bring_back(&mut cluster, "orders");

    let found = read();
    let verdict = all_acked(&found).judge(&found);
    assert!(verdict.is_clean(), "{verdict}");
}
