use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftsman_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use raftsman_protocol::{Records, Str};
use raftsman_records::BatchBuilder;
use raftsman_types::{ErrorCode, LeaderEpoch};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::identity::{Identity, IdentitySource};
use super::options::{Acks, ProducerOptions};
use super::{Acked, ClientError};
use crate::retry::Retry;
use crate::{BrokerAddress, Client, Lane, ProducerRecord};

/// The last version with topic names; hints about new leaders come with 10 (KIP-951).
const PRODUCE_VERSION: i16 = 12;

/// A record waiting for its batch.
#[derive(Debug)]
pub(super) struct Queued {
    pub record: ProducerRecord,
    pub timestamp_ms: i64,
    pub settle: oneshot::Sender<Result<Acked, ClientError>>,
}

/// Sends one partition's records, a batch at a time.
pub(super) struct PartitionSender {
    client: Client,
    options: ProducerOptions,
    identities: Arc<IdentitySource>,
    topic: Arc<str>,
    partition: i32,
    queued: mpsc::Receiver<Queued>,
    /// A record that did not fit in the batch before.
    held: Option<Queued>,
    identity: Option<Identity>,
    /// A batch of unknown fate went out under the shared identity: its sequences are spent.
    needs_fresh_identity: bool,
    /// The sequence of the next record.
    sequence: i32,
}

/// What an attempt to send a batch means for the next one.
enum Attempt {
    Acked(Option<i64>),
    /// Not appended, or unknown whether: the same batch again, at once if the new leader is known.
    Again {
        error: ClientError,
        at_once: bool,
    },
    /// No further try can succeed.
    Failed(ClientError),
    /// The broker has forgotten this producer, and nothing of the batch was ever sent before.
    Forgotten(ClientError),
}

impl PartitionSender {
    pub fn new(
        client: Client,
        options: ProducerOptions,
        identities: Arc<IdentitySource>,
        (topic, partition): (Arc<str>, i32),
        queued: mpsc::Receiver<Queued>,
    ) -> PartitionSender {
        PartitionSender {
            client,
            options,
            identities,
            topic,
            partition,
            queued,
            held: None,
            identity: None,
            needs_fresh_identity: false,
            sequence: 0,
        }
    }

