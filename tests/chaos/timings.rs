//! How long clients wait for what the design promises about time. A benchmark that is run by hand, not a test: `cargo xtask
//! chaos --timings` prints the figures, over a release build, on a machine that has nothing else to do, and fails where an aim
//! is missed.

use std::time::{Duration, Instant};

use raftsman_client::{Client, NewTopic};
use raftsman_testkit::{ClusterOptions, NodeNetwork, ProcessCluster};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::aims::{Aim, Figures};
use crate::campaign::number;
use crate::fault::Target;
use crate::nemesis::Nemesis;
use crate::waiting::{last, until_some};
use crate::workload::{PARTITIONS, Rdkafka, TOPIC, Workload, impatient};

const PATIENCE: Duration = Duration::from_secs(90);
/// After a fault, before the next: leaders are back where they were, and clients know it.
const REST: Duration = Duration::from_secs(12);

/// A cluster with the topic, under librdkafka's idempotent producer.
struct Scene {
    runtime: Runtime,
    cluster: ProcessCluster,
    client: Client,
    random: StdRng,
    workload: Box<dyn Workload>,
}

impl Scene {
    fn set(options: &ClusterOptions, settings: &[&str]) -> Result<Scene, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let cluster = ProcessCluster::start(options);
        let bootstrap = cluster.bootstrap_servers();
        let client = Client::unconnected(&bootstrap, impatient()).map_err(|error| error.to_string())?;
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(3),
            ..NewTopic::default()
        };
        runtime.block_on(client.create_topic(&topic, false)).map_err(|error| error.to_string())?;
        let workload = Box::new(Rdkafka::start(&bootstrap, runtime.handle(), settings)?);
        workload.waits().wait_for_every_lane(PATIENCE)?;
        Ok(Scene { runtime, cluster, client, random: StdRng::seed_from_u64(1), workload })
    }

    fn nemesis(&mut self) -> Nemesis<'_> {
        Nemesis {
            cluster: &mut self.cluster,
            client: &self.client,
            runtime: self.runtime.handle(),
            random: &mut self.random,
        }
    }

    fn find(&mut self, target: Target) -> Result<i32, String> {
        let mut nemesis = self.nemesis();
        nemesis.wait_for_full_isr()?;
        nemesis.one(target)
    }

    /// From now until partition 0 has another leader than `old`, as some other node says it.
    fn time_to_new_leader(&self, old: i32) -> Result<Duration, String> {
        let begun = Instant::now();
        let others: Vec<String> = self
            .cluster
            .nodes
            .iter()
            .filter(|node| node.id != old)
            .map(|node| node.client_address.to_string())
            .collect();
        let other = Client::unconnected(&others.join(","), impatient()).map_err(|error| error.to_string())?;
        until_some("another leader", PATIENCE, || {
            let metadata = self.runtime.block_on(other.describe_topics(Some(&[TOPIC]))).ok()?;
            metadata.leader(TOPIC, 0).filter(|leader| *leader != old)
        })?;
        Ok(begun.elapsed())
    }

    /// Ends the clients; everything acked must be there.
    fn close(self) -> Result<(), String> {
        match self.workload.finish()?.failure() {
            None => Ok(()),
            Some(failure) => Err(failure),
        }
    }
}

/// Producers do not notice that a controller is gone whose node leads none of their partitions.
const UNNOTICED: Aim = Aim::Median(Duration::from_millis(100));

#[test]
#[ignore = "figures, not a test: cargo xtask chaos --timings"]
fn timings() {
    let rounds = number("RAFTSMAN_CHAOS_RUNS", 10);
    let mut figures = Figures::default();
    for measure in [stopped_leader, cut_off_leader, killed_controller] {
        if let Err(error) = measure(rounds, &mut figures) {
            figures.failed(error);
        }
    }
    assert!(figures.missed().is_empty(), "aims missed:\n{}", figures.missed().join("\n"));
}

