use std::time::{Duration, Instant};

use raftsman_testkit::{ClusterOptions, ProcessCluster};

use super::process::{cpu_seconds, memory_mib};
use super::{figure, spread};

/// What a node costs that nobody uses.
pub fn run() -> Result<(), String> {
    for nodes in [1, 3] {
        let cluster = ProcessCluster::start(&ClusterOptions { nodes, ..Default::default() });
        // Measured, not waited for: forming the cluster is over after a few seconds.
        std::thread::sleep(Duration::from_secs(5));
        let (begin, cpu) = (Instant::now(), cpu_seconds(&cluster));
        std::thread::sleep(Duration::from_secs(20));
        let percent = (cpu_seconds(&cluster) - cpu) / begin.elapsed().as_secs_f64() * 100.0 / nodes as f64;
        let which = if nodes == 1 { "one node" } else { "each of three nodes" };
        figure(&format!("{which}, idle: resident memory"), spread(memory_mib(&cluster), "MiB"), "12 MB");
        figure(&format!("{which}, idle: CPU of one core"), format!("{percent:.2} %"), "0.3 %");
    }
    Ok(())
}
