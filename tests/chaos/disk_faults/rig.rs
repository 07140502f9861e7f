use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientError, ClientOptions, Metadata, NewTopic};
use raftsman_testkit::disk_faults::FaultyDisk;
use raftsman_testkit::{ClusterOptions, Load, LoadOptions, ProcessCluster, wait_until, wait_until_some};
use raftsman_types::ErrorCode;
use tokio::runtime::Runtime;

pub const PATIENCE: Duration = Duration::from_secs(120);
const TOPIC: &str = "orders";
/// A partition is led by each node.
const PARTITIONS: i32 = 3;

/// Three nodes on disks that can be made to fail, and a load on all of them.
pub struct Rig {
    pub cluster: ProcessCluster,
    load: Option<Load>,
    runtime: Runtime,
}

impl Rig {
    /// Starts the cluster and the load; `prepare` may change the nodes before.
    pub fn start(prepare: impl FnOnce(&mut ProcessCluster)) -> Rig {
        let settings = vec![("offsets.topic.num.partitions".to_owned(), "1".to_owned())];
        let options = ClusterOptions { settings, has_faulty_disks: true, ..Default::default() };
        let mut cluster = ProcessCluster::prepare(&options);
        prepare(&mut cluster);
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_listening(PATIENCE);
        let mut rig = Rig { cluster, load: None, runtime: Runtime::new().expect("a runtime can be made") };
        rig.create_topic(TOPIC);
        let load = Load::start(&rig.cluster.bootstrap_servers(), LoadOptions::new(TOPIC, PARTITIONS));
        load.wait_for_acks(300, PATIENCE);
        rig.load = Some(load);
        rig
    }

    /// The disk of a node, by the node's id.
    pub fn disk(&self, node: i32) -> &FaultyDisk {
        self.cluster.disk(node).expect("every node's disk can be made to fail")
    }

    /// Creates a topic with a partition led by each node, and says how long that took.
    pub fn create_topic(&self, name: &str) -> Duration {
        let assignments = vec![vec![1, 2, 3], vec![2, 3, 1], vec![3, 1, 2]];
        let topic = NewTopic { name: name.to_owned(), assignments, ..Default::default() };
        let started = Instant::now();
        let mut may_be_there = false;
        wait_until(&format!("topic {name} to be created"), PATIENCE, || {
            match self.ask(async |client| client.create_topic(&topic, false).await) {
                Ok(()) => true,
                Err(ClientError::Server { code: ErrorCode::TopicAlreadyExists, .. }) if may_be_there => true,
                Err(ClientError::Server { code: ErrorCode::RequestTimedOut, .. }) => {
                    may_be_there = true;
                    false
                }
                // A node that ends for want of its disk hangs up on whom it was to answer.
                Err(
                    ClientError::Connection { .. } | ClientError::Unreachable { .. } | ClientError::TimedOut { .. },
                ) => {
                    may_be_there = true;
                    false
                }
                Err(error) => panic!("topic {name} cannot be created: {error}"),
            }
        });
        started.elapsed()
    }

    /// Who leads a partition of the load's topic.
    pub fn leader(&self, partition: i32) -> i32 {
        wait_until_some("a leader", PATIENCE, || self.described()?.leader(TOPIC, partition))
    }

    /// Waits until a node leads nothing of the topic and nobody counts on it.
    pub fn wait_until_relieved(&self, node: i32) {
        wait_until(&format!("node {node} to be relieved"), PATIENCE, || self.is_relieved(node));
    }

    /// Waits until all partitions of a topic are led by others.
    pub fn wait_until_leads_nothing_of(&self, topic: &str, node: i32) {
        wait_until(&format!("node {node} to lead nothing of {topic}"), PATIENCE, || {
            let described = self.ask(async |client| client.describe_topics(Some(&[topic])).await).ok();
            let topic = described.and_then(|metadata| metadata.topics.get(topic).cloned());
            topic.is_some_and(|topic| {
                let by_another = |leader: Option<i32>| leader.is_some_and(|id| id != node);
                topic.partitions.len() == PARTITIONS as usize && topic.partitions.iter().all(|p| by_another(p.leader))
            })
        });
    }

