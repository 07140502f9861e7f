//! SIGKILL of all three nodes at once, under load, ten times: the cluster comes back by itself with every acked record.

use std::time::Duration;

use raftsman_testkit::{ClusterOptions, Load, LoadOptions, ProcessCluster};

const ROUNDS: usize = 10;
const PARTITIONS: i32 = 3;
const ACKS_PER_ROUND: usize = 300;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn killing_every_node_at_once_loses_nothing_acked() {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    cluster.tools().create_topic("orders", PARTITIONS as usize, 3).expect("a topic can be created");
    let load = Load::start(&cluster.bootstrap_servers(), LoadOptions::new("orders", PARTITIONS));
    for _ in 0..ROUNDS {
        load.wait_for_acks(ACKS_PER_ROUND, PATIENCE);
        cluster.kill_all_at_once();
        for node in &mut cluster.nodes {
            node.start();
        }
    }
    load.wait_for_acks(ACKS_PER_ROUND, PATIENCE);
    let (report, found) = load.stop_and_read();
    assert_eq!(report.given_up, Vec::<String>::new(), "every record is acked in the end");
    let verdict = report.history.judge(&found);
    assert!(verdict.is_clean(), "of {} acked: {verdict}", report.history.len());
}
