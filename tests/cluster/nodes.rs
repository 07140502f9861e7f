use std::path::PathBuf;
use std::time::Duration;

use raftsman_testkit::{Load, LoadOptions, ProcessCluster, ProcessNode, Tools, wait_until, wait_until_some};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where a node of a test's cluster keeps everything.
pub fn data(node: &ProcessNode) -> PathBuf {
    PathBuf::from(node.setting("log.dirs").expect("a node is told its directory"))
}

/// The node's disk is lost.
pub fn wipe(node: &mut ProcessNode) {
    assert!(!node.is_running(), "a running node's disk stays");
    std::fs::remove_dir_all(data(node)).expect("the directory can be removed");
}

/// Starts a node that is expected to end by itself, and gives back the last line that it printed.
pub fn start_in_vain(node: &mut ProcessNode) -> String {
    let before = node.output().len();
    node.start();
    let status = node.wait_for_exit(PATIENCE);
    let printed = node.output()[before..].to_owned();
    assert_eq!(status.code(), Some(1), "{printed}");
    printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

/// Waits until a node prints a line with all these words, and gives it back.
pub fn wait_for_line(node: &ProcessNode, words: &[&str]) -> String {
    wait_until_some(&format!("node {} to say {words:?}", node.id), PATIENCE, || {
        node.output().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
}

/// How often a node has said that.
pub fn times_said(node: &ProcessNode, words: &[&str]) -> usize {
    node.output().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// Waits until every partition of a topic has so many replicas in sync.
pub fn wait_until_in_sync(tools: &Tools, topic: &str, replicas: usize) {
    wait_until(&format!("{replicas} replicas of {topic} to be in sync"), PATIENCE, || {
        tools.describe(topic).is_ok_and(|all| !all.is_empty() && all.iter().all(|p| p.isr.len() == replicas))
    });
}

/// Creates a topic as soon as the cluster takes one.
pub fn create_topic(tools: &Tools, topic: &str, partitions: usize, replication_factor: usize) {
    wait_until(&format!("{topic} to be created"), PATIENCE, || {
        match tools.create_topic(topic, partitions, replication_factor) {
            Ok(()) => true,
            // The answer to the first attempt may have been lost.
            Err(error) => error.contains("already exists"),
        }
    });
}

/// Writes to a topic until the load is judged.
pub fn load(cluster: &ProcessCluster, topic: &str, partitions: i32) -> Load {
    Load::start(&cluster.bootstrap_servers(), LoadOptions::new(topic, partitions))
}

/// Ends a load: everything that was acknowledged is there, once and in order.
pub fn judge(load: Load) {
    let (report, found) = load.stop_and_read();
    assert_eq!(report.given_up, Vec::<String>::new(), "every record is acked in the end");
    let verdict = report.history.judge(&found);
    assert!(verdict.is_clean(), "of {} acked: {verdict}", report.history.len());
}
