use crate::clients::{install, python};
use crate::lost_node::{RECORDS, bring_back, produce_through_a_kill, read_all, start_cluster};

#[test]
fn confluent_kafka_loses_a_node_and_no_record() {
    if !install("python") {
        return;
    }
    let mut cluster = start_cluster();
    let bootstrap = cluster.bootstrap_servers();
    let mut producer = python("confluent_produce.py");
    producer.args([&bootstrap, "orders", &RECORDS.to_string()]);
    let history = produce_through_a_kill(&mut cluster, "orders", producer);

    let reader = |group: &str| {
        let mut reader = python("confluent_consume.py");
        reader.args([&bootstrap, "orders", group]);
        reader
    };
    let verdict = history.judge(&read_all(reader("while-it-is-down")));
    assert!(verdict.is_clean(), "{verdict}");

    bring_back(&mut cluster, "orders");
    let verdict = history.judge(&read_all(reader("when-it-is-back")));
    assert!(verdict.is_clean(), "{verdict}");
}
