use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raftsman_client::{
    Client, ClientOptions, Consumer, ConsumerOptions, Delivery, Found, History, OffsetReset, Outcome, Producer,
    ProducerOptions, ProducerRecord, StartAt,
};
use raftsman_types::TopicPartition;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How long a partition that gives nothing is read on.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// How long after the last record an acked one that is missing counts as lost.
const LOSS_PATIENCE: Duration = Duration::from_secs(5);

/// What a [`Load`] writes, and how.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The topic, which is there.
    pub topic: String,
    /// How many partitions it has: each gets a writer of its own.
    pub partitions: i32,
    /// How many records of a partition are on the way at once.
    pub on_the_way_max: usize,
    /// How long each record is made, in bytes, by blanks behind its name.
    pub value_bytes: usize,
    /// How many keys the records of a partition take in turn ([`key_of`]); none have a key if 0.
    pub keys: usize,
    /// How the clients connect.
    pub client: ClientOptions,
    /// How the producers send; idempotent with acks=all unless changed.
    pub producer: ProducerOptions,
}

impl LoadOptions {
    /// Short records, 50 of a partition on the way, to a topic.
    pub fn new(topic: &str, partitions: i32) -> LoadOptions {
        LoadOptions {
            topic: topic.to_owned(),
            partitions,
            on_the_way_max: 50,
            value_bytes: 0,
            keys: 0,
            client: ClientOptions::default(),
            producer: ProducerOptions::default(),
        }
    }
}

/// Writers of numbered records, one for each partition, which note every ack in this process's memory.
pub struct Load {
    runtime: Runtime,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
    bootstrap: String,
    options: LoadOptions,
}

/// What a load has seen until it was stopped.
#[derive(Debug)]
pub struct LoadReport {
    /// Every ack.
    pub history: History,
    /// Why records were given up, one line each; they may be there or not.
    pub given_up: Vec<String>,
    /// The longest time in which a partition got no ack.
    pub longest_wait: Duration,
}

#[derive(Default)]
struct Shared {
    history: Mutex<History>,
    given_up: Mutex<Vec<String>>,
    longest_wait: Mutex<Duration>,
    acks: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    /// Begins to write.
    ///
    /// # Panics
    /// When no runtime can be made.
    pub fn start(bootstrap: &str, options: LoadOptions) -> Load {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime can be made");
        let shared = Arc::new(Shared::default());
        let write = |partition| write_until_stopped(bootstrap.to_owned(), partition, options.clone(), shared.clone());
        let writers = (0..options.partitions).map(|partition| runtime.spawn(write(partition))).collect();
        Load { writers, runtime, shared, bootstrap: bootstrap.to_owned(), options }
    }

    /// How many records were acknowledged so far.
    pub fn acks(&self) -> usize {
        self.shared.acks.load(Ordering::Relaxed)
    }

    /// Waits for so many acks more than there are now.
    ///
    /// # Panics
    /// When they do not come within `at_most`.
    pub fn wait_for_acks(&self, more: usize, at_most: Duration) {
        let goal = self.acks() + more;
        crate::wait_until(&format!("{more} acks"), at_most, || self.acks() >= goal);
    }

    /// Ends the writers once all they sent is acknowledged or given up.
    ///
    /// # Panics
    /// When a writer panicked.
    pub fn stop(mut self) -> LoadReport {
        self.end()
    }

