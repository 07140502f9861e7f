//! The scenario that every client goes through, with the client's own commands plugged in.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use raftsman_testkit::{ClusterOptions, Found, History, ProcessCluster, wait_until};

/// How many records go through; the node is lost at a third.
pub const RECORDS: usize = 3_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A three-node cluster in the shape that `raftsman cluster` gives it.
pub fn start_cluster() -> ProcessCluster {
    ProcessCluster::start(&ClusterOptions::default())
}

/// A producer that prints `ack <partition> <value>` for every acked record.
pub struct ProducerThroughAKill {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl ProducerThroughAKill {
    /// Starts it.
    pub fn start(mut producer: Command) -> ProducerThroughAKill {
        let mut child = producer.stdout(Stdio::piped()).spawn().expect("the producer can be started");
        let lines = lines_of(child.stdout.take().expect("its output is piped"));
        ProducerThroughAKill { child, lines }
    }

    /// Lets it run to its end, calls `kill` at a third of the records, and gives back what was acked.
    pub fn run(self, mut kill: impl FnMut()) -> History {
        let mut history = History::default();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            let mut words = line.splitn(3, ' ');
            assert_eq!(words.next(), Some("ack"), "the producer printed {line:?}");
            let partition = words.next().and_then(|p| p.parse().ok()).expect("an ack names its partition");
            history.ack(partition, words.next().expect("an ack names its record"));
            if history.len() == RECORDS / 3 {
                kill();
            }
        }
        finish(self.child, "the producer");
        assert_eq!(history.len(), RECORDS, "every record is acked by a producer that is done");
        history
    }
}

/// Runs such a producer and kills the node that leads partition 0 at a third of the records.
pub fn produce_through_a_kill(cluster: &mut ProcessCluster, topic: &str, producer: Command) -> History {
    ProducerThroughAKill::start(producer).run(|| kill_leader_of_first_partition(cluster, topic))
}

/// Feeds a producer that reads lines: a third, then a node is killed, then the rest. It says nothing of single
/// acks, but promises all of them by ending well.
pub fn feed_through_a_kill(cluster: &mut ProcessCluster, topic: &str, mut producer: Command, seen: impl Fn() -> usize) {
    let mut child = producer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the producer can be started");
    let mut input = child.stdin.take().expect("its input is piped");
    feed(&mut input, 0..RECORDS / 3);
    wait_until("the first records to arrive", PATIENCE, || seen() > 0);
    kill_leader_of_first_partition(cluster, topic);
    feed(&mut input, RECORDS / 3..RECORDS);
    drop(input);
    finish(child, "the producer");
}

/// Runs a reader that prints `<partition> <offset> <value>`.
pub fn read_all(mut reader: Command) -> Vec<Found> {
    let output = reader.stderr(Stdio::piped()).output().expect("the reader can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the reader failed: {errors}");
    let mut found: Vec<Found> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let [partition, offset, value] = words[..] else { panic!("the reader printed {line:?}") };
            let (partition, offset) = (partition.parse().expect("a partition"), offset.parse().expect("an offset"));
            Found { partition, offset, name: value.to_owned() }
        })
        .collect();
    found.sort();
    found
}

/// The history of records 0 to [`RECORDS`] that were all acked on partitions their producer did not name.
pub fn all_acked(found: &[Found]) -> History {
    let places: std::collections::HashMap<&str, i32> =
        found.iter().map(|record| (record.name.as_str(), record.partition)).collect();
    let mut history = History::default();
    for value in (0..RECORDS).map(|n| n.to_string()) {
        history.ack(places.get(value.as_str()).copied().unwrap_or(0), value);
    }
    history
}

/// Brings the dead node back and waits until every replica is in sync again.
pub fn bring_back(cluster: &mut ProcessCluster, topic: &str) {
    for node in &mut cluster.nodes {
        if !node.is_running() {
            node.start();
        }
    }
    await_in_sync(cluster, topic, 3);
}

/// Waits until every replica of a topic's partitions is in sync.
pub fn await_in_sync(cluster: &ProcessCluster, topic: &str, partitions: usize) {
    wait_until("every replica to be in sync", PATIENCE, || {
        let described = cluster.tools().describe(topic).unwrap_or_default();
        described.len() == partitions && described.iter().all(|p| p.isr.len() == 3)
    });
}

fn kill_leader_of_first_partition(cluster: &mut ProcessCluster, topic: &str) {
    let described = cluster.tools().describe(topic).expect("the topic can be described");
    let first = described.iter().find(|p| p.partition == 0).expect("partition 0 is described");
    let leader = first.leader.expect("partition 0 has a leader");
    cluster.node(leader).kill();
}

fn feed(input: &mut ChildStdin, numbers: std::ops::Range<usize>) {
    for number in numbers {
        writeln!(input, "{number}").expect("the producer takes lines");
    }
    input.flush().expect("the producer takes lines");
}

fn finish(mut child: Child, who: &str) {
    let mut status = None;
    wait_until(&format!("{who} to end"), PATIENCE, || {
        status = child.try_wait().expect("a child can be asked");
        status.is_some()
    });
    assert!(status.is_some_and(|s| s.success()), "{who} failed: {status:?}");
}

fn lines_of(output: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
