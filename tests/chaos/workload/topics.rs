//! Topics are created, written, read, deleted and created again, by several clients that each have a name of their
//! own. What was acknowledged must be so: a topic created is there with a new id and nothing of its predecessor in
//! it, a topic deleted is gone, and in the end all nodes say the same.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raftsman_client::{
    Acked, Client, ClientError, History, NewTopic, Outcome, Producer, ProducerOptions, ProducerRecord,
};
use raftsman_testkit::read_log;
use raftsman_types::{ErrorCode, TopicId};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Judgement, Waits, Workload, impatient, is_worth_a_try};
use crate::waiting::until_some;

const CLIENTS: usize = 3;
const RECORDS: usize = 5;
/// Between two tries of one call, and between two topics of one client.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);
const STALE_READS: Duration = Duration::from_secs(10);

/// The topic that a client leaves behind, if it has made one.
type LastTopic = Option<(String, TopicId)>;

/// The workload.
pub struct Topics {
    bootstrap: String,
    runtime: Handle,
    clients: Vec<JoinHandle<Result<LastTopic, String>>>,
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicUsize>,
    waits: Waits,
}

impl Topics {
    /// Starts the clients.
    pub fn start(bootstrap: &str, runtime: &Handle) -> Topics {
        let waits = Waits::of(CLIENTS);
        let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |lane| {
            let churn = Churn {
                lane,
                name: format!("churned-{lane}"),
                bootstrap: bootstrap.to_owned(),
                stop: Arc::clone(&stop),
                changes: Arc::clone(&changes),
                waits: waits.clone(),
            };
            runtime.spawn(churn.run())
        };
        let clients = (0..CLIENTS).map(client).collect();
        Topics { bootstrap: bootstrap.to_owned(), runtime: runtime.clone(), clients, stop, changes, waits }
    }

    /// Waits until every node knows exactly these topics of the workload's.
    fn wait_for_agreement(&self, expected: &BTreeMap<String, TopicId>) -> Result<(), String> {
        for server in self.bootstrap.split(',') {
            let mut last = String::new();
            let agrees = until_some(&format!("{server} to know what the others know"), PATIENCE, || {
                let known = self.runtime.block_on(topics_at(server));
                last = format!("{known:?}");
                (known.ok()? == *expected).then_some(())
            });
            agrees.map_err(|error| format!("{error}: expected {expected:?}, last {last}"))?;
        }
        Ok(())
    }
}

impl Workload for Topics {
    fn waits(&self) -> &Waits {
        &self.waits
    }

    fn finish(mut self: Box<Self>) -> Result<Judgement, String> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut left, mut faults) = (BTreeMap::new(), Vec::new());
        for client in std::mem::take(&mut self.clients) {
            let ended = self.runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, client).await });
            match ended.map_err(|_| "a client does not come to its end")?.map_err(|error| error.to_string())? {
                Ok(topic) => left.extend(topic),
                Err(fault) => faults.push(fault),
            }
        }
        // A client that failed leaves nobody knows what.
        if faults.is_empty() {
            faults.extend(self.wait_for_agreement(&left).err());
        }
        let acked = self.changes.load(Ordering::Relaxed);
        Ok(Judgement { acked, faults, ..Judgement::default() })
    }
}

async fn topics_at(server: &str) -> Result<BTreeMap<String, TopicId>, ClientError> {
    // Of this server alone: `describe_topics` would ask the brokers that a client has heard of.
    let client = Client::unconnected(server, impatient())?;
    let topics = client.describe_topics(None).await?.topics;
    let own = topics.into_iter().filter(|(name, _)| name.starts_with("churned-"));
    Ok(own.map(|(name, topic)| (name.to_string(), topic.id)).collect())
}

struct Churn {
    lane: usize,
    name: String,
    bootstrap: String,
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicUsize>,
    waits: Waits,
}

impl Churn {
    /// Until told to stop; then its last topic stays. Answers that one.
    async fn run(self) -> Result<LastTopic, String> {
        let mut known: HashSet<TopicId> = HashSet::new();
        let mut round = 0;
        loop {
            let partitions = 1 + round % 3;
            self.create(partitions).await.map_err(|error| self.tell("creating", &error))?;
            let created = self.wait_for_fresh_id(&known).await?;
            known.insert(created);
            self.write_and_read(partitions, round).await?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Some((self.name, created)));
            }
            self.delete().await.map_err(|error| self.tell("deleting", &error))?;
            round += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn tell(&self, what: &str, error: &ClientError) -> String {
        format!("{what} topic {}: {error}", self.name)
    }