    fn end(&mut self) -> LoadReport {
        self.shared.stop.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            self.runtime.block_on(writer).expect("a writer ends well");
        }
        let take =
            |lines: &Mutex<Vec<String>>| std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        LoadReport {
            history: self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            given_up: take(&self.shared.given_up),
            longest_wait: *self.shared.longest_wait.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// [Ends](Load::stop) the writers, and reads back every record of the topic, in the order of offsets.
    ///
    /// # Panics
    /// When a writer panicked, or the topic cannot be read.
    pub fn stop_and_read(mut self) -> (LoadReport, Vec<Found>) {
        let report = self.end();
        let reading = read_all(&self.bootstrap, &self.options, &report.history);
        let found = self.runtime.block_on(reading);
        (report, found)
    }
}

/// The key that a load with so many keys gives a record of this name.
///
/// # Panics
/// When no load has given a record that name.
pub fn key_of(name: &str, keys: usize) -> usize {
    let number = name.split_once('-').and_then(|(_, number)| number.parse::<usize>().ok());
    number.expect("a load's records are named by partition and number") % keys
}

/// Writes numbered records to one partition, some of them on the way at any time, and notes the acks in order.
async fn write_until_stopped(bootstrap: String, partition: i32, options: LoadOptions, shared: Arc<Shared>) {
    let client = Client::connect(&bootstrap, options.client.clone()).await.expect("the cluster can be reached");
    know_topic(&client, &options.topic).await;
    let producer = Producer::new(client, options.producer.clone());
    let mut on_the_way: VecDeque<(String, Delivery)> = VecDeque::new();
    let mut next = 0;
    let mut last_ack = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) || !on_the_way.is_empty() {
        if !shared.stop.load(Ordering::Relaxed) && on_the_way.len() < options.on_the_way_max {
            let name = format!("{partition}-{next}");
            let value = format!("{name:width$}", width = options.value_bytes);
            next += 1;
            let record = ProducerRecord {
                topic: options.topic.as_str().into(),
                partition: Some(partition),
                key: (options.keys > 0).then(|| key_of(&name, options.keys).to_string().into()),
                value: Some(value.into()),
                ..Default::default()
            };
            shared.history.lock().unwrap_or_else(PoisonError::into_inner).send(partition, &*name);
            on_the_way.push_back((name, producer.send(record).await.expect("the topic is there")));
        } else if let Some((name, delivery)) = on_the_way.pop_front() {
            match delivery.await {
                Ok(acked) => {
                    let outcome = Outcome::Acked(acked.offset);
                    shared.history.lock().unwrap_or_else(PoisonError::into_inner).settle(&name, outcome);
                    shared.acks.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    let line = format!("{name}: {error}");
                    shared.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
            let mut longest = shared.longest_wait.lock().unwrap_or_else(PoisonError::into_inner);
            *longest = longest.max(last_ack.elapsed());
            last_ack = Instant::now();
        }
    }
    producer.close().await;
}

/// Returns once the client knows the topic: a broker that has just come back may not have heard of it yet.
async fn know_topic(client: &Client, topic: &str) {
    let give_up = Instant::now() + READ_PATIENCE;
    while let Err(error) = client.topic(topic).await {
        assert!(error.is_retriable() && Instant::now() < give_up, "topic {topic} is not known: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every record of every partition, in the order of offsets. Where acked ones are missing at the partitions' ends, these
/// ends are looked at for a while: a leader that is new may not know yet how far it may show.
async fn read_all(bootstrap: &str, options: &LoadOptions, history: &History) -> Vec<Found> {
    let client = Client::connect(bootstrap, ClientOptions::default()).await.expect("the cluster can be reached");
    let from_the_start = ConsumerOptions { offset_reset: OffsetReset::Fail, ..Default::default() };
    let mut consumer = Consumer::new(client, from_the_start);
    let at = |partition| TopicPartition { topic: options.topic.as_str().into(), partition };
    let assigned = (0..options.partitions).map(|partition| (at(partition), StartAt::Earliest));
    consumer.assign(assigned.collect()).await.expect("the consumer runs");
    let mut found: Vec<Found> = Vec::new();
    let mut ends = vec![0; options.partitions as usize];
    let mut last_news = Instant::now();
    loop {
        let records = consumer.poll(Duration::from_millis(300)).await.expect("the partitions can be read");
        if !records.is_empty() {
            last_news = Instant::now();
            for record in records {
                ends[record.partition as usize] = record.offset + 1;
                let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
                let name = value.trim_end().to_owned();
                found.push(Found { partition: record.partition, offset: record.offset, name });
            }
            continue;
        }
        let marks = consumer.high_watermarks().await.expect("the consumer runs");
        let at_the_ends =
            marks.len() == ends.len() && marks.iter().all(|(at, mark)| ends[at.partition as usize] >= *mark);
        if at_the_ends || last_news.elapsed() > READ_PATIENCE {
            found.sort();
            let verdict = history.judge(&found);
            let all_there = verdict.lost.is_empty() && verdict.unseen.is_empty();
            if all_there || last_news.elapsed() > LOSS_PATIENCE {
                return found;
            }
        }
    }
}
