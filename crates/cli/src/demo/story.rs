use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientError, ClientOptions, NewTopic};
use tokio::task::JoinSet;

use super::kill_choice::{KillKind, choose, leading};
use super::load::Load;
use super::progress::SharedProgress;
use super::reader::{follow, read_back};
use super::recovery::{Gaps, Recovery};
use super::report::{KillReport, Report};
use super::screen::Screen;
use super::tamper::{Tamper, alter};
use super::topic_state::{PartitionState, affected_by, judge_settled, states_of};
use crate::cluster::{Node, ask_each, bootstrap_servers, check_alive, client_of, judge, wait_until_ready};

/// The topic that everything goes through.
const TOPIC: &str = "demo";
const REPLICATION_FACTOR: i16 = 3;
/// How long anything of the cluster may take before the demo says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a state that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Clients look for a new leader this often: the gap shown is to be the cluster's and not that of a client's patience.
const RETRY_BACKOFF: Duration = Duration::from_millis(10);
/// How long a killed node stays away at least, so that the others are seen to go on.
const AWAY: Duration = Duration::from_secs(1);

/// What a demo does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many nodes are killed, one after the other.
    pub kills: usize,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Records a second over all partitions.
    pub rate: u32,
    /// How long all goes well before each kill and in the end.
    pub calm: Duration,
    /// The fault to put into what is read back.
    pub tamper: Option<Tamper>,
}

/// A cluster in which all is well.
struct Settled {
    partitions: Vec<PartitionState>,
    controller: i32,
}

/// The demo as it is played.
pub struct Story {
    plan: Plan,
    nodes: Vec<Node>,
    topic: Arc<str>,
    screen: Screen,
    progress: SharedProgress,
}

impl Story {
    /// A story on nodes that are not started yet.
    pub fn new(plan: Plan, nodes: Vec<Node>, screen: Screen) -> Story {
        let progress = SharedProgress::new(Instant::now());
        Story { plan, nodes, topic: Arc::from(TOPIC), screen, progress }
    }

    /// Plays it from the start of the nodes to the table.
    ///
    /// # Errors
    /// One line about what could not be done.
    pub async fn play(&mut self) -> Result<Report, String> {
        self.start_nodes().await?;
        let client = self.client("demo-producer")?;
        self.create_topic(&client).await?;
        self.progress.lock().started = Instant::now();
        // Aborted when this function ends, however it does.
        let mut background = JoinSet::new();
        let show = background.spawn(self.screen.show(self.progress.clone()));
        let reading = self.client("demo-consumer")?;
        let partitions = self.plan.partitions;
        background.spawn(follow(reading, self.topic.clone(), partitions, self.progress.clone()));
        let load = Load::start(client, &self.topic, partitions, self.plan.rate, &self.progress);
        let kills = self.kill_in_turn().await?;
        self.settle(load).await?;
        show.abort();
        self.check(kills).await
    }

    /// Ends the nodes, without ado: their data is not needed any more.
    ///
    /// # Errors
    /// A process cannot be killed.
    pub async fn kill_all(&mut self) -> std::io::Result<()> {
        for node in &mut self.nodes {
            node.kill().await?;
        }
        Ok(())
    }

    async fn start_nodes(&mut self) -> Result<(), String> {
        self.screen.say("Starting three nodes ...");
        let started = Instant::now();
        for node in &mut self.nodes {
            node.start().map_err(|error| error.to_string())?;
        }
        let controller = wait_until_ready(&mut self.nodes, PATIENCE).await?;
        let seconds = started.elapsed().as_secs_f64();
        self.screen
            .say(&format!("Three nodes are up after {seconds:.1} s; node {controller} is the active controller."));
        Ok(())
    }

