use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use raftsman_client::{Client, ClientOptions, NewTopic};
use raftsman_testkit::power::{Boot, LoopDisk, Shelf, freeze};
use raftsman_testkit::{ClusterOptions, ProcessCluster, wait_until};
use tokio::runtime::Runtime;

use super::leftovers::Leftovers;

const DISK_BYTES: u64 = 512 << 20;
const PATIENCE: Duration = Duration::from_secs(120);

/// Three nodes, each with all its data on a disk whose power can be cut.
pub struct Rig {
    // The order matters when it is dropped: first the processes, then their disks, then where these are mounted.
    pub cluster: ProcessCluster,
    pub durability: String,
    disks: Vec<LoopDisk>,
    shelf: Shelf,
    runtime: Runtime,
}

impl Rig {
    /// Starts the cluster; `durability` is its `log.durability`.
    pub fn start(durability: &str) -> Rig {
        let shelf = Shelf::new();
        let settings = [
            ("log.durability", durability),
            // Small, so that cuts hit rolled segments, checkpoints and the files beside the log as well.
            ("log.segment.bytes", "1048576"),
            ("offsets.topic.num.partitions", "3"),
            // Cleaner and retention are at work all the time.
            ("log.cleaner.backoff.ms", "20"),
            ("log.retention.check.interval.ms", "50"),
            // The disks are small, and every trial deletes its topics.
            ("log.segment.delete.delay.ms", "1000"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let mut cluster = ProcessCluster::prepare(&ClusterOptions { settings, ..Default::default() });
        let disks: Vec<LoopDisk> =
            cluster.nodes.iter().map(|node| shelf.disk(&format!("node-{}", node.id), DISK_BYTES)).collect();
        for (node, disk) in cluster.nodes.iter_mut().zip(&disks) {
            node.set("log.dirs", &disk.path().join("data").display().to_string());
            Boot::new(shelf.outside()).carries(node);
            node.start();
        }
        cluster.wait_until_listening(PATIENCE);
        let runtime = Runtime::new().expect("a runtime can be made");
        let rig = Rig { cluster, durability: durability.to_owned(), disks, shelf, runtime };
        // Who listens need not be registered yet: a topic with a replica on each could not be made.
        wait_until("all brokers to be known", PATIENCE, || {
            let described = rig.runtime.block_on(async { rig.client().await?.describe_topics(Some(&[])).await });
            described.is_ok_and(|metadata| metadata.brokers.len() == rig.disks.len())
        });
        rig
    }

    /// Cuts the power of nodes, by their place in the cluster, all at once.
    ///
    /// Their processes stand still by then, though flushes may be under way in the kernel: a machine without power answers
    /// nobody. (If they ran on they could even be told that a flush succeeded whose file's new length never reached the
    /// journal, for ext4 says so while it is being shut down.)
    pub fn cut(&mut self, nodes: &[usize]) {
        let process_id = |at: &usize| self.cluster.nodes[*at].process_id().expect("the node runs");
        nodes.iter().for_each(|at| freeze(process_id(at)));
        nodes.iter().for_each(|at| self.disks[*at].cut());
        nodes.iter().for_each(|at| self.cluster.nodes[*at].kill());
    }

    /// Power is back: the machines boot anew, and their nodes start. What their disks were found with in between.
    pub fn power_on(&mut self, nodes: &[usize]) -> Leftovers {
        let mut leftovers = Leftovers::default();
        for at in nodes {
            self.disks[*at].power_on();
            leftovers.count(&self.data_of(*at));
            Boot::new(self.shelf.outside()).carries(&mut self.cluster.nodes[*at]);
            self.cluster.nodes[*at].start();
        }
        self.cluster.wait_until_listening(PATIENCE);
        leftovers
    }

    /// The log directory of a node, by its place in the cluster.
    pub fn data_of(&self, at: usize) -> PathBuf {
        self.disks[at].path().join("data")
    }

    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions: Some(partitions), configs, ..Default::default() };
        let created = self.runtime.block_on(async { self.client().await?.create_topic(&topic, false).await });
        created.expect("a topic can be created");
    }

    pub fn delete_topic(&self, name: &str) {
        let deleted = self.runtime.block_on(async { self.client().await?.delete_topic(name).await });
        deleted.expect("a topic can be deleted");
    }

    /// Waits until every replica of a topic is in sync.
    pub fn wait_until_in_sync(&self, topic: &str) {
        wait_until(&format!("all replicas of {topic} to be in sync"), PATIENCE, || {
            let described = self.runtime.block_on(async { self.client().await?.describe_topics(Some(&[topic])).await });
            let Ok(metadata) = described else { return false };
            let Some(topic) = metadata.topics.get(topic) else { return false };
            topic.partitions.iter().all(|p| p.isr.len() == self.disks.len())
        });
    }

    /// Copies what the nodes printed and have on their disks, where `RAFTSMAN_POWER_CUT_EVIDENCE` names a folder for it.
    pub fn keep_evidence(&self, name: &str) {
        let Some(folder) = std::env::var_os("RAFTSMAN_POWER_CUT_EVIDENCE") else { return };
        let folder = Path::new(&folder).join(format!("{}-{name}", self.durability));
        std::fs::create_dir_all(&folder).expect("the folder for evidence can be made");
        for (node, disk) in self.cluster.nodes.iter().zip(&self.disks) {
            let place = folder.join(format!("node-{}", node.id));
            let copied = Command::new("cp").arg("-r").args([disk.path(), &place]).status();
            assert!(copied.is_ok_and(|status| status.success()), "{} cannot be written", place.display());
            std::fs::write(place.join("output.log"), node.output()).expect("evidence can be written");
        }
    }

    async fn client(&self) -> Result<Client, raftsman_client::ClientError> {
        Client::connect(&self.cluster.bootstrap_servers(), ClientOptions::default()).await
    }
}
