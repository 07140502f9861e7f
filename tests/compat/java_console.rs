use crate::clients::{install, java};
use crate::lost_node::{all_acked, bring_back, feed_through_a_kill, read_all, start_cluster};

/// Apache Kafka's own console producer (idempotent by default) and console consumer.
#[test]
fn kafkas_console_tools_lose_a_node_and_no_record() {
    if !install("java") {
        return;
    }
    let mut cluster = start_cluster();
    let bootstrap = cluster.bootstrap_servers();
    cluster.tools().create_topic("orders", 3, 3).expect("a topic can be created");

    let mut producer = java("org.apache.kafka.tools.ConsoleProducer");
    producer.args(["--bootstrap-server", &bootstrap, "--topic", "orders"]);
    // Longer than the first member of a group waits for others (group.initial.rebalance.delay.ms, 3 s).
    let idle_ms = "8000";
    let read = || {
        let mut reader = java("org.apache.kafka.tools.consumer.ConsoleConsumer");
        reader.args([
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            "orders",
            "--from-beginning",
            "--timeout-ms",
            idle_ms,
        ]);
        reader.args(["--formatter-property", "print.partition=true", "--formatter-property", "print.offset=true"]);
        let mut command = std::process::Command::new("bash");
        // "Partition:0<tab>Offset:7<tab>value" becomes the tests' own form; the tool ends with an error when idle.
        let sed = r"sed -E 's/^Partition:([0-9]+)\tOffset:([0-9]+)\t/\1 \2 /'";
        command.arg("-c").arg(format!("\"$0\" \"$@\" | {sed}")).arg(reader.get_program()).args(reader.get_args());
        read_all(command)
    };
    feed_through_a_kill(&mut cluster, "orders", producer, || read().len());
    bring_back(&mut cluster, "orders");

    let found = read();
    let verdict = all_acked(&found).judge(&found);
    assert!(verdict.is_clean(), "{verdict}");
}