    async fn create_topic(&self, client: &Client) -> Result<(), String> {
        let (partitions, rate) = (self.plan.partitions, self.plan.rate);
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(REPLICATION_FACTOR),
            ..NewTopic::default()
        };
        let failed = |error: ClientError| format!("topic {TOPIC} cannot be created: {error}");
        client.create_topic(&topic, false).await.map_err(failed)?;
        self.screen.say(&format!(
            "Topic {TOPIC}: {partitions} partitions on {REPLICATION_FACTOR} replicas each, acknowledged when at least 2 \
             have a record.\nAn idempotent producer (acks=all) sends {rate} records a second, a consumer follows."
        ));
        Ok(())
    }

    /// All kills, and a calm end.
    async fn kill_in_turn(&mut self) -> Result<Vec<KillReport>, String> {
        let mut reports: Vec<KillReport> = Vec::new();
        for index in 0..self.plan.kills {
            self.wait_until_settled().await?;
            self.calm().await?;
            let settled = self.wait_until_settled().await?;
            let victims: Vec<i32> = reports.iter().map(|report| report.node).collect();
            let report = self.kill(index, &settled, &victims).await?;
            reports.push(report);
        }
        self.wait_until_settled().await?;
        self.calm().await?;
        Ok(reports)
    }

    /// Kills one node, waits until all goes on without it, and brings it back.
    async fn kill(&mut self, index: usize, settled: &Settled, victims: &[i32]) -> Result<KillReport, String> {
        let kind = KillKind::in_turn(index);
        let ids = self.ids();
        let Settled { partitions, controller } = settled;
        let victim = choose(kind, &ids, partitions, *controller, victims)
            .ok_or_else(|| format!("the active controller, {controller}, is none of the nodes {ids:?}"))?;
        let led = leading(&ids, partitions).get(&victim).copied().unwrap_or(0);
        let affected = affected_by(victim, partitions);
        let node = self.node(victim)?;
        let process_id = node.process_id().unwrap_or_default();
        self.say_and_show(
            &format!(
                "Kill {}: SIGKILL to node {victim} (pid {process_id}): {kind}; it leads {led} partitions.",
                index + 1
            ),
            &format!("node {victim} is dead"),
        );
        let killed_at = Instant::now();
        self.progress.lock().recovery = Some(Recovery::new(killed_at, &affected));
        let node = self.node(victim)?;
        node.kill().await.map_err(|error| format!("node {victim} cannot be killed: {error}"))?;
        let gaps = self.wait_until_acking(victim).await?;
        tokio::time::sleep_until((killed_at + AWAY).into()).await;
        self.progress.lock().recovery = None;
        self.say_and_show(
            &format!("        New acks on all {} partitions ({gaps}); starting node {victim} again.", affected.len()),
            &format!("node {victim} comes back"),
        );
        self.node(victim)?.start().map_err(|error| error.to_string())?;
        Ok(KillReport { kind, node: victim, led, affected: affected.len(), gaps })
    }

    async fn wait_until_acking(&mut self, victim: i32) -> Result<Gaps, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_all()?;
            let (waiting, gaps) = {
                let progress = self.progress.lock();
                let recovery = progress.recovery.as_ref();
                (recovery.map(Recovery::waiting).unwrap_or_default(), recovery.map(Recovery::gaps))
            };
            if let Some(gaps) = gaps.filter(|_| waiting.is_empty()) {
                return Ok(gaps);
            }
            if Instant::now() >= deadline {
                let (seconds, seen) = (PATIENCE.as_secs(), self.describe_waiting(&waiting).await);
                return Err(format!(
                    "partitions {waiting:?} took no record for {seconds} s after node {victim} died; {seen}"
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How each living node sees partitions that do not go on.
    async fn describe_waiting(&self, waiting: &[i32]) -> String {
        let mut seen = Vec::new();
        for node in self.nodes.iter().filter(|node| node.process_id().is_some()) {
            let view = self.view_of(node).await;
            seen.push(match view {
                Ok(view) => {
                    let partitions = view.iter().filter(|partition| waiting.contains(&partition.index));
                    format!(
                        "node {} sees {}",
                        node.id(),
                        partitions.map(PartitionState::to_string).collect::<Vec<_>>().join(", ")
                    )
                }
                Err(error) => error,
            });
        }
        seen.join("; ")
    }

    /// Waits until every replica is in sync, leadership is spread and all nodes know it.
    async fn wait_until_settled(&mut self) -> Result<Settled, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_all()?;
            let why_not = match self.look().await {
                Ok(settled) => {
                    self.progress.lock().phase.clear();
                    return Ok(settled);
                }
                Err(why_not) => why_not,
            };
            if Instant::now() >= deadline {
                return Err(format!("not every replica is in sync after {} s: {why_not}", PATIENCE.as_secs()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The state of things, if all is well; else what is not.
    async fn look(&self) -> Result<Settled, String> {
        let controller = judge(&ask_each(&self.addresses()).await)?;
        let mut views = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            views.push(self.view_of(node).await?);
        }
        let partitions = usize::try_from(self.plan.partitions).unwrap_or_default();
        let partitions = judge_settled(&views, &self.ids(), partitions)?;
        Ok(Settled { partitions, controller })
    }

    /// The partitions as one node sees them.
    async fn view_of(&self, node: &Node) -> Result<Vec<PartitionState>, String> {
        let failed = |error: ClientError| format!("node {} does not describe the topic: {error}", node.id());
        let client = client_of(node.layout().place.clients).map_err(failed)?;
        let metadata = client.describe_topics(Some(&[TOPIC])).await.map_err(failed)?;
        Ok(states_of(&metadata, TOPIC))
    }

    /// Lets everything run undisturbed for a while, in which nothing may end.
    async fn calm(&mut self) -> Result<(), String> {
        let until = Instant::now() + self.plan.calm;
        while Instant::now() < until {
            self.check_all()?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Ends the stream of records and waits for the last acks, and for the consumer to have seen all.
    async fn settle(&mut self, load: Load) -> Result<(), String> {
        self.progress.lock().phase = "the last acks".to_owned();
        if tokio::time::timeout(PATIENCE, load.finish()).await.is_err() {
            let outstanding = self.progress.lock().outstanding();
            return Err(format!("{outstanding} records got neither ack nor error in {} s", PATIENCE.as_secs()));
        }
        if let Some(failure) = self.progress.lock().first_failure.clone() {
            self.screen.say(&format!("The producer gave records up: {failure}"));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check_all()?;
            let (read, acked) = {
                let progress = self.progress.lock();
                (progress.read, progress.history.len())
            };
            if read >= acked {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("the consumer stands still at {read} of {acked} acknowledged records"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads everything back and judges it.
    async fn check(&self, kills: Vec<KillReport>) -> Result<Report, String> {
        self.screen.say("Reading everything back ...\n");
        let client = self.client("demo-checker")?;
        let read = read_back(client, &self.topic, self.plan.partitions).await;
        let mut found = read.map_err(|error| format!("reading everything back: {error}"))?;
        if let Some(how) = self.plan.tamper {
            alter(&mut found, how);
        }
        let progress = self.progress.lock();
        let verdict = progress.history.judge(&found);
        Ok(Report { sent: progress.history.sent(), acked: progress.history.len(), verdict, kills })
    }

    /// Every node that should run does, and so does the consumer.
    fn check_all(&mut self) -> Result<(), String> {
        check_alive(&mut self.nodes)?;
        match &self.progress.lock().reader_failure {
            Some(failure) => Err(format!("the consumer ended: {failure}")),
            None => Ok(()),
        }
    }

    fn say_and_show(&self, text: &str, phase: &str) {
        self.screen.say(text);
        phase.clone_into(&mut self.progress.lock().phase);
    }

    fn client(&self, id: &str) -> Result<Client, String> {
        let layouts: Vec<_> = self.nodes.iter().map(|node| node.layout().clone()).collect();
        let options = ClientOptions {
            client_id: id.to_owned(),
            retry_backoff: RETRY_BACKOFF,
            retry_backoff_max: RETRY_BACKOFF,
            ..ClientOptions::default()
        };
        Client::unconnected(&bootstrap_servers(&layouts), options).map_err(|error| error.to_string())
    }

    fn ids(&self) -> Vec<i32> {
        self.nodes.iter().map(Node::id).collect()
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.layout().place.clients).collect()
    }

    fn node(&mut self, id: i32) -> Result<&mut Node, String> {
        self.nodes.iter_mut().find(|node| node.id() == id).ok_or_else(|| format!("there is no node {id}"))
    }
}
