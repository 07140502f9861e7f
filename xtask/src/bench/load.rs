use crate::root::{root, target};
use std::process::Command;

use raftsman_testkit::{ClusterOptions, ProcessCluster};

use super::process::{cpu_seconds, memory_mib};
use super::{figure, spread};

const RECORD_BYTES: u64 = 1024;
const LARGE_BATCHES: [&str; 5] =
    ["acks=all", "linger.ms=5", "batch.size=131072", "enable.idempotence=true", "compression.type=none"];

/// Broker CPU per gigabyte at RF 1 and RF 3, and per million requests of one record.
pub fn run() -> Result<(), String> {
    gigabytes(1, 2_000_000, "0.8")?;
    gigabytes(3, 1_000_000, "2.5")?;
    single_records()
}

fn gigabytes(nodes: usize, records: u64, aim: &str) -> Result<(), String> {
    let cluster = ProcessCluster::start(&ClusterOptions { nodes, ..Default::default() });
    cluster.tools().create_topic("load", 1, nodes)?;
    let bytes = (records * RECORD_BYTES) as f64;
    let (count, size) = (records.to_string(), RECORD_BYTES.to_string());
    let bootstrap = cluster.bootstrap_servers();

    let before = cpu_seconds(&cluster);
    let mut arguments = vec![bootstrap.as_str(), "load", &count, &size];
    arguments.extend(LARGE_BATCHES);
    let produced = script("produce.py", &arguments)?;
    let produce_cpu = cpu_seconds(&cluster) - before;

    let before = cpu_seconds(&cluster);
    let consumed = script("consume.py", &[&bootstrap, "load", &count])?;
    let consume_cpu = cpu_seconds(&cluster) - before;

    let per_gb = 1e9 / bytes;
    let what = format!("RF {nodes}, {RECORD_BYTES} B records in large batches, acks=all, flushed");
    let measured = format!("{:.2} + {:.2} CPU-s/GB", produce_cpu * per_gb, consume_cpu * per_gb);
    figure(&format!("{what}: produce + read back"), measured, aim);
    let speed = format!("{:.0} and {:.0} MB/s", bytes / produced / 1e6, bytes / consumed / 1e6);
    figure("  at (the client takes part of the same cores)", speed, "–");
    figure("  resident memory afterwards", spread(memory_mib(&cluster), "MiB"), "–");
    Ok(())
}

fn single_records() -> Result<(), String> {
    const RECORDS: u64 = 300_000;
    let cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
    cluster.tools().create_topic("single", 1, 1)?;
    let bootstrap = cluster.bootstrap_servers();
    let before = cpu_seconds(&cluster);
    let settings = ["acks=1", "linger.ms=0", "batch.num.messages=1", "max.in.flight.requests.per.connection=5"];
    let mut arguments = vec![bootstrap.as_str(), "single"];
    let count = RECORDS.to_string();
    arguments.extend([count.as_str(), "100"]);
    arguments.extend(settings);
    let seconds = script("produce.py", &arguments)?;
    let cpu = (cpu_seconds(&cluster) - before) * 1e6 / RECORDS as f64;
    figure("one 100-byte record per request, acks=1, five in flight: CPU-s per 10⁶", format!("{cpu:.1}"), "15");
    figure("  at", format!("{:.0} requests/s", RECORDS as f64 / seconds), "–");
    Ok(())
}

/// Runs a script of `tests/bench` and gives back the seconds it says it took.
fn script(name: &str, arguments: &[&str]) -> Result<f64, String> {
    let output = python(name)?.args(arguments).output().map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let words: Vec<f64> = printed.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    match words[..] {
        [seconds, errors_or_bytes] if output.status.success() && (name != "produce.py" || errors_or_bytes == 0.0) => {
            Ok(seconds)
        }
        _ => Err(format!("{name} printed {printed:?} and {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A command of the tests' own Python, with librdkafka, set to run a script of `tests/bench`.
pub fn python(name: &str) -> Result<Command, String> {
    let root = root();
    let installed = Command::new("bash")
        .arg(root.join("tests/compat/install.sh"))
        .arg("python")
        .status()
        .map_err(|error| error.to_string())?;
    if !installed.success() {
        return Err("confluent-kafka cannot be installed".into());
    }
    let mut command = Command::new(target().join("compat/venv/bin/python"));
    command.arg(root.join("tests/bench").join(name));
    Ok(command)
}
