//! Carries a fault out, and undoes it.

mod disk;

use std::net::TcpStream;
use std::time::Duration;

use raftsman_client::Client;
use raftsman_testkit::ProcessCluster;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rustix::process::Signal;
use tokio::runtime::Handle;

use crate::fault::{Cut, Fault, Target};
use crate::waiting::{last, until, until_some};
use crate::workload::{GROUP, TOPIC};

const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that come at once, more than a node may open files.
const CONNECTIONS: usize = 300;

/// Who does the harm.
pub struct Nemesis<'a> {
    pub cluster: &'a mut ProcessCluster,
    pub client: &'a Client,
    pub runtime: &'a Handle,
    pub random: &'a mut StdRng,
}

impl Nemesis<'_> {
    /// Does a fault to the cluster, lets it last, and undoes it. Answers what was done, for whoever reads of a failure.
    ///
    /// # Errors
    /// The cluster is not in a state to do it to.
    pub fn strike(&mut self, fault: Fault) -> Result<String, String> {
        match fault {
            Fault::Kill(target) => {
                let nodes = self.nodes(target)?;
                let dead = self.duration(0..2_500);
                self.signal(&nodes, Signal::KILL);
                for id in &nodes {
                    self.cluster.node(*id).kill();
                }
                last(dead);
                for id in &nodes {
                    self.cluster.node(*id).start();
                }
                Ok(format!("killed {nodes:?}, started again after {dead:?}"))
            }
            Fault::Stop(target) => {
                let nodes = self.nodes(target)?;
                let stopped = self.duration(500..5_000);
                self.signal(&nodes, Signal::STOP);
                last(stopped);
                self.signal(&nodes, Signal::CONT);
                Ok(format!("stopped {nodes:?} for {stopped:?}"))
            }
            Fault::Cut(cut, target) => self.cut(cut, target),
            Fault::OpenFiles => self.connect_often(),
            Fault::Clock(seconds, target) => self.shift_clock(seconds, target),
            Fault::RollingRestart => self.restart_in_turn(),
            Fault::Disk(fault, target) => self.break_disk(fault, target),
        }
    }

    fn cut(&mut self, cut: Cut, target: Target) -> Result<String, String> {
        let all: Vec<i32> = self.cluster.nodes.iter().map(|node| node.id).collect();
        let target = if cut == Cut::EachOther { all[0] } else { self.one(target)? };
        let peers: Vec<i32> = all.iter().copied().filter(|id| *id != target).collect();
        let peer = *peers.choose(self.random).ok_or("a node has no peers")?;
        let long = self.duration(1_500..6_000);
        let network = self.cluster.network.as_ref().ok_or("the nodes have no network of their own")?;
        for other in &peers {
            let (to, from) = match cut {
                Cut::FromPeers | Cut::FromEverybody => (true, true),
                Cut::Outgoing => (true, false),
                Cut::Incoming => (false, true),
                Cut::OneLink => (*other == peer, *other == peer),
                Cut::EachOther => (true, true),
            };
            if to {
                network.drop_packets(target, *other);
            }
            if from {
                network.drop_packets(*other, target);
            }
        }
        if cut == Cut::EachOther {
            network.drop_packets(peers[0], peers[1]);
            network.drop_packets(peers[1], peers[0]);
        }
        if cut == Cut::FromEverybody {
            network.drop_clients(target);
        }
        last(long);
        network.heal();
        Ok(format!("{cut:?} of node {target} (peer {peer}) for {long:?}"))
    }

    fn connect_often(&mut self) -> Result<String, String> {
        let target = self.one(Target::Leader)?;
        let long = self.duration(1_000..4_000);
        let address = self.cluster.node(target).client_address;
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(500)).ok();
        let connections: Vec<TcpStream> = (0..CONNECTIONS).filter_map(connect).collect();
        last(long);
        Ok(format!("{} connections to node {target} for {long:?}", connections.len()))
    }

    fn shift_clock(&mut self, seconds: i64, target: Target) -> Result<String, String> {
        let target = self.one(target)?;
        let long = self.duration(2_000..5_000);
        let clock = self.cluster.clocks.get(target as usize - 1).ok_or("the nodes have no clocks of their own")?;
        clock.shift(seconds);
        last(long);
        clock.shift(0);
        // The node looks once a second.
        last(Duration::from_millis(1_200));
        Ok(format!("clock of node {target} off by {seconds} s for {long:?}"))
    }

    fn restart_in_turn(&mut self) -> Result<String, String> {
        let ids: Vec<i32> = self.cluster.nodes.iter().map(|node| node.id).collect();
        for id in &ids {
            self.cluster.node(*id).stop(PATIENCE);
            self.cluster.node(*id).start();
            self.wait_for_full_isr()?;
        }
        Ok(format!("restarted {ids:?}"))
    }

    /// Waits until every replica of the topic is in sync.
    ///
    /// # Errors
    /// One is not within a minute.
    pub fn wait_for_full_isr(&self) -> Result<(), String> {
        until("every replica to be in sync", PATIENCE, || {
            let described = self.runtime.block_on(self.client.describe_topics(Some(&[TOPIC])));
            let is_full = |metadata: raftsman_client::Metadata| {
                let topic = metadata.topics.get(TOPIC)?;
                let full = topic.partitions.iter().all(|p| p.isr.len() == 3 && p.leader.is_some());
                Some(full && !topic.partitions.is_empty())
            };
            described.ok().and_then(is_full).unwrap_or(false)
        })
    }

    fn signal(&self, nodes: &[i32], signal: Signal) {
        for node in self.cluster.nodes.iter().filter(|node| nodes.contains(&node.id)) {
            node.signal(signal);
        }
    }

    fn duration(&mut self, milliseconds: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(milliseconds))
    }

    fn nodes(&mut self, target: Target) -> Result<Vec<i32>, String> {
        match target {
            Target::All => Ok(self.cluster.nodes.iter().map(|node| node.id).collect()),
            one => Ok(vec![self.one(one)?]),
        }
    }

    /// Who is what at the moment, for whoever reads how long clients waited.
    /// The coordinator is asked for where there is a group only: the question makes its topic.
    pub fn roles(&self, with_group: bool) -> String {
        let described = self.runtime.block_on(self.client.describe_topics(Some(&[TOPIC])));
        let leaders = described.ok().and_then(|metadata| {
            Some(metadata.topics.get(TOPIC)?.partitions.iter().map(|p| p.leader).collect::<Vec<_>>())
        });
        let controller = self.cluster.tools().active_controller().ok();
        let coordinator =
            with_group.then(|| self.runtime.block_on(self.client.group_coordinator(GROUP)).ok()).flatten();
        format!("leaders {leaders:?}, controller {controller:?}, coordinator {coordinator:?}")
    }

    /// The node that a target is at the moment.
    ///
    /// # Errors
    /// Nobody is it for a minute, or every node is.
    pub fn one(&mut self, target: Target) -> Result<i32, String> {
        match target {
            Target::Leader => self.leader(),
            Target::Follower => {
                let leader = self.leader()?;
                let followers: Vec<i32> = self.cluster.nodes.iter().map(|n| n.id).filter(|id| *id != leader).collect();
                followers.choose(self.random).copied().ok_or_else(|| "a leader has no followers".to_owned())
            }
            Target::Controller => {
                let tools = self.cluster.tools();
                until_some("an active controller", PATIENCE, || tools.active_controller().ok())
            }
            Target::Coordinator => until_some("the group's coordinator", PATIENCE, || {
                self.runtime.block_on(self.client.group_coordinator(GROUP)).ok()
            }),
            Target::All => Err("every node is not one node".to_owned()),
        }
    }

    fn leader(&self) -> Result<i32, String> {
        until_some("a leader of partition 0", PATIENCE, || {
            let metadata = self.runtime.block_on(self.client.describe_topics(Some(&[TOPIC])));
            metadata.ok()?.leader(TOPIC, 0)
        })
    }
}