    /// The same, while topics are created: a store on a full disk fails when it needs a block more, not before.
    pub fn wait_until_relieved_by_new_topics(&self, node: i32) {
        let mut created = 0;
        wait_until(&format!("node {node} to be relieved"), PATIENCE, || {
            self.is_relieved(node) || {
                self.create_topic(&format!("one-more-{created}"));
                created += 1;
                false
            }
        });
    }

    fn is_relieved(&self, node: i32) -> bool {
        let partitions = |metadata: Metadata| {
            metadata.topics.get(TOPIC).is_some_and(|topic| {
                topic.partitions.len() == PARTITIONS as usize
                    && topic.partitions.iter().all(|p| p.leader.is_some_and(|id| id != node) && !p.isr.contains(&node))
            })
        };
        self.described().is_some_and(partitions)
    }

    /// Waits until no leader counts on a node, whatever that leads itself.
    pub fn wait_until_out_of_isrs(&self, node: i32) {
        wait_until(&format!("node {node} to leave the ISRs of others"), PATIENCE, || {
            self.described().is_some_and(|metadata| {
                metadata.topics.get(TOPIC).is_some_and(|topic| {
                    let mut led = topic.partitions.iter().filter(|p| p.leader.is_some_and(|id| id != node)).peekable();
                    led.peek().is_some() && led.all(|p| !p.isr.contains(&node))
                })
            })
        });
    }

    /// Waits until a node answers a client that wants nothing of its disk.
    pub fn wait_until_served(&mut self, node: i32) {
        let address = self.cluster.node(node).client_address;
        wait_until(&format!("node {node} to answer"), PATIENCE, || is_answered(address).unwrap_or(false));
    }

    /// Waits until every replica is in sync.
    pub fn wait_until_in_sync(&self) {
        wait_until("all replicas to be in sync", PATIENCE, || self.is_in_sync());
    }

    pub fn is_in_sync(&self) -> bool {
        let all = |metadata: Metadata| {
            metadata.topics.get(TOPIC).is_some_and(|topic| {
                topic.partitions.len() == PARTITIONS as usize && topic.partitions.iter().all(|p| p.isr.len() == 3)
            })
        };
        self.described().is_some_and(all)
    }

    /// Waits for acks on the load, so many of them that every partition must have some.
    pub fn wait_for_acks(&self) {
        self.load.as_ref().expect("the load runs").wait_for_acks(500, PATIENCE);
    }

    /// Ends the load, and checks that every record was acknowledged and is there, once and in order. Returns how long
    /// a partition waited for an ack at the most.
    pub fn finish(mut self) -> Duration {
        let (report, found) = self.load.take().expect("the load runs").stop_and_read();
        assert_eq!(report.given_up, Vec::<String>::new(), "every record is acknowledged in the end");
        let verdict = report.history.judge(&found);
        assert!(verdict.is_clean(), "of {} acked: {verdict}", report.history.len());
        report.longest_wait
    }

    fn described(&self) -> Option<Metadata> {
        self.ask(async |client| client.describe_topics(Some(&[TOPIC])).await).ok()
    }

    fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let bootstrap = self.cluster.bootstrap_servers();
        self.runtime.block_on(async {
            let client = Client::connect(&bootstrap, ClientOptions::default()).await?;
            question(&client).await
        })
    }
}

/// Asks for a broker's API versions on a connection of its own.
fn is_answered(address: SocketAddr) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    // Length, api key 18 in version 0, correlation id 7, no client id.
    socket.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])?;
    let mut answer = [0; 8];
    socket.read_exact(&mut answer)?;
    Ok(answer[4..] == [0, 0, 0, 7])
}