    async fn create(&self, partitions: i32) -> Result<(), ClientError> {
        let begun = Instant::now();
        let client = Client::unconnected(&self.bootstrap, impatient())?;
        let topic = NewTopic {
            name: self.name.clone(),
            partitions: Some(partitions),
            replication_factor: Some(3),
            ..NewTopic::default()
        };
        let deadline = begun + PATIENCE;
        loop {
            match client.create_topic(&topic, false).await {
                Ok(()) => break,
                // By an earlier try whose answer was lost: nobody else uses the name.
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => break,
                Err(error) if is_worth_a_try(&error) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.waits.done(self.lane, begun);
        Ok(())
    }

    /// The id of the topic just created. A broker may lag behind the controller, even show the predecessor of the same
    /// name while it is cut off, but not for ever.
    async fn wait_for_fresh_id(&self, known: &HashSet<TopicId>) -> Result<TopicId, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let client = Client::unconnected(&self.bootstrap, impatient()).map_err(|e| self.tell("describing", &e))?;
            let seen = client.topic(&self.name).await;
            let id = seen.as_ref().ok().and_then(|metadata| Some(metadata.topics.get(self.name.as_str())?.id));
            match id.filter(|id| !known.contains(id)) {
                Some(id) => return Ok(id),
                None if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                None => return Err(format!("topic {} was created, but brokers show {id:?}: {seen:?}", self.name)),
            }
        }
    }

    async fn delete(&self) -> Result<(), ClientError> {
        let begun = Instant::now();
        let deadline = begun + PATIENCE;
        let client = Client::unconnected(&self.bootstrap, impatient())?;
        let mut tries = 0;
        loop {
            tries += 1;
            match client.delete_topic(&self.name).await {
                Ok(()) => break,
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) && tries > 1 => break,
                Err(error) if is_worth_a_try(&error) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.waits.done(self.lane, begun);
        Ok(())
    }

    /// Writes a few records to each partition and finds these and no others.
    async fn write_and_read(&self, partitions: i32, round: i32) -> Result<(), String> {
        let client = Client::unconnected(&self.bootstrap, impatient()).map_err(|e| self.tell("writing", &e))?;
        let options = ProducerOptions { request_timeout: Duration::from_secs(1), ..ProducerOptions::default() };
        let producer = Producer::new(client.clone(), options);
        let mut history = History::default();
        for number in 0..RECORDS {
            for partition in 0..partitions {
                let name = format!("{round}-{partition}-{number}");
                let record = ProducerRecord {
                    topic: self.name.as_str().into(),
                    partition: Some(partition),
                    value: Some(name.clone().into()),
                    ..ProducerRecord::default()
                };
                history.send(partition, name.clone());
                let acked =
                    self.send(&client, &producer, record).await.map_err(|error| self.tell("writing", &error))?;
                history.settle(&name, Outcome::Acked(acked.offset));
            }
        }
        producer.close().await;
        let started = Instant::now();
        loop {
            let verdict = match read_log(&self.bootstrap, &self.name, partitions, PATIENCE).await {
                Err(error) if is_worth_a_try(&error) && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                read => history.judge(&read.map_err(|error| self.tell("reading", &error))?),
            };
            if verdict.is_clean() {
                return Ok(());
            }
            // A leader that was cut off a moment ago may show its predecessor until it steps aside.
            if started.elapsed() > STALE_READS {
                return Err(format!("topic {} of {history:?}: {verdict}", self.name));
            }
        }
    }

    /// Sends a record that no broker may know the place of yet: the one that is asked may lag behind the one that
    /// showed the topic.
    async fn send(&self, client: &Client, producer: &Producer, record: ProducerRecord) -> Result<Acked, ClientError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match producer.send(record.clone()).await {
                Ok(delivery) => return delivery.await,
                Err(error) if is_worth_a_try(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                    // It may have shown the predecessor, with fewer partitions; a failed look is repeated as well.
                    let _ = client.refresh(client.metadata().version, &[&self.name]).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
