use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use raftsman_testkit::{ProcessCluster, raftsman_binary};

use crate::clients::{install, java, succeed};
use crate::lost_node::{await_in_sync, start_cluster};

const RATE_BYTES: usize = 1 << 20;

/// Kafka's own tool throttles a node that comes back (KIP-73), on either side; how long that takes has a lower bound, which a slow
/// machine keeps, too.
#[test]
fn kafkas_config_tool_throttles_who_catches_up() {
    if !install("java") {
        return;
    }
    let mut cluster = start_cluster();
    cluster.tools().create_topic("orders", 1, 3).expect("a topic can be created");
    await_in_sync(&cluster, "orders", 1);
    let leader = cluster.tools().describe("orders").ok().and_then(|topic| topic.first()?.leader).expect("a leader");
    let away = leader % 3 + 1;

    for (side, replica) in [("leader", leader), ("follower", away)] {
        cluster.node(away).kill();
        produce(&cluster, 3 * RATE_BYTES);
        let (rate, list) =
            (format!("{side}.replication.throttled.rate"), format!("{side}.replication.throttled.replicas"));
        configure(&cluster, &["--entity-type", "brokers", "--entity-default"], &format!("{rate}={RATE_BYTES}"));
        configure(&cluster, &["--entity-type", "topics", "--entity-name", "orders"], &format!("{list}=0:{replica}"));
        let described = |cluster: &ProcessCluster| {
            let leader = leader.to_string();
            configs(cluster, &["--entity-type", "brokers", "--entity-name", &leader, "--describe", "--all"])
        };
        let layer = format!("{{DYNAMIC_DEFAULT_BROKER_CONFIG:{rate}={RATE_BYTES}}}");
        let line = format!("{rate}={RATE_BYTES} sensitive=false synonyms={layer}");
        assert!(described(&cluster).contains(&line), "{}", described(&cluster));

        let began = Instant::now();
        cluster.node(away).start();
        await_in_sync(&cluster, "orders", 1);
        // One second's worth may have been saved up.
        assert!(began.elapsed() >= Duration::from_millis(1500), "{side}: {:?}", began.elapsed());

        let delete = ["--entity-type", "brokers", "--entity-default", "--alter", "--delete-config", &rate];
        configs(&cluster, &delete);
        assert!(!described(&cluster).contains(&rate), "{}", described(&cluster));
    }
}

fn configure(cluster: &ProcessCluster, entity: &[&str], setting: &str) {
    configs(cluster, &[entity, &["--alter", "--add-config", setting]].concat());
}

fn configs(cluster: &ProcessCluster, arguments: &[&str]) -> String {
    let mut tool = java("kafka.admin.ConfigCommand");
    tool.args(["--bootstrap-server", &cluster.bootstrap_servers()]).args(arguments);
    succeed(tool)
}

/// Produces so many bytes, committed when this returns.
fn produce(cluster: &ProcessCluster, bytes: usize) {
    let mut producer = Command::new(raftsman_binary());
    producer.args(["kafka-console-producer", "--topic", "orders", "--bootstrap-server", &cluster.bootstrap_servers()]);
    let mut child = producer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the producer can be started");
    let mut input = child.stdin.take().expect("its input is piped");
    let line = "x".repeat((32 << 10) - 1);
    for _ in 0..bytes / (32 << 10) {
        writeln!(input, "{line}").expect("the producer takes lines");
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}
