//! `raftsman health`: is a cluster well?

use std::process::ExitCode;
use std::time::Duration;

use futures::future::join_all;
use raftsman_client::{Client, ClientOptions, ClusterDescription, LogDirDescription, Metadata};
use raftsman_types::ErrorCode;
use tokio::time::{Instant, timeout_at};

use crate::arguments::HealthArguments;
use crate::failure::Failure;
use crate::kafka::block_on;
use crate::output::say;

/// Prints nodes, controller and partitions that miss replicas. Ends with 0 only if nothing is amiss.
pub fn run(arguments: &HealthArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let timeout = Duration::from_millis(arguments.timeout_ms);
    // A node that stands still takes a third of the time: then another one is asked.
    let options = ClientOptions {
        client_id: "raftsman-health".to_owned(),
        connect_timeout: timeout / 3,
        request_timeout: timeout / 3,
        api_timeout: timeout,
        ..ClientOptions::default()
    };
    block_on(async {
        let deadline = Instant::now() + timeout;
        let asked = async {
            let client = Client::connect(&arguments.bootstrap_server, options).await?;
            let cluster = client.describe_cluster().await?;
            let topics = client.describe_topics(None).await?;
            Ok::<_, Failure>((client, cluster, topics))
        };
        let late = |_| Failure::Said(format!("no answer within {} ms", arguments.timeout_ms));
        let (client, cluster, topics) = timeout_at(deadline, asked).await.map_err(late)??;
        let directories = match arguments.server_only {
            true => Directories::default(),
            false => directories(&client, &cluster, deadline).await,
        };
        let report = Report { directories, ..Report::of(&cluster, &topics) };
        report.lines(&cluster).iter().for_each(|line| say!("{line}"));
        let is_well = if arguments.server_only { report.has_controller } else { report.is_well() };
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Log directories with which something is amiss.
#[derive(Debug, Default, PartialEq, Eq)]
struct Directories {
    failed: Vec<String>,
    /// Up to what is kept free of clients' records: Produce is refused there.
    full: Vec<String>,
}

/// What brokers say of their log directories. All are asked at once; who does not answer in time, or may not say, is no news
/// here.
async fn directories(client: &Client, cluster: &ClusterDescription, deadline: Instant) -> Directories {
    let asked = cluster.brokers.iter().filter(|broker| !broker.is_fenced).map(|broker| async {
        let node_id = broker.node_id;
        let told = timeout_at(deadline, client.describe_log_dirs(node_id)).await;
        let told = told.ok().and_then(Result::ok).unwrap_or_default();
        // Who has no such setting keeps nothing free.
        let reserve = timeout_at(deadline, client.broker_config(node_id, "log.dirs.reserved.bytes")).await;
        let reserve = reserve.ok().and_then(Result::ok).flatten().and_then(|bytes| bytes.parse().ok());
        (node_id, told, reserve.unwrap_or(0))
    });
    let mut amiss = Directories::default();
    for (node_id, told, reserve) in join_all(asked).await {
        for directory in told {
            let named = format!("{} of node {node_id}", directory.path);
            if directory.error != ErrorCode::None {
                amiss.failed.push(named);
            } else if let Some(left) = left_of_a_full_one(&directory, reserve) {
                amiss.full.push(format!("{named} ({left} bytes left, Produce is refused)"));
            }
        }
    }
    amiss
}

/// How many bytes are left in a directory, if that is no more than the broker keeps free: its reserve, but never more than a
/// twentieth of the volume.
fn left_of_a_full_one(directory: &LogDirDescription, reserve: i64) -> Option<i64> {
    let (total, usable) = (directory.total_bytes?, directory.usable_bytes?);
    (usable < reserve.min(total / 20).max(1)).then_some(usable)
}

/// What there is to say about a cluster.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    partitions: usize,
    leaderless: Vec<String>,
    under_replicated: Vec<String>,
    fenced: Vec<i32>,
    directories: Directories,
    has_controller: bool,
}

impl Report {
    fn of(cluster: &ClusterDescription, topics: &Metadata) -> Report {
        let all: Vec<_> = topics.topics.iter().flat_map(|(n, t)| t.partitions.iter().map(move |p| (n, p))).collect();
        let named =
            |(name, p): &(&std::sync::Arc<str>, &raftsman_client::PartitionMetadata)| format!("{name}-{}", p.index);
        Report {
            partitions: all.len(),
            leaderless: all.iter().filter(|(_, p)| p.leader.is_none()).map(named).collect(),
            under_replicated: all.iter().filter(|(_, p)| p.isr.len() < p.replicas.len()).map(named).collect(),
            fenced: cluster.brokers.iter().filter(|b| b.is_fenced).map(|b| b.node_id).collect(),
            directories: Directories::default(),
            has_controller: cluster.controller_id.is_some(),
        }
    }

    fn is_well(&self) -> bool {
        let Directories { failed, full } = &self.directories;
        let amiss = [&self.leaderless, &self.under_replicated, failed, full];
        self.has_controller && amiss.iter().all(|list| list.is_empty()) && self.fenced.is_empty()
    }

    fn lines(&self, cluster: &ClusterDescription) -> Vec<String> {
        let controller = cluster.controller_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let mut lines = vec![format!("Cluster: {}\tController: {controller}", cluster.cluster_id)];
        let mut brokers: Vec<_> = cluster.brokers.iter().collect();
        brokers.sort_by_key(|broker| broker.node_id);
        lines.extend(brokers.iter().map(|b| {
            let state = if b.is_fenced { "fenced" } else { "up" };
            format!("Node: {}\tAddress: {}:{}\tState: {state}", b.node_id, b.host, b.port)
        }));
        lines.push(format!(
            "Partitions: {}\tUnder-replicated: {}\tWithout leader: {}",
            self.partitions,
            self.under_replicated.len(),
            self.leaderless.len()
        ));
        for (what, named) in [
            ("Failed directories", &self.directories.failed),
            ("Full directories", &self.directories.full),
            ("Under-replicated", &self.under_replicated),
            ("Without leader", &self.leaderless),
        ] {
            if !named.is_empty() {
                let more = if named.len() > 10 { ", …" } else { "" };
                let first: Vec<&str> = named.iter().take(10).map(String::as_str).collect();
                lines.push(format!("{what}: {}{more}", first.join(", ")));
            }
        }
        lines.push(if self.is_well() { "OK" } else { "NOT OK" }.to_owned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raftsman_client::{NodeDescription, PartitionMetadata, TopicMetadata};
    use raftsman_types::TopicId;

    use super::*;

    fn cluster(fenced: bool, controller: Option<i32>) -> ClusterDescription {
        let broker = |node_id, is_fenced| NodeDescription { node_id, host: "h".to_owned(), port: 9092, is_fenced };
        ClusterDescription {
            cluster_id: "c".to_owned(),
            controller_id: controller,
            brokers: vec![broker(2, fenced), broker(1, false)],
        }
    }

    fn topics(leader: Option<i32>, isr: &[i32]) -> Metadata {
        let partition = PartitionMetadata {
            index: 0,
            error: ErrorCode::None,
            leader,
            leader_epoch: 0,
            replicas: vec![1, 2],
            isr: isr.to_vec(),
            offline: Vec::new(),
        };
        let topic = TopicMetadata {
            error: ErrorCode::None,
            id: TopicId::ZERO,
            is_internal: false,
            partitions: vec![partition],
        };
        Metadata { topics: [(Arc::from("t"), topic)].into(), ..Metadata::default() }
    }

    #[test]
    fn anything_amiss_is_not_ok() {
        assert!(Report::of(&cluster(false, Some(1)), &topics(Some(1), &[1, 2])).is_well());
        for (cluster, topics) in [
            (cluster(true, Some(1)), topics(Some(1), &[1, 2])),
            (cluster(false, None), topics(Some(1), &[1, 2])),
            (cluster(false, Some(1)), topics(Some(1), &[1])),
            (cluster(false, Some(1)), topics(None, &[1, 2])),
        ] {
            let report = Report::of(&cluster, &topics);
            assert!(!report.is_well());
            assert_eq!(report.lines(&cluster).last().unwrap(), "NOT OK");
        }
    }

    #[test]
    fn failed_and_full_directories_are_named() {
        let cluster = cluster(false, Some(1));
        let directories = Directories { failed: vec!["/b of node 2".to_owned()], full: Vec::new() };
        let report = Report { directories, ..Report::of(&cluster, &topics(Some(1), &[1, 2])) };
        let lines = report.lines(&cluster);
        assert!(lines.contains(&"Failed directories: /b of node 2".to_owned()), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "NOT OK");
        let directories = Directories { failed: Vec::new(), full: vec!["/a of node 1 (7 bytes left)".to_owned()] };
        let lines = Report { directories, ..report }.lines(&cluster);
        assert!(lines.contains(&"Full directories: /a of node 1 (7 bytes left)".to_owned()), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "NOT OK");
    }

    #[test]
    fn a_directory_is_full_once_its_reserve_is_begun() {
        let left = |total_bytes, usable_bytes, reserve| {
            let (path, error, replicas) = (String::new(), ErrorCode::None, Default::default());
            left_of_a_full_one(&LogDirDescription { path, error, replicas, total_bytes, usable_bytes }, reserve)
        };
        assert_eq!(left(Some(100_000), Some(4_000), 4_000), None);
        assert_eq!(left(Some(100_000), Some(3_999), 4_000), Some(3_999));
        assert_eq!(left(Some(10_000), Some(500), 4_000), None, "a small volume keeps a small reserve");
        assert_eq!(left(Some(10_000), Some(499), 4_000), Some(499));
        assert_eq!((left(Some(10_000), Some(1), 0), left(Some(10_000), Some(0), 0)), (None, Some(0)));
        assert_eq!((left(None, Some(0), 0), left(Some(10_000), None, 4_000)), (None, None), "it does not tell");
    }

    #[test]
    fn nodes_are_listed_in_order() {
        let report = Report::of(&cluster(false, Some(1)), &topics(Some(1), &[1]));
        let lines = report.lines(&cluster(false, Some(1)));
        assert!(lines[1].starts_with("Node: 1\t") && lines[2].starts_with("Node: 2\t"), "{lines:?}");
        assert!(lines.contains(&"Under-replicated: t-0".to_owned()), "{lines:?}");
    }
}
