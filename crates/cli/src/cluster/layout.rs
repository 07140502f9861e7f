use std::net::SocketAddr;
use std::path::PathBuf;

/// Where one node of a cluster on this machine is to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where clients and other brokers reach it.
    pub clients: SocketAddr,
    /// Where controllers reach it.
    pub controller: SocketAddr,
    /// The folder of its data and its log.
    pub directory: PathBuf,
}

/// One node: its place and everything it is told by `--override`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLayout {
    /// Its `node.id`.
    pub id: i32,
    /// Where it lives.
    pub place: Place,
    /// Kafka's keys and values.
    pub settings: Vec<(String, String)>,
}

impl NodeLayout {
    /// What the node prints goes here.
    pub fn log_file(&self) -> PathBuf {
        self.place.directory.join("raftsman.log")
    }
}

/// Lays out a cluster whose nodes are all broker and controller, with ids from 1.
///
/// From three nodes on everything has three replicas, of which two must be in sync; with fewer nodes a killed one
/// could not be done without anyway, and there is one replica. `overrides` come last, so that they win.
pub fn lay_out(places: Vec<Place>, overrides: &[(String, String)]) -> Vec<NodeLayout> {
    let voters: Vec<String> = places.iter().zip(1..).map(|(place, id)| format!("{id}@{}", place.controller)).collect();
    let voters = voters.join(",");
    let is_replicated = places.len() >= 3;
    let (replicas, in_sync) = if is_replicated { ("3", "2") } else { ("1", "1") };
    let layout = |(place, id): (Place, i32)| {
        let settings = [
            ("node.id", id.to_string()),
            ("listeners", format!("PLAINTEXT://{},CONTROLLER://{}", place.clients, place.controller)),
            ("controller.quorum.voters", voters.clone()),
            ("log.dirs", place.directory.join("data").display().to_string()),
            ("default.replication.factor", replicas.to_owned()),
            ("min.insync.replicas", in_sync.to_owned()),
            ("offsets.topic.replication.factor", replicas.to_owned()),
            // A first consumer should not wait for others that will not come.
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ];
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value));
        let settings = settings.chain(overrides.iter().cloned()).collect();
        NodeLayout { id, place, settings }
    };
    places.into_iter().zip(1..).map(layout).collect()
}

/// What a client is given as `bootstrap.servers`.
pub fn bootstrap_servers(nodes: &[NodeLayout]) -> String {
    let addresses: Vec<String> = nodes.iter().map(|node| node.place.clients.to_string()).collect();
    addresses.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(count: u16) -> Vec<Place> {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        (0..count)
            .map(|i| Place {
                clients: address(9092 + i),
                controller: address(10_092 + i),
                directory: PathBuf::from(format!("d/node-{}", i + 1)),
            })
            .collect()
    }

    fn setting<'a>(node: &'a NodeLayout, key: &str) -> &'a str {
        &node.settings.iter().rfind(|(k, _)| *k == key).unwrap().1
    }

    #[test]
    fn every_node_knows_all_voters_and_has_a_place_of_its_own() {
        let nodes = lay_out(places(3), &[]);
        assert_eq!(bootstrap_servers(&nodes), "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094");
        for node in &nodes {
            let voters = "1@127.0.0.1:10092,2@127.0.0.1:10093,3@127.0.0.1:10094";
            assert_eq!(setting(node, "controller.quorum.voters"), voters);
            assert_eq!(setting(node, "offsets.topic.replication.factor"), "3");
            assert_eq!(setting(node, "min.insync.replicas"), "2");
        }
        assert_eq!(setting(&nodes[1], "node.id"), "2");
        assert_eq!(setting(&nodes[1], "log.dirs"), "d/node-2/data");
        assert_eq!(setting(&nodes[1], "listeners"), "PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:10093");
        assert_eq!(nodes[1].log_file(), PathBuf::from("d/node-2/raftsman.log"));
    }

    #[test]
    fn two_nodes_do_not_pretend_to_replicate() {
        let overrides = [("num.partitions".to_owned(), "4".to_owned())];
        for node in lay_out(places(2), &overrides) {
            assert_eq!(setting(&node, "num.partitions"), "4");
            assert_eq!(setting(&node, "default.replication.factor"), "1");
            assert_eq!(setting(&node, "offsets.topic.replication.factor"), "1");
            assert_eq!(setting(&node, "min.insync.replicas"), "1");
        }
    }
}