    /// Runs until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            let outcome = self.deliver(&batch).await;
            if outcome.is_err() {
                // Whether the batch was appended may stay unknown: its sequences must not be used again.
                self.needs_fresh_identity = self.identity.take().is_some() || self.needs_fresh_identity;
                self.sequence = 0;
            }
            for (queued, i) in batch.into_iter().zip(0..) {
                let acked = |base: Option<i64>| Acked { partition: self.partition, offset: base.map(|base| base + i) };
                // Nobody waits for a delivery that was dropped.
                let _ = queued.settle.send(outcome.clone().map(acked));
            }
        }
    }

    /// The next records, as many as a batch may hold, waiting for the first one and then for `linger`.
    async fn next_batch(&mut self) -> Option<Vec<Queued>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.queued.recv().await?,
        };
        let mut size = first.record.size_in_bytes();
        let mut batch = vec![first];
        let full_at = Instant::now() + self.options.linger;
        while size < self.options.batch_bytes {
            let next = match self.queued.try_recv() {
                Ok(next) => next,
                Err(_) if self.options.linger.is_zero() => break,
                Err(_) => match tokio::time::timeout_at(full_at, self.queued.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => break,
                },
            };
            size += next.record.size_in_bytes();
            if size > self.options.batch_bytes {
                self.held = Some(next);
                break;
            }
            batch.push(next);
        }
        Some(batch)
    }

    /// Sends one batch until it is acknowledged; answers the offset of its first record.
    async fn deliver(&mut self, batch: &[Queued]) -> Result<Option<i64>, ClientError> {
        let mut retry = Retry::new(self.client.options(), self.options.delivery_timeout);
        let mut bytes = self.encode(batch, &mut retry).await?;
        let mut attempts = 0;
        loop {
            match self.attempt(&bytes, attempts, &retry).await {
                Attempt::Acked(base_offset) => {
                    self.sequence = next_sequence(self.sequence, batch.len());
                    return Ok(base_offset);
                }
                Attempt::Failed(error) => return Err(error),
                Attempt::Forgotten(error) => {
                    tracing::debug!(topic = %self.topic, partition = self.partition, %error, "producer id renewed");
                    self.identity = Some(self.identities.fresh(&mut retry).await?);
                    self.sequence = 0;
                    bytes = self.encode(batch, &mut retry).await?;
                }
                Attempt::Again { error, at_once } => {
                    attempts += 1;
                    tracing::debug!(topic = %self.topic, partition = self.partition, %error, "batch sent again");
                    if !at_once {
                        let at = format!("{}-{}", self.topic, self.partition);
                        retry.pause(|| format!("records for {at}: {error}")).await?;
                    }
                }
            }
        }
    }

    async fn encode(&mut self, batch: &[Queued], retry: &mut Retry) -> Result<Bytes, ClientError> {
        let mut builder = BatchBuilder::new(self.options.compression);
        if self.options.is_idempotent && self.options.acks == Acks::All {
            let identity = match self.identity {
                Some(identity) => identity,
                None if self.needs_fresh_identity => self.identities.fresh(retry).await?,
                None => self.identities.shared(retry).await?,
            };
            self.identity = Some(identity);
            builder = builder.producer(identity.id, identity.epoch, self.sequence);
        }
        for Queued { record, timestamp_ms, .. } in batch {
            let headers: Vec<(&str, Option<&[u8]>)> =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            builder.append(*timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        Ok(builder.build(0, LeaderEpoch::NONE))
    }

    async fn attempt(&mut self, bytes: &Bytes, attempts: u32, retry: &Retry) -> Attempt {
        let metadata = self.client.metadata();
        let Some(leader) = metadata.leader(&self.topic, self.partition) else {
            return self.look_again(metadata.version, ErrorCode::LeaderNotAvailable).await;
        };
        let sent = async {
            let connection = self.client.connection(leader, Lane::Ordinary).await?;
            let request = self.request(bytes);
            if self.options.acks == Acks::None {
                connection.send_unanswered(&request, PRODUCE_VERSION).await?;
                return Ok(None);
            }
            // The broker answers within the request's own timeout; beyond it the connection is dead.
            let left = retry.deadline().saturating_duration_since(Instant::now());
            let patience =
                (self.options.request_timeout + Duration::from_secs(1)).min(left.max(Duration::from_secs(1)));
            connection.request_slow(&request, PRODUCE_VERSION, patience).await.map(Some)
        };
        match sent.await {
            Ok(None) => Attempt::Acked(None),
            Ok(Some(answer)) => self.judge(answer, attempts, metadata.version).await,
            Err(error) if error.is_retriable() => {
                // The connection is gone; the metadata may already name another leader.
                let fresh = self.client.refresh(metadata.version, &[&self.topic]).await;
                let moved = fresh.is_ok_and(|m| m.leader(&self.topic, self.partition).is_some_and(|l| l != leader));
                Attempt::Again { error, at_once: moved }
            }
            Err(error) => Attempt::Failed(error),
        }
    }

    fn request(&self, bytes: &Bytes) -> ProduceRequest {
        let data = PartitionProduceData { index: self.partition, records: Some(Records::from(bytes.clone())) };
        let topic = TopicProduceData {
            name: Str::from(self.topic.clone()),
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        ProduceRequest {
            acks: self.options.acks.code(),
            timeout_ms: i32::try_from(self.options.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: vec![topic],
            ..ProduceRequest::default()
        }
    }

    async fn judge(&mut self, answer: ProduceResponse, attempts: u32, seen: u64) -> Attempt {
        let ProduceResponse { mut responses, node_endpoints, .. } = answer;
        let Some(partition) = responses.pop().and_then(|mut topic| topic.partition_responses.pop()) else {
            return self.look_again(seen, ErrorCode::UnknownServerError).await;
        };
        let code = ErrorCode::from_code(partition.error_code);
        let error = || self.error(&partition);
        match code {
            ErrorCode::None => Attempt::Acked((partition.base_offset >= 0).then_some(partition.base_offset)),
            // It stands there from an earlier try whose answer was lost.
            ErrorCode::DuplicateSequenceNumber => Attempt::Acked(None),
            ErrorCode::UnknownProducerId if attempts == 0 => Attempt::Forgotten(error()),
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch => {
                let leader = (partition.current_leader.leader_id, partition.current_leader.leader_epoch);
                let endpoint = node_endpoints.iter().find(|node| node.node_id == leader.0);
                let address = endpoint.and_then(|node| {
                    let (host, port) = (node.host.to_string(), u16::try_from(node.port).ok()?);
                    Some(BrokerAddress { node_id: node.node_id, host, port, rack: None })
                });
                if self.client.learn_leader(&self.topic, self.partition, leader, address) {
                    return Attempt::Again { error: error(), at_once: true };
                }
                self.look_again(seen, code).await
            }
            _ if code.is_retriable() => self.look_again(seen, code).await,
            _ => Attempt::Failed(error()),
        }
    }

    fn error(&self, partition: &PartitionProduceResponse) -> ClientError {
        let message = partition.error_message.as_ref().map(Str::as_str);
        ClientError::server(partition.error_code, message, || format!("records for {}-{}", self.topic, self.partition))
    }

    async fn look_again(&self, seen: u64, code: ErrorCode) -> Attempt {
        let what = || format!("records for {}-{}", self.topic, self.partition);
        let error = ClientError::server(code.code(), None, what);
        // A failed refresh is one more reason to pause; the next attempt meets it again.
        match self.client.refresh(seen, &[&self.topic]).await {
            Ok(_) => Attempt::Again { error, at_once: false },
            Err(error) => Attempt::Again { error, at_once: false },
        }
    }
}

/// Sequences wrap from the largest to 0 (KIP-98).
fn next_sequence(sequence: i32, records: usize) -> i32 {
    ((i64::from(sequence) + records as i64) % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(next_sequence(0, 3), 3);
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
    }
}
