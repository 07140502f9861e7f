use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use raftsman_types::BrokerId;

use super::types::{QuorumNode, format_address};
use crate::config::{ControllerConfig, Voter};

/// Where controllers are. The configured address of a listed voter is tried first, for an operator who moves controllers
/// changes the files; but where it does not lead to the member, the address that the member gave itself when it joined does:
/// a controller may have been moved with a change of its own file alone.
#[derive(Debug)]
pub(super) struct Directory {
    voters: BTreeMap<BrokerId, (String, u16)>,
    bootstrap: Vec<(String, u16)>,
    own: QuorumNode,
    metadata_dir: PathBuf,
    earlier_life: Option<String>,
    /// Those that were not found at their configured address.
    moved: RwLock<BTreeSet<BrokerId>>,
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
            moved: RwLock::default(),
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

    /// The hosts of all controllers that the configuration names.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.voters.values().chain(&self.bootstrap).map(|(host, _)| host.clone()).collect()
    }

    /// The addresses of `controller.quorum.bootstrap.servers`.
    pub fn bootstrap(&self) -> Vec<String> {
        self.bootstrap.iter().map(|(host, port)| format_address(host, *port)).collect()
    }

    /// Where a member may be, the likelier place first.
    pub fn places<'a>(&'a self, node: &'a QuorumNode) -> Vec<(&'a str, u16)> {
        let own = (node.host.as_str(), node.port);
        let configured = self.voters.get(&node.node_id).map(|(host, port)| (host.as_str(), *port));
        match configured.filter(|configured| *configured != own) {
            None => vec![own],
            Some(configured) if self.moved.read().contains(&node.node_id) => vec![own, configured],
            Some(configured) => vec![configured, own],
        }
    }

    /// The member was not found at this address: the other one it may have is tried next.
    pub fn not_at(&self, node: &QuorumNode, address: &str) {
        if self.places(node).len() < 2 || self.address_of(node) != address {
            return;
        }
        let mut moved = self.moved.write();
        if !moved.remove(&node.node_id) {
            moved.insert(node.node_id);
        }
    }

    /// Where a member is most likely, as `host:port`.
    pub fn address_of(&self, node: &QuorumNode) -> String {
        let places = self.places(node);
        places.first().map(|(host, port)| format_address(host, *port)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use raftsman_types::{DirectoryId, Uuid};

    use super::*;

    fn directory() -> Directory {
        let voter = |id| (BrokerId(id), (format!("host{id}"), 9093));
        let own =
            QuorumNode { node_id: BrokerId(1), directory_id: DirectoryId::ZERO, host: "host1".into(), port: 9093 };
        Directory {
            voters: [1, 2].map(voter).into(),
            bootstrap: Vec::new(),
            own,
            metadata_dir: PathBuf::new(),
            earlier_life: None,
            moved: RwLock::default(),
        }
    }

    fn node(id: i32, host: &str) -> QuorumNode {
        QuorumNode { node_id: BrokerId(id), directory_id: DirectoryId(Uuid([1; 16])), host: host.into(), port: 9093 }
    }

    #[test]
    fn a_member_is_looked_for_where_the_file_and_where_it_says_itself() {
        let directory = directory();
        let moved = node(2, "elsewhere");
        assert_eq!(directory.address_of(&moved), "host2:9093", "the file first");
        directory.not_at(&moved, "host2:9093");
        assert_eq!(directory.address_of(&moved), "elsewhere:9093");
        directory.not_at(&moved, "host2:9093");
        assert_eq!(directory.address_of(&moved), "elsewhere:9093", "a late failure at the old place says nothing new");
        directory.not_at(&moved, "elsewhere:9093");
        assert_eq!(directory.address_of(&moved), "host2:9093", "moved back");
    }

    #[test]
    fn who_has_one_address_is_looked_for_there() {
        let directory = directory();
        for (node, address) in [(node(2, "host2"), "host2:9093"), (node(7, "observer"), "observer:9093")] {
            directory.not_at(&node, address);
            assert_eq!(directory.address_of(&node), address);
            assert_eq!(directory.places(&node).len(), 1);
        }
    }
}
