use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use raftsman_testkit::{ClusterOptions, ProcessCluster, wait_until};

use super::load::python;
use super::{figure, spread};

const PARTITIONS: i32 = 6;
const KILLS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);
/// From one kill to the next: longer than librdkafka's `reconnect.backoff.max.ms`, after which it forgets how often it met
/// a node dead. Killed faster than that, a node is avoided by the client itself for up to 10 s, whatever the cluster does.
const SPACING: Duration = Duration::from_secs(12);

/// A steady producer in librdkafka's default settings, and the acks it prints.
struct Load {
    child: Child,
    acks: Receiver<Ack>,
}

struct Ack {
    partition: i32,
    /// When the record was handed to the client, in milliseconds of the machine's monotonic clock.
    sent_ms: f64,
    acked_ms: f64,
}

/// The machine's monotonic clock, which the producer's process shares.
fn monotonic_ms() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}

/// Kills leaders under load: how long until every partition that the killed node led acks again.
pub fn run() -> Result<(), String> {
    let leaders = kills(false)?;
    figure("killed leader: kill to first new ack of its partitions", spread(leaders, "ms"), "p50 250, max 1000 ms");
    let controllers = kills(true)?;
    figure("the same when it is the active controller too", spread(controllers, "ms"), "p50 250, max 1000 ms");
    Ok(())
}

fn kills(of_controllers: bool) -> Result<Vec<f64>, String> {
    let mut cluster = ProcessCluster::start(&ClusterOptions::default());
    cluster.tools().create_topic("steady", PARTITIONS as usize, 3)?;
    let mut load = Load::start(&cluster)?;
    load.wait_for_every_partition()?;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let leaders = leaders(&cluster)?;
        let victim = if of_controllers { cluster.tools().active_controller()? } else { most_frequent(&leaders)? };
        let affected: Vec<i32> = leaders.iter().filter(|(_, l)| **l == victim).map(|(p, _)| *p).collect();
        let killed_at = monotonic_ms();
        let next_kill = Instant::now() + SPACING;
        cluster.node(victim).kill();
        times.extend(load.first_acks_after(killed_at, &affected)?);
        cluster.node(victim).start();
        wait_until("full ISRs and spread leaders", Duration::from_secs(60), || {
            is_whole(&cluster, of_controllers).unwrap_or(false)
        });
        // A benchmark may sleep; the client has to have met the leaders that have just moved back.
        std::thread::sleep(next_kill.saturating_duration_since(Instant::now()));
        let all: Vec<i32> = (0..PARTITIONS).collect();
        load.first_acks_after(monotonic_ms(), &all)?;
    }
    load.stop()?;
    Ok(times)
}

impl Load {
    fn start(cluster: &ProcessCluster) -> Result<Load, String> {
        let mut child = python("steady.py")?
            .args([&cluster.bootstrap_servers(), "steady", &PARTITIONS.to_string(), "1000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("the producer has no output")?;
        let (sender, acks) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let words: Vec<&str> = line.split(' ').collect();
                let ["ack", partition, sent_ms] = words[..] else { continue };
                let (Ok(partition), Ok(sent_ms)) = (partition.parse(), sent_ms.parse()) else { continue };
                if sender.send(Ack { partition, sent_ms, acked_ms: monotonic_ms() }).is_err() {
                    return;
                }
            }
        });
        Ok(Load { child, acks })
    }

    fn wait_for_every_partition(&mut self) -> Result<(), String> {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        self.first_acks_after(monotonic_ms(), &all).map(|_| ())
    }

    /// Milliseconds from `since` to the first ack of each partition for a record that was sent after it.
    fn first_acks_after(&mut self, since: f64, partitions: &[i32]) -> Result<Vec<f64>, String> {
        let mut left: Vec<i32> = partitions.to_vec();
        let mut times = Vec::new();
        while !left.is_empty() {
            let ack = self.acks.recv_timeout(PATIENCE).map_err(|_| format!("no ack of {left:?} for {PATIENCE:?}"))?;
            if ack.sent_ms > since && left.contains(&ack.partition) {
                left.retain(|p| *p != ack.partition);
                times.push(ack.acked_ms - since);
            }
        }
        Ok(times)
    }

    fn stop(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err("the steady producer lost records".into()) }
    }
}

fn most_frequent(leaders: &BTreeMap<i32, i32>) -> Result<i32, String> {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    leaders.values().for_each(|leader| *counts.entry(*leader).or_default() += 1);
    counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(leader, _)| leader)
        .ok_or("no partition has a leader".into())
}

fn leaders(cluster: &ProcessCluster) -> Result<BTreeMap<i32, i32>, String> {
    Ok(cluster.tools().describe("steady")?.into_iter().filter_map(|p| Some((p.partition, p.leader?))).collect())
}

/// Whether every replica is in sync and (where it matters) every node leads something again.
fn is_whole(cluster: &ProcessCluster, any_leaders: bool) -> Result<bool, String> {
    let described = cluster.tools().describe("steady")?;
    let in_sync = described.iter().filter(|p| p.isr.len() == 3).count();
    let leading: BTreeSet<i32> = described.iter().filter_map(|p| p.leader).collect();
    Ok(in_sync == PARTITIONS as usize && (leading.len() == 3 || any_leaders))
}
