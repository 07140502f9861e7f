use crate::clients::{install, python};
use crate::lost_node::{RECORDS, bring_back, produce_through_a_kill, read_all, start_cluster};

#[test]
fn kafka_python_loses_a_node_and_no_record() {
    if !install("python") {
        return;
    }
    let mut cluster = start_cluster();
    let bootstrap = cluster.bootstrap_servers();
    let mut producer = python("kafka_python_produce.py");
    producer.args([&bootstrap, "orders", &RECORDS.to_string()]);
    let history = produce_through_a_kill(&mut cluster, "orders", producer);
    bring_back(&mut cluster, "orders");

    let mut reader = python("kafka_python_consume.py");
    reader.args([&bootstrap, "orders", "readers"]);
    let verdict = history.judge(&read_all(reader));
    assert!(verdict.is_clean(), "{verdict}");
}
