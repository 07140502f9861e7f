use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use raftsman_testkit::{ClusterOptions, ProcessCluster, raftsman_binary};

use super::{figure, spread};

const RUNS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// From exec to a listening socket, and to the first acked record.
pub fn run() -> Result<(), String> {
    let (mut listening, mut acked, mut cluster_acked) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (to_listening, to_ack) = start(1)?;
        listening.push(to_listening);
        acked.push(to_ack);
        cluster_acked.push(start(3)?.1);
    }
    figure("one node, empty directory: exec to listening", spread(listening, "ms"), "20 ms");
    figure("one node: exec to first acked record (auto-created topic)", spread(acked, "ms"), "100 ms");
    figure("three nodes: exec to first acks=all ack (RF 3)", spread(cluster_acked, "ms"), "1000 ms");
    Ok(())
}

/// Milliseconds from starting `nodes` nodes to the first taking connections and to the first acked record. The
/// client's own start is in the latter.
fn start(nodes: usize) -> Result<(f64, f64), String> {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions { nodes, ..Default::default() });
    let begin = Instant::now();
    for node in &mut cluster.nodes {
        node.start();
    }
    let address = cluster.nodes[0].client_address;
    while TcpStream::connect(address).is_err() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("{address} does not listen:\n{}", cluster.nodes[0].output()));
        }
        std::thread::yield_now();
    }
    let to_listening = begin.elapsed();
    let mut producer = Command::new(raftsman_binary())
        .args(["kafka-console-producer", "--bootstrap-server", &cluster.bootstrap_servers(), "--topic", "first"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut input = producer.stdin.take().ok_or("the producer has no input")?;
    std::io::Write::write_all(&mut input, b"first record\n").map_err(|error| error.to_string())?;
    drop(input);
    let status = producer.wait().map_err(|error| error.to_string())?;
    let to_ack = begin.elapsed();
    if !status.success() {
        return Err(format!("the first record was not acked:\n{}", cluster.nodes[0].output()));
    }
    Ok((to_listening.as_secs_f64() * 1e3, to_ack.as_secs_f64() * 1e3))
}
