use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use raftsman_controller::decide::ClusterSettings;
use raftsman_controller::{
    Controller, ControllerConfig, ControllerHandle, ControllerHealth, DoorConfig, RaftTimings, StartError, Voter,
};
use raftsman_rpc::controller::controller_client::ControllerClient;
use raftsman_types::{BrokerId, DirectoryId, Uuid};
use tempfile::TempDir;
use tonic::transport::Channel;

/// Longer than anything here takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// One node of a test's quorum: its address, its disk and, while it runs, its controller.
pub struct Node {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
    disk: TempDir,
    pub directory_id: DirectoryId,
    listener: Option<TcpListener>,
    pub handle: Option<ControllerHandle>,
}

/// A test's controllers.
pub struct Quorum {
    pub nodes: Vec<Node>,
    pub timings: RaftTimings,
    pub door: DoorConfig,
}

/// An address that nobody else listens on, also while the node is down: a redial must be refused then.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{}", 1 + process % 250, 1 + (process / 250) % 250, 1 + next % 250)
}

pub fn fresh_directory_id() -> DirectoryId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let mut id = [3; 16];
    id[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    DirectoryId(Uuid(id))
}

impl Node {
    pub fn new(id: i32) -> Node {
        let host = own_address();
        let listener = TcpListener::bind((host.as_str(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        Node {
            id: BrokerId(id),
            host,
            port,
            disk: tempfile::tempdir().unwrap(),
            directory_id: fresh_directory_id(),
            listener: Some(listener),
            handle: None,
        }
    }

    pub fn metadata_dir(&self) -> PathBuf {
        self.disk.path().join("__cluster_metadata-0")
    }

    pub fn config(&self) -> ControllerConfig {
        ControllerConfig {
            node_id: self.id,
            voters: Vec::new(),
            bootstrap_servers: Vec::new(),
            advertised_host: self.host.clone(),
            advertised_port: self.port,
            metadata_dir: self.metadata_dir(),
            cluster_id: None,
            directory_id: self.directory_id,
            earlier_life: None,
            session_timeout_ms: 1000,
            defaults: ClusterSettings::default(),
            raft: RaftTimings::default(),
            door: DoorConfig::default(),
        }
    }

    pub fn try_start(&mut self, config: ControllerConfig) -> Result<(), StartError> {
        let listener =
            self.listener.take().unwrap_or_else(|| TcpListener::bind((self.host.as_str(), self.port)).unwrap());
        self.handle = Some(Controller::start(config, listener)?);
        Ok(())
    }

    pub fn stop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.shutdown();
        }
    }

    /// Gives a stopped node another address.
    pub fn move_to_another_address(&mut self) {
        assert!(self.handle.is_none(), "a running node stays where it is");
        self.host = own_address();
        let listener = TcpListener::bind((self.host.as_str(), 0)).unwrap();
        self.port = listener.local_addr().unwrap().port();
        self.listener = Some(listener);
    }

    /// The disk is lost: what comes back is an empty directory with another id.
    pub fn wipe(&mut self) {
        assert!(self.handle.is_none(), "a running node's disk stays");
        std::fs::remove_dir_all(self.metadata_dir()).unwrap();
        self.directory_id = fresh_directory_id();
    }

    pub fn health(&self) -> ControllerHealth {
        self.handle.as_ref().expect("the node runs").health()
    }

    /// Waits until the controller's health is as wanted.
    pub async fn until(&self, what: &str, wanted: impl FnMut(&ControllerHealth) -> bool) -> ControllerHealth {
        let mut health = self.handle.as_ref().expect("the node runs").watch_health();
        let reached = tokio::time::timeout(LIMIT, health.wait_for(wanted)).await;
        match reached {
            Ok(Ok(health)) => health.clone(),
            Ok(Err(_)) => panic!("controller {} ended before {what}", self.id),
            Err(_) => panic!("controller {} in {LIMIT:?} not {what}: {:?}", self.id, self.health()),
        }
    }

    pub async fn client(&self) -> ControllerClient<Channel> {
        ControllerClient::connect(format!("http://{}:{}", self.host, self.port)).await.unwrap()
    }
}

impl Quorum {
    /// Nodes that all list each other as voters; none runs yet.
    pub fn of(count: i32) -> Quorum {
        Quorum {
            nodes: (1..=count).map(Node::new).collect(),
            timings: RaftTimings::default(),
            door: DoorConfig::default(),
        }
    }

    pub fn config(&self, index: usize) -> ControllerConfig {
        let voters = self
            .nodes
            .iter()
            .map(|node| Voter { node_id: node.id, host: node.host.clone(), port: node.port })
            .collect();
        ControllerConfig { voters, raft: self.timings.clone(), door: self.door.clone(), ..self.nodes[index].config() }
    }

    pub fn start(&mut self, index: usize) {
        let config = self.config(index);
        self.nodes[index].try_start(config).unwrap();
    }

    pub async fn started(count: i32) -> Quorum {
        let mut quorum = Quorum::of(count);
        for index in 0..quorum.nodes.len() {
            quorum.start(index);
        }
        quorum.until_whole().await;
        quorum
    }

    /// Waits until every running node knows all of them as voters and sees the same active controller; returns that one's index.
    pub async fn until_whole(&self) -> usize {
        let count = self.nodes.len();
        for node in self.nodes.iter().filter(|node| node.handle.is_some()) {
            node.until("whole", |h| h.voters == count && h.learners == 0 && h.active_controller.is_some()).await;
        }
        self.active().await
    }

    /// Waits until one of the running nodes is active, and returns its index.
    pub async fn active(&self) -> usize {
        let waits = self.nodes.iter().enumerate().filter(|(_, node)| node.handle.is_some()).map(|(index, node)| {
            Box::pin(async move {
                node.until("active", |h| h.is_active).await;
                index
            })
        });
        futures::future::select_all(waits).await.0
    }
}
