use std::process::Command;

use crate::raftsman_binary;

/// Our own command-line tools, set to talk to one cluster.
pub struct Tools {
    bootstrap_servers: String,
}

/// A partition as `kafka-topics --describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedPartition {
    /// Its index.
    pub partition: i32,
    /// Who leads it, if anyone.
    pub leader: Option<i32>,
    /// Who is in sync.
    pub isr: Vec<i32>,
}

impl Tools {
    /// The tools for the cluster that these addresses belong to.
    pub fn at(bootstrap_servers: impl Into<String>) -> Tools {
        Tools { bootstrap_servers: bootstrap_servers.into() }
    }

    /// Runs a tool: `arguments` without `--bootstrap-server`.
    ///
    /// # Errors
    /// What the tool printed when it failed.
    pub fn run(&self, tool: &str, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(raftsman_binary())
            .args([tool, "--bootstrap-server", &self.bootstrap_servers])
            .args(arguments)
            .output()
            .map_err(|error| format!("{tool} cannot be started: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// What the tool printed when it failed.
    pub fn create_topic(&self, topic: &str, partitions: usize, replication_factor: usize) -> Result<(), String> {
        let (partitions, replication_factor) = (partitions.to_string(), replication_factor.to_string());
        let counts = ["--partitions", &partitions, "--replication-factor", &replication_factor];
        self.run("kafka-topics", &[&["--create", "--topic", topic], &counts[..]].concat()).map(|_| ())
    }

    /// The partitions of a topic as they are now.
    ///
    /// # Errors
    /// What the tool printed when it failed.
    pub fn describe(&self, topic: &str) -> Result<Vec<DescribedPartition>, String> {
        let printed = self.run("kafka-topics", &["--describe", "--topic", topic])?;
        Ok(printed.lines().filter_map(described_partition).collect())
    }

    /// The `node.id` of the active controller.
    ///
    /// # Errors
    /// When no node knows one.
    pub fn active_controller(&self) -> Result<i32, String> {
        // Ill is a cluster too: the answer is in what the tool prints.
        let printed = self.run("health", &["--server-only"]).or_else(|_| self.run("health", &[]))?;
        controller_of(&printed).ok_or_else(|| format!("no controller in {printed:?}"))
    }
}

/// Reads the controller's id out of a line such as `Cluster: x<tab>Controller: 1`.
fn controller_of(printed: &str) -> Option<i32> {
    printed
        .split(['\n', '\t'])
        .find_map(|part| part.trim().strip_prefix("Controller:"))
        .and_then(|id| id.trim().parse().ok())
}

/// Reads a line such as `Topic: orders<tab>Partition: 0<tab>Leader: 1<tab>Replicas: 1,2,3<tab>Isr: 1,2,3`.
fn described_partition(line: &str) -> Option<DescribedPartition> {
    let word = |label: &str| line.split('\t').find_map(|part| part.trim().strip_prefix(label)).map(str::trim);
    Some(DescribedPartition {
        partition: word("Partition:")?.parse().ok()?,
        leader: word("Leader:")?.parse().ok(),
        isr: word("Isr:")?.split(',').filter_map(|id| id.trim().parse().ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_controller() {
        assert_eq!(controller_of("Cluster: QOfR\tController: 12\nNode: 1\tAddress: x:1\tState: up\n"), Some(12));
        assert_eq!(controller_of("Cluster: QOfR\tController: none\n"), None);
    }

    #[test]
    fn reads_a_described_partition() {
        let line = "\tTopic: orders\tPartition: 2\tLeader: none\tReplicas: 1,2,3\tIsr: 3,1\tElr: \tLastKnownElr: ";
        let expected = DescribedPartition { partition: 2, leader: None, isr: vec![3, 1] };
        assert_eq!(described_partition(line), Some(expected));
        assert_eq!(described_partition("Topic: orders\tTopicId: x\tPartitionCount: 3"), None);
    }
}
