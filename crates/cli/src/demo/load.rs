//! The producer's side of the demo: a steady stream of records to every partition, and what becomes of each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raftsman_client::{Client, Delivery, Producer, ProducerOptions, ProducerRecord};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::progress::SharedProgress;

/// A record's value has this many bytes.
const VALUE_BYTES: usize = 100;
/// Deliveries of one partition that may be waited for; the stream pauses beyond.
const OUTSTANDING: usize = 16_384;
/// After a pause the stream catches up in bursts of at most this.
const BURST: u64 = 500;

/// A record on its way.
struct Sent {
    name: String,
    at: Instant,
    delivery: Delivery,
}

/// A running stream of records.
#[derive(Debug)]
pub struct Load {
    producer: Arc<Producer>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts sending: `rate` records a second, spread over all partitions, by an idempotent producer with acks=all.
    pub fn start(client: Client, topic: &Arc<str>, partitions: i32, rate: u32, progress: &SharedProgress) -> Load {
        let producer = Arc::new(Producer::new(client, ProducerOptions::default()));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for partition in 0..partitions {
            let (deliveries, to_await) = mpsc::channel(OUTSTANDING);
            let stream = Stream {
                producer: producer.clone(),
                topic: topic.clone(),
                partition,
                interval: Duration::from_secs_f64(f64::from(partitions) / f64::from(rate)),
                progress: progress.clone(),
            };
            tasks.spawn(stream.run(deliveries, stopped.clone()));
            tasks.spawn(await_deliveries(to_await, progress.clone()));
        }
        Load { producer, stop, tasks }
    }

    /// Stops sending and waits until every record is acknowledged or given up.
    pub async fn finish(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if let Some(producer) = Arc::into_inner(self.producer) {
            producer.close().await;
        }
    }
}

/// The stream to one partition.
struct Stream {
    producer: Arc<Producer>,
    topic: Arc<str>,
    partition: i32,
    interval: Duration,
    progress: SharedProgress,
}

impl Stream {
    async fn run(self, deliveries: mpsc::Sender<Sent>, mut stopped: watch::Receiver<bool>) {
        let started = Instant::now();
        let mut ticks = tokio::time::interval(self.interval.max(Duration::from_millis(2)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number: u64 = 0;
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                _ = ticks.tick() => (),
            }
            let due = (started.elapsed().as_secs_f64() / self.interval.as_secs_f64()) as u64;
            for _ in 0..due.saturating_sub(number).min(BURST) {
                if *stopped.borrow() || !self.send(number, &deliveries).await {
                    return;
                }
                number += 1;
            }
        }
    }

    /// Sends one record. Answers whether to go on.
    async fn send(&self, number: u64, deliveries: &mpsc::Sender<Sent>) -> bool {
        let name = format!("{}-{number}", self.partition);
        let value = value_of(&name);
        let record = ProducerRecord {
            topic: self.topic.clone(),
            partition: Some(self.partition),
            value: Some(Bytes::from(value)),
            ..ProducerRecord::default()
        };
        self.progress.lock().history.send(self.partition, name.clone());
        let at = Instant::now();
        match self.producer.send(record).await {
            Ok(delivery) => deliveries.send(Sent { name, at, delivery }).await.is_ok(),
            Err(error) => {
                give_up(&self.progress, &error.to_string());
                false
            }
        }
    }
}

/// Notes what becomes of a partition's records, in the order they were sent in.
async fn await_deliveries(mut sent: mpsc::Receiver<Sent>, progress: SharedProgress) {
    while let Some(Sent { name, at, delivery }) = sent.recv().await {
        match delivery.await {
            Ok(acked) => progress.lock().ack(&name, acked, at, Instant::now()),
            Err(error) => give_up(&progress, &error.to_string()),
        }
    }
}

fn give_up(progress: &SharedProgress, why: &str) {
    let mut progress = progress.lock();
    progress.given_up += 1;
    progress.first_failure.get_or_insert_with(|| why.to_owned());
}

/// A value that begins with the record's name.
fn value_of(name: &str) -> String {
    format!("{:<VALUE_BYTES$}", format!("{name} "))
}

/// The name in a record's value.
pub fn name_of(value: &[u8]) -> String {
    let name = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_its_name() {
        let value = value_of("5-1234");
        assert_eq!((value.len(), name_of(value.as_bytes())), (VALUE_BYTES, "5-1234".to_owned()));
        assert_eq!(name_of(b""), "");
    }
}
