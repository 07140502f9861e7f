use raftsman_testkit::ProcessCluster;

/// Processor time of all brokers of a cluster so far, in seconds.
pub fn cpu_seconds(cluster: &ProcessCluster) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let ticks: u64 = cluster
        .nodes
        .iter()
        .filter_map(|node| std::fs::read_to_string(format!("/proc/{}/stat", node.process_id()?)).ok())
        .filter_map(|stat| {
            // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
            let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// Resident memory of each broker, in MiB.
pub fn memory_mib(cluster: &ProcessCluster) -> Vec<f64> {
    cluster
        .nodes
        .iter()
        .filter_map(|node| std::fs::read_to_string(format!("/proc/{}/status", node.process_id()?)).ok())
        .filter_map(|status| {
            let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
        })
        .collect()
}
