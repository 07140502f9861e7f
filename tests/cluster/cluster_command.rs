//! `raftsman cluster`: nodes come up, come back, and never outlive the command.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use raftsman_testkit::{Tools, raftsman_binary, wait_until};
use rustix::process::Signal;

use crate::command::{RunningCommand, is_alive, signal_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// A port with free ones after it, as many as a cluster of three needs, and another one at each call.
fn free_base_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let start = 20_000 + (std::process::id() % 100) as u16 * 100 + call * 20;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let fits = |base: &u16| (0..3).all(|i| is_free(base + i) && is_free(base + 1_000 + i));
    (start..start + 20).step_by(4).find(fits).expect("a few ports are free")
}

fn start(directory: &Path, base_port: u16) -> RunningCommand {
    let (directory, base_port) = (directory.display().to_string(), base_port.to_string());
    RunningCommand::start(&["cluster", "--dir", &directory, "--base-port", &base_port], |_| ())
}

/// The processes of the nodes, once the command says that they are up.
fn node_processes(cluster: &mut RunningCommand) -> Vec<u32> {
    cluster.wait_for("the cluster to be up", PATIENCE, |printed| {
        printed.contains("Ctrl-C stops").then(|| {
            let nodes = printed.lines().filter(|line| line.starts_with("  node "));
            let pid = |line: &str| line.split("pid ").nth(1)?.split_whitespace().next()?.parse().ok();
            nodes.map(|line| pid(line).expect("a node's line has its process id")).collect()
        })
    })
}

#[test]
fn a_killed_node_comes_back_and_a_stopped_cluster_goes_on_with_its_data() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let base_port = free_base_port();
    let mut cluster = start(folder.path(), base_port);
    let nodes = node_processes(&mut cluster);
    assert_eq!(nodes.len(), 3);
    let tools = Tools::at(format!("127.0.0.1:{base_port},127.0.0.1:{}", base_port + 1));
    tools.create_topic("orders", 3, 3).expect("a topic can be created");

    // Who reads has gone before the first line: nothing to say of that, and no failure.
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let bootstrap = format!("127.0.0.1:{base_port}");
    let mut describe = Command::new(raftsman_binary());
    describe.args(["kafka-topics", "--bootstrap-server", &bootstrap, "--describe", "--topic", "orders"]).stdout(writer);
    let described = describe.output().expect("the binary can be started");
    assert!(described.status.success() && described.stderr.is_empty(), "{described:?}");

    signal_process(nodes[2], Signal::KILL);
    let back: u32 = cluster.wait_for("node 3 to come back", PATIENCE, |printed| {
        printed.lines().find_map(|line| line.strip_prefix("node 3 is started again: pid ")?.parse().ok())
    });
    assert!(back != nodes[2] && cluster.output().contains("node 3 (pid"), "{}", cluster.output());
    wait_until("every replica to be in sync", PATIENCE, || {
        tools.describe("orders").is_ok_and(|topic| topic.len() == 3 && topic.iter().all(|p| p.isr.len() == 3))
    });

    // The base port is taken now, and that is said before anything is touched.
    let (directory, port) = (folder.path().display().to_string(), base_port.to_string());
    let second = Command::new(raftsman_binary()).args(["cluster", "--dir", &directory, "--base-port", &port]).output();
    let second = second.expect("the binary can be started");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.code() == Some(1) && said.contains(&port) && said.contains("--base-port"), "{said}");

    cluster.signal(Signal::INT);
    assert_eq!(cluster.wait(PATIENCE).code(), Some(0), "{}", cluster.output());
    assert!(![nodes[0], nodes[1], back].into_iter().any(is_alive), "a node outlived the command");
    assert!(folder.path().join("node-3/raftsman.log").is_file());

    let mut again = start(folder.path(), base_port);
    node_processes(&mut again);
    assert!(tools.run("kafka-topics", &["--list"]).is_ok_and(|topics| topics.contains("orders")));
}

#[test]
fn nodes_die_with_the_command() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut cluster = start(folder.path(), free_base_port());
    let nodes = node_processes(&mut cluster);
    assert!(nodes.len() == 3 && nodes.iter().all(|pid| is_alive(*pid)));
    assert!(is_alive(cluster.process_id()));
    cluster.signal(Signal::KILL);
    wait_until("the nodes to be gone", PATIENCE, || !nodes.iter().any(|pid| is_alive(*pid)));
}
