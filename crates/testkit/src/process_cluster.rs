use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tempfile::TempDir;

use crate::disk_faults::FaultyDisk;
use crate::{NodeClock, NodeNetwork, ProcessNode, Tools};

/// How a test's cluster differs from `raftsman cluster`.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// How many nodes, each broker and controller; 3 if 0.
    pub nodes: usize,
    /// Settings of every node, over the defaults.
    pub settings: Vec<(String, String)>,
    /// Whether each node gets a network namespace of its own, which needs root ([`NodeNetwork::what_is_missing`]);
    /// otherwise it is a loopback address of its own.
    pub has_network: bool,
    /// The limit of open files of each node, if not this process's own.
    pub open_files: Option<u64>,
    /// Whether each node's wall clock can be moved ([`NodeClock::what_is_missing`]).
    pub has_clocks: bool,
    /// Whether each node's disk can be made to fail.
    pub has_faulty_disks: bool,
}

/// A cluster of `raftsman server` processes on loopback addresses of its own, with its data in a temporary folder.
///
/// Each node has its own 127.x.y.z: nobody else can take the port of a killed node, so that a redial is refused
/// as it would be on a machine of its own.
pub struct ProcessCluster {
    /// The nodes, in the order of their ids, which count from 1.
    pub nodes: Vec<ProcessNode>,
    /// The network between them, where they have one of their own.
    pub network: Option<NodeNetwork>,
    /// The wall clocks of the nodes, in the same order, where these can be moved.
    pub clocks: Vec<NodeClock>,
    /// The disks of the nodes, in the same order, where these can be made to fail.
    pub disks: Vec<FaultyDisk>,
    // Removed when the cluster is dropped.
    _data: TempDir,
}

impl ProcessCluster {
    /// Starts a cluster and waits until every node takes connections.
    ///
    /// # Panics
    /// When that takes more than half a minute.
    pub fn start(options: &ClusterOptions) -> ProcessCluster {
        let mut cluster = ProcessCluster::prepare(options);
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_listening(Duration::from_secs(30));
        cluster
    }

    /// Lays a cluster out without starting it.
    pub fn prepare(options: &ClusterOptions) -> ProcessCluster {
        let count = if options.nodes == 0 { 3 } else { options.nodes };
        let data = tempfile::Builder::new().prefix("raftsman-test-").tempdir().expect("a temporary folder can be made");
        let network =
            options.has_network.then(|| NodeNetwork::create(count).expect("root may make network namespaces"));
        let places = places(network.as_ref(), count);
        let voters: Vec<String> =
            places.iter().enumerate().map(|(i, (_, controller))| format!("{}@{controller}", i + 1)).collect();
        let mut nodes: Vec<ProcessNode> = places
            .iter()
            .enumerate()
            .map(|(i, (client, controller))| {
                let id = i as i32 + 1;
                let directory = data.path().join(format!("node-{id}"));
                let mut settings: Vec<(String, String)> = [
                    ("node.id", id.to_string()),
                    ("listeners", format!("PLAINTEXT://{client},CONTROLLER://{controller}")),
                    ("controller.quorum.voters", voters.join(",")),
                    ("log.dirs", directory.join("data").display().to_string()),
                    ("default.replication.factor", count.min(3).to_string()),
                    ("offsets.topic.replication.factor", count.min(3).to_string()),
                    ("min.insync.replicas", if count >= 3 { "2" } else { "1" }.to_string()),
                    ("num.network.threads", "1".to_string()),
                ]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
                settings.extend(options.settings.iter().cloned());
                ProcessNode::new(id, *client, directory, settings)
            })
            .collect();
        for node in &mut nodes {
            let entrance = network.as_ref().map(|network| network.entrance(node.id));
            let limit = options.open_files.map(|limit| ["prlimit".to_owned(), format!("--nofile={limit}:{limit}")]);
            let launcher: Vec<String> = entrance.into_iter().flatten().chain(limit.into_iter().flatten()).collect();
            node.launch_through(&launcher.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let clocks = match options.has_clocks {
            true => nodes.iter_mut().map(NodeClock::install).collect(),
            false => Vec::new(),
        };
        let disks = match options.has_faulty_disks {
            true => nodes.iter_mut().map(FaultyDisk::under).collect(),
            false => Vec::new(),
        };
        ProcessCluster { nodes, network, clocks, disks, _data: data }
    }

    /// What a client is given as `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|n| n.client_address.to_string()).collect();
        addresses.join(",")
    }

    /// SIGKILL of every node, before any of them can notice another's end.
    pub fn kill_all_at_once(&mut self) {
        for node in &self.nodes {
            node.signal(rustix::process::Signal::KILL);
        }
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Our own tools, set to talk to this cluster.
    pub fn tools(&self) -> Tools {
        Tools::at(self.bootstrap_servers())
    }

    /// The node of an id.
    ///
    /// # Panics
    /// When there is none.
    pub fn node(&mut self, id: i32) -> &mut ProcessNode {
        self.nodes.iter_mut().find(|n| n.id == id).expect("the node is one of the cluster's")
    }

    /// The disk of a node that was asked to have one which can be made to fail.
    pub fn disk(&self, id: i32) -> Option<&FaultyDisk> {
        let index = self.nodes.iter().position(|node| node.id == id)?;
        self.disks.get(index)
    }

    /// Waits until every node takes connections.
    ///
    /// # Panics
    /// When one does not within `at_most`, or has ended.
    pub fn wait_until_listening(&mut self, at_most: Duration) {
        for node in &mut self.nodes {
            let address = node.client_address;
            crate::wait_until(&format!("node {} to listen", node.id), at_most, || {
                assert!(node.is_running(), "node {} ended instead of listening", node.id);
                std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
            });
        }
    }
}

/// The client's and the controller's address of each node.
fn places(network: Option<&NodeNetwork>, count: usize) -> Vec<(SocketAddr, SocketAddr)> {
    let loopback = loopback_network();
    let place = |i: usize| match network {
        Some(network) => {
            // Nobody else lives in the node's namespace: any port is free.
            let address = |port| SocketAddr::from((network.address(i as i32), port));
            (address(19_092), address(19_093))
        }
        None => {
            let host = Ipv4Addr::new(127, loopback.0, loopback.1, i as u8);
            (free_port(host), free_port(host))
        }
    };
    (1..=count).map(place).collect()
}

/// Two bytes that make this test's loopback network unlike that of any other test at this moment.
fn loopback_network() -> (u8, u8) {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mixed = std::process::id().wrapping_mul(2_654_435_761).wrapping_add(count.wrapping_mul(40_503));
    let [a, b, ..] = mixed.to_be_bytes();
    // 127.0.x.y is where everything else on a machine lives.
    (a.max(1), b)
}

/// A port of a loopback address that nobody listens at.
///
/// # Panics
/// When there is none.
pub fn free_port(host: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((IpAddr::V4(host), 0)).expect("a loopback address has a free port");
    listener.local_addr().expect("a bound listener has an address")
}