/// SIGSTOP of a leader; the client gives a silent broker up after a second.
fn stopped_leader(rounds: u64, figures: &mut Figures) -> Result<(), String> {
    let mut scene = Scene::set(&ClusterOptions::default(), &["socket.timeout.ms=1000"])?;
    let (mut leaders, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let leader = scene.find(Target::Leader)?;
        let stopped = Instant::now();
        scene.cluster.node(leader).signal(Signal::STOP);
        leaders.push(scene.time_to_new_leader(leader)?);
        scene.workload.waits().wait_for_every_lane(PATIENCE)?;
        scene.cluster.node(leader).signal(Signal::CONT);
        clients.push(scene.workload.waits().longest_since(stopped));
        last(REST);
    }
    figures.add("stopped leader: until another leads", leaders, Aim::Longest(Duration::from_millis(1_500)));
    let what = "stopped leader: longest wait of a client with socket.timeout.ms=1000";
    figures.add(what, clients, Aim::Longest(Duration::from_secs(3)));
    scene.close()
}

/// A leader that its peers cannot hear, nor it them; clients in default settings stay connected to it.
fn cut_off_leader(rounds: u64, figures: &mut Figures) -> Result<(), String> {
    if let Some(missing) = NodeNetwork::what_is_missing() {
        return Err(missing);
    }
    let options = ClusterOptions { has_network: true, ..ClusterOptions::default() };
    let mut scene = Scene::set(&options, &[])?;
    let (mut leaders, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let leader = scene.find(Target::Leader)?;
        let network = scene.cluster.network.as_ref().ok_or("no network")?;
        let cut = Instant::now();
        for peer in (1..=3).filter(|id| *id != leader) {
            network.drop_packets(leader, peer);
            network.drop_packets(peer, leader);
        }
        let new_leader = scene.time_to_new_leader(leader)?;
        scene.workload.waits().wait_for_every_lane(PATIENCE)?;
        scene.cluster.network.as_ref().ok_or("no network")?.heal();
        leaders.push(new_leader);
        clients.push(scene.workload.waits().longest_since(cut));
        last(REST);
    }
    figures.add("leader cut off its peers: until another leads", leaders, Aim::None);
    let what = "leader cut off its peers: longest wait of a client in default settings";
    figures.add(what, clients, Aim::Longest(Duration::from_secs(3)));
    scene.close()
}

/// SIGKILL of the active controller.
fn killed_controller(rounds: u64, figures: &mut Figures) -> Result<(), String> {
    let mut scene = Scene::set(&ClusterOptions::default(), &[])?;
    let (mut creations, mut clients, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let controller = scene.find(Target::Controller)?;
        let metadata = scene.runtime.block_on(scene.client.describe_topics(Some(&[TOPIC])));
        let metadata = metadata.map_err(|error| error.to_string())?;
        let elsewhere: Vec<usize> =
            (0..PARTITIONS).filter(|p| metadata.leader(TOPIC, *p) != Some(controller)).map(|p| p as usize).collect();
        let survivors: Vec<String> = scene
            .cluster
            .nodes
            .iter()
            .filter(|node| node.id != controller)
            .map(|node| node.client_address.to_string())
            .collect();
        let admin = Client::unconnected(&survivors.join(","), impatient()).map_err(|error| error.to_string())?;
        // Two replicas: there are two brokers while it is away.
        let topic = NewTopic {
            name: format!("next-{round}"),
            partitions: Some(1),
            replication_factor: Some(2),
            ..NewTopic::default()
        };
        let killed = Instant::now();
        scene.cluster.node(controller).kill();
        scene.runtime.block_on(admin.create_topic(&topic, false)).map_err(|error| error.to_string())?;
        creations.push(killed.elapsed());
        scene.workload.waits().wait_for_every_lane(PATIENCE)?;
        clients.push(scene.workload.waits().longest_since(killed));
        // Nobody waits for nothing: that is no sample.
        if !elsewhere.is_empty() {
            others.push(scene.workload.waits().longest_in(&elsewhere, killed));
        }
        scene.cluster.node(controller).start();
        scene.nemesis().wait_for_full_isr()?;
        last(REST);
    }
    let what = "killed controller: until the next topic is created";
    figures.add(what, creations, Aim::Median(Duration::from_millis(300)));
    figures.add("killed controller: longest wait for an ack, partitions led elsewhere", others, UNNOTICED);
    figures.add("killed controller: longest wait for an ack, any partition", clients, Aim::None);
    scene.close()
}
