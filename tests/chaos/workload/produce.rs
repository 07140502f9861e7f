//! An idempotent producer for each partition, and everything read back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftsman_client::{Client, Delivery, Producer, ProducerOptions, ProducerRecord};
use raftsman_testkit::{History, Outcome};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{Judgement, PARTITIONS, TOPIC, Waits, Workload, impatient, judge};

const ON_THE_WAY: usize = 20;
/// Between two records of a partition: a few hundred a second, so that clients do not starve the brokers of CPU.
const PACE: Duration = Duration::from_millis(3);
const PATIENCE: Duration = Duration::from_secs(150);

/// What writers share with whoever judges them.
#[derive(Debug, Clone, Default)]
pub struct Written {
    history: Arc<Mutex<History>>,
    /// When each record was handed over.
    begun: Arc<Mutex<HashMap<String, Instant>>>,
    stop: Arc<AtomicBool>,
}

/// One writer for each partition.
#[derive(Debug)]
pub struct Writers {
    pub written: Written,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

impl Written {
    /// What was sent so far, and how it ended.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a record was handed over.
    pub fn begun(&self, name: &str) -> Option<Instant> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    fn begin(&self, partition: i32, name: &str) -> Instant {
        self.history().send(partition, name);
        let now = Instant::now();
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), now);
        now
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Writers {
    /// Starts them. What takes how long until its ack is noted in `acks`.
    pub fn start(bootstrap: &str, runtime: &Handle, acks: Option<Waits>) -> Writers {
        let written = Written::default();
        let task = |partition| runtime.spawn(write(bootstrap.to_owned(), partition, written.clone(), acks.clone()));
        let tasks = (0..PARTITIONS).map(task).collect();
        Writers { written, tasks }
    }

    /// Lets no further record begin, and waits for the outcome of all.
    ///
    /// # Errors
    /// A writer fails, or has outcomes outstanding for minutes.
    pub fn finish(self, runtime: &Handle) -> Result<Written, String> {
        self.written.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await });
            ended.map_err(|_| "a writer does not come to its end")?.map_err(|error| error.to_string())??;
        }
        Ok(self.written)
    }
}

/// Writes numbered records to one partition, some of them on the way at any time.
async fn write(bootstrap: String, partition: i32, written: Written, acks: Option<Waits>) -> Result<(), String> {
    let client = Client::connect(&bootstrap, impatient()).await.map_err(|error| error.to_string())?;
    let options = ProducerOptions { request_timeout: Duration::from_secs(1), ..ProducerOptions::default() };
    let producer = Producer::new(client, options);
    let (sent, to_settle) = mpsc::channel(ON_THE_WAY);
    let settling = tokio::spawn(settle(partition, to_settle, written.clone(), acks));
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut number = 0;
    while !written.is_stopped() {
        pace.tick().await;
        let name = format!("{partition}-{number}");
        number += 1;
        let record = ProducerRecord {
            topic: TOPIC.into(),
            partition: Some(partition),
            value: Some(name.clone().into()),
            ..ProducerRecord::default()
        };
        let begun = written.begin(partition, &name);
        let delivery = producer.send(record).await.map_err(|error| format!("sending {name}: {error}"))?;
        sent.send((name, begun, delivery)).await.map_err(|_| "the settling of records has ended")?;
    }
    drop(sent);
    settling.await.map_err(|error| error.to_string())?;
    producer.close().await;
    Ok(())
}

/// Notes what becomes of a partition's records. One whose delivery fails keeps its unknown outcome.
async fn settle(
    partition: i32,
    mut sent: mpsc::Receiver<(String, Instant, Delivery)>,
    written: Written,
    acks: Option<Waits>,
) {
    while let Some((name, begun, delivery)) = sent.recv().await {
        let Ok(acked) = delivery.await else { continue };
        written.history().settle(&name, Outcome::Acked(acked.offset));
        if let Some(acks) = &acks {
            acks.done(partition as usize, begun);
        }
    }
}

/// The workload.
pub struct Produce {
    bootstrap: String,
    runtime: Handle,
    writers: Writers,
    waits: Waits,
}

impl Produce {
    /// Starts the writers.
    pub fn start(bootstrap: &str, runtime: &Handle) -> Produce {
        let waits = Waits::of(PARTITIONS as usize);
        let writers = Writers::start(bootstrap, runtime, Some(waits.clone()));
        Produce { bootstrap: bootstrap.to_owned(), runtime: runtime.clone(), writers, waits }
    }
}

impl Workload for Produce {
    fn waits(&self) -> &Waits {
        &self.waits
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let written = self.writers.finish(&self.runtime)?;
        let history = written.history();
        judge(&self.runtime, &self.bootstrap, &history)
    }
}
