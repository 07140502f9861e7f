use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use raftsman_types::BrokerId;

use super::types::{QuorumNode, format_address};
use crate::config::{ControllerConfig, Voter};

/// Where controllers are. The configured address of a listed voter counts more than the one in the membership: an operator
/// who moves a controller changes the files.
#[derive(Debug)]
pub(super) struct Directory {
    voters: BTreeMap<BrokerId, (String, u16)>,
    bootstrap: Vec<(String, u16)>,
    own: QuorumNode,
    metadata_dir: PathBuf,
    earlier_life: Option<String>,
}

impl Directory {
    /// The addresses that the configuration names.
    pub fn new(config: &ControllerConfig) -> Directory {
        let voters: BTreeMap<BrokerId, (String, u16)> =
            config.voters.iter().map(|Voter { node_id, host, port }| (*node_id, (host.clone(), *port))).collect();
        let (host, port) = voters
            .get(&config.node_id)
            .cloned()
            .unwrap_or_else(|| (config.advertised_host.clone(), config.advertised_port));
        let own = QuorumNode { node_id: config.node_id, directory_id: config.directory_id, host, port };
        Directory {
            voters,
            bootstrap: config.bootstrap_servers.clone(),
            own,
            metadata_dir: config.metadata_dir.clone(),
            earlier_life: config.earlier_life.clone(),
        }
    }

    /// This controller.
    pub fn own(&self) -> &QuorumNode {
        &self.own
    }

    /// Where this controller's metadata log is.
    pub fn metadata_dir(&self) -> &Path {
        &self.metadata_dir
    }

    /// What shows that this node was in a cluster before, if anything does.
    pub fn earlier_life(&self) -> Option<&str> {
        self.earlier_life.as_deref()
    }

    /// `controller.quorum.voters`, with their addresses.
    pub fn listed(&self) -> BTreeMap<BrokerId, String> {
        self.voters.iter().map(|(id, (host, port))| (*id, format_address(host, *port))).collect()
    }

    /// The addresses of `controller.quorum.bootstrap.servers`.
    pub fn bootstrap(&self) -> Vec<String> {
        self.bootstrap.iter().map(|(host, port)| format_address(host, *port)).collect()
    }

    /// Where a member is.
    pub fn host_and_port<'a>(&'a self, node: &'a QuorumNode) -> (&'a str, u16) {
        let (host, port) = match self.voters.get(&node.node_id) {
            Some((host, port)) => (host, port),
            None => (&node.host, &node.port),
        };
        (host, *port)
    }

    /// Where a member is, as `host:port`.
    pub fn address_of(&self, node: &QuorumNode) -> String {
        let (host, port) = self.host_and_port(node);
        format_address(host, port)
    }

    /// Whether a node is one of `controller.quorum.voters`.
    pub fn is_listed(&self, node_id: BrokerId) -> bool {
        self.voters.contains_key(&node_id)
    }

    /// How many voters are listed.
    pub fn listed_count(&self) -> usize {
        self.voters.len()
    }

    /// Whether this node forms the cluster alone if its only bootstrap server turns out to be itself.
    pub fn has_one_bootstrap_server(&self) -> bool {
        self.voters.is_empty() && self.bootstrap.len() <= 1
    }

    /// Whom to ask for a cluster: the other voters, or all bootstrap servers (one of which may be this very node).
    pub fn seeds(&self) -> Vec<String> {
        if self.voters.is_empty() {
            return self.bootstrap();
        }
        let others = self.voters.iter().filter(|(node_id, _)| **node_id != self.own.node_id);
        others.map(|(_, (host, port))| format_address(host, *port)).collect()
    }
}
