//! An idempotent producer (KIP-98). Each partition has a task of its own that keeps one batch on the way at a time and
//! repeats it, under the same producer id and sequence, until the leader of the day has acknowledged it: so records of
//! a partition stay in order and stand there once, whichever broker dies.

mod delivery;
mod identity;
mod options;
mod sender;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

pub use delivery::{Acked, Delivery};
pub use options::{Acks, ProducerOptions};

use crate::partitioner::{StickyPartitioner, partition_for_key};
use crate::{Client, ClientError, ProducerRecord};
use identity::IdentitySource;
use sender::{PartitionSender, Queued};

/// Records of one partition that may wait; further ones make the caller wait.
const QUEUED_PER_PARTITION: usize = 4_096;

/// Sends records to partitions and tells for each when it is acknowledged.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    options: ProducerOptions,
    identities: Arc<IdentitySource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<(Arc<str>, i32), mpsc::Sender<Queued>>,
    sticky: HashMap<Arc<str>, StickyPartitioner>,
    senders: JoinSet<()>,
}

impl Producer {
    /// A producer on a client's cluster. Nothing is sent before the first record.
    pub fn new(client: Client, options: ProducerOptions) -> Producer {
        let identities = Arc::new(IdentitySource::new(client.clone()));
        Producer { client, options, identities, state: Mutex::default() }
    }

    /// Hands a record over. The returned [`Delivery`] resolves when it is acknowledged or given up; dropping it does
    /// not take the record back. Waits while the partition's queue is full.
    ///
    /// # Errors
    /// The topic does not exist or has no such partition.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, ClientError> {
        let topic = record.topic.clone();
        let mut metadata = self.client.metadata();
        if metadata.topics.get(&topic).is_none_or(|t| t.partitions.is_empty()) {
            metadata = self.client.topic(&topic).await?;
        }
        let partitions = metadata.topics.get(&topic).map_or(0, |t| t.partitions.len() as i32);
        let queue = {
            let mut state = self.state.lock().await;
            let partition = match (record.partition, &record.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partition_for_key(key, partitions),
                (None, None) => {
                    let sticky = state.sticky.entry(topic.clone()).or_default();
                    sticky.next(partitions, record.size_in_bytes(), self.options.batch_bytes)
                }
            };
            if !(0..partitions).contains(&partition) {
                let message = format!("topic {topic} has {partitions} partitions, so none with number {partition}");
                return Err(ClientError::Server { code: raftsman_types::ErrorCode::UnknownTopicOrPartition, message });
            }
            self.queue(&mut state, topic, partition)
        };
        let (settle, delivery) = oneshot::channel();
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(now_ms);
        queue.send(Queued { record, timestamp_ms, settle }).await.map_err(|_| ClientError::Closed)?;
        Ok(Delivery::new(delivery))
    }

    fn queue(&self, state: &mut State, topic: Arc<str>, partition: i32) -> mpsc::Sender<Queued> {
        let at = (topic, partition);
        if let Some(queue) = state.queues.get(&at) {
            return queue.clone();
        }
        let (queue, queued) = mpsc::channel(QUEUED_PER_PARTITION);
        let (client, options) = (self.client.clone(), self.options.clone());
        let sender = PartitionSender::new(client, options, self.identities.clone(), at.clone(), queued);
        state.senders.spawn(sender.run());
        state.queues.insert(at, queue.clone());
        queue
    }

    /// Waits until every record handed over is acknowledged or given up, and ends the producer.
    pub async fn close(self) {
        let State { queues, mut senders, .. } = self.state.into_inner();
        drop(queues);
        // A sender ends when its queue is closed and empty.
        while senders.join_next().await.is_some() {}
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
