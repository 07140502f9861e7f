//! One fault under one workload.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientOptions, NewTopic};
use raftsman_testkit::ProcessCluster;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;

use crate::fault::Fault;
use crate::nemesis::Nemesis;
use crate::waiting::until;
use crate::workload::{self, Judgement, PARTITIONS, TOPIC, Workload, impatient};

/// How long a client may stand still after a fault is over, before that counts as a failure of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the fault comes back in one run.
const STRIKES: usize = 2;

/// A cell of the matrix, and the seed of its choices.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub fault: Fault,
    pub workload: &'static str,
    pub seed: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    pub judgement: Judgement,
    /// The longest that any client waited, for each time the fault struck.
    pub waits: Vec<Duration>,
    /// What was done to the cluster.
    pub story: Vec<String>,
}

impl Run {
    /// Runs it. What is needed to look for the cause of a failure is kept below `target/chaos`.
    ///
    /// # Errors
    /// What went wrong: a client saw what it must not see, or stood still.
    ///
    /// # Panics
    /// When the cluster does not start.
    pub fn execute(self) -> Result<Report, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let mut cluster = ProcessCluster::start(&self.fault.cluster());
        let report = self.execute_on(&mut cluster, &runtime);
        let failure = match &report {
            Err(error) => Some((error.clone(), String::new())),
            Ok(report) => report.judgement.failure().map(|failure| (failure, report.judgement.evidence.clone())),
        };
        match failure {
            None => report,
            Some((failure, evidence)) => {
                let kept = self.keep(&cluster, &format!("{failure}\n\n{report:#?}\n\n{evidence}"));
                Err(format!("{failure} (kept in {})", kept.display()))
            }
        }
    }

    fn execute_on(&self, cluster: &mut ProcessCluster, runtime: &Runtime) -> Result<Report, String> {
        let bootstrap = cluster.bootstrap_servers();
        let client = runtime.block_on(Client::connect(&bootstrap, ClientOptions::default()));
        let client = client.map_err(|error| error.to_string())?;
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(3),
            ..NewTopic::default()
        };
        runtime.block_on(client.create_topic(&topic, false)).map_err(|error| error.to_string())?;
        // Clients end at a topic that the server they ask has not heard of yet.
        for server in bootstrap.split(',') {
            let client = Client::unconnected(server, impatient()).map_err(|error| error.to_string())?;
            until("every node to know the topic", PATIENCE, || runtime.block_on(client.topic(TOPIC)).is_ok())?;
        }
        let workload = workload::start(self.workload, &bootstrap, runtime.handle())?;
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut story = Vec::new();
        let watcher = Client::unconnected(&bootstrap, impatient()).map_err(|error| error.to_string())?;
        let mut nemesis = Nemesis { cluster, client: &watcher, runtime: runtime.handle(), random: &mut random };
        let waits = match self.strike(&mut nemesis, &*workload, &mut story) {
            Ok(waits) => waits,
            // Clients that stand still may have ended, and then say why.
            Err(stuck) => {
                let why = workload.finish().map(|judgement| judgement.failure());
                return Err(format!("{stuck} after {story:?}; {why:?}"));
            }
        };
        let judgement = workload.finish().map_err(|error| format!("{error} after {story:?}"))?;
        // Built for debugging a node may outlive it; the released program ends there.
        if let Some(node) = cluster.nodes.iter().find(|node| node.output().contains("panicked at")) {
            return Err(format!("node {} panicked after {story:?}", node.id));
        }
        Ok(Report { judgement, waits, story })
    }

    /// Strikes, and waits each time until clients and replicas have recovered.
    fn strike(
        &self,
        nemesis: &mut Nemesis<'_>,
        workload: &dyn Workload,
        story: &mut Vec<String>,
    ) -> Result<Vec<Duration>, String> {
        workload.waits().wait_for_every_lane(PATIENCE)?;
        let mut waits = Vec::new();
        for _ in 0..STRIKES {
            nemesis.wait_for_full_isr()?;
            let struck = Instant::now();
            let roles = nemesis.roles(self.workload == "group");
            story.push(format!("{} ({roles})", nemesis.strike(self.fault)?));
            workload.waits().wait_for_every_lane(PATIENCE)?;
            waits.push(workload.waits().longest_since(struck));
            story.push(format!("waits by lane {:?}", workload.waits().by_lane_since(struck)));
            nemesis.wait_for_full_isr()?;
        }
        Ok(waits)
    }

    /// The command that runs it again.
    pub fn command(&self) -> String {
        format!("cargo xtask chaos --fault {} --workload {} --seed {}", self.fault.name(), self.workload, self.seed)
    }

    fn keep(&self, cluster: &ProcessCluster, text: &str) -> PathBuf {
        let target = std::env::var("CARGO_TARGET_DIR")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../target").into());
        let name = format!("{}-{}-{}", self.fault.name(), self.workload, self.seed);
        let folder = PathBuf::from(target).join("chaos").join(name);
        let kept = std::fs::create_dir_all(&folder).and_then(|()| {
            std::fs::write(folder.join("report.txt"), text)?;
            for node in &cluster.nodes {
                std::fs::write(folder.join(format!("node-{}.log", node.id)), node.output())?;
            }
            Ok(())
        });
        if let Err(error) = kept {
            eprintln!("{}: {error}", folder.display());
        }
        folder
    }
}
