//! Administrative calls about logs: deleting records, and what brokers' log directories hold.

use std::collections::BTreeMap;

use raftsman_protocol::Str;
use raftsman_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use raftsman_protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResult};
use raftsman_types::{ErrorCode, TopicPartition};

use crate::connection::check;
use crate::retry::Retry;
use crate::{Client, ClientError, Lane};

const DELETE_RECORDS_VERSION: i16 = 2;
const DESCRIBE_LOG_DIRS_VERSION: i16 = 5;

/// What one partition's deletion came to: its low watermark, or why nothing was deleted everywhere.
type Deleted = Result<i64, ClientError>;

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirDescription {
    /// Its path on the broker.
    pub path: String,
    /// `None`, or why nothing more is known of it: `KAFKA_STORAGE_ERROR` for one that is offline.
    pub error: ErrorCode,
    /// The replicas in it.
    pub replicas: BTreeMap<TopicPartition, ReplicaSize>,
    /// The size of its volume in bytes, where the server tells (KIP-827).
    pub total_bytes: Option<i64>,
    /// What of that may still be written, in bytes.
    pub usable_bytes: Option<i64>,
}

/// One replica in a log directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaSize {
    /// Bytes of its segments.
    pub size_bytes: i64,
    /// By how many records its end is behind the partition's high watermark.
    pub offset_lag: i64,
    /// Whether it is to take the place of another one on the same broker.
    pub is_future: bool,
}

impl Client {
    /// Deletes the records of partitions below offsets, below the high watermark for -1. Each comes back with its low
    /// watermark when no live replica has them any more.
    ///
    /// # Errors
    /// None for all; each partition has its own.
    pub async fn delete_records(&self, offsets: &BTreeMap<TopicPartition, i64>) -> BTreeMap<TopicPartition, Deleted> {
        let mut left = offsets.clone();
        let mut done = BTreeMap::new();
        let mut retry = Retry::new(self.options(), self.options().api_timeout);
        loop {
            let mut why = self.delete_records_once(&mut left, &mut done).await;
            if left.is_empty() {
                return done;
            }
            let reason = why.values().next().map(ToString::to_string).unwrap_or_default();
            if let Err(error) = retry.pause(|| format!("deleting records: {reason}")).await {
                let failed = left.into_keys().map(|at| (at.clone(), Err(why.remove(&at).unwrap_or(error.clone()))));
                done.extend(failed);
                return done;
            }
        }
    }

    /// One try. What is decided moves from `left` to `done`; for the rest it says why not.
    async fn delete_records_once(
        &self,
        left: &mut BTreeMap<TopicPartition, i64>,
        done: &mut BTreeMap<TopicPartition, Deleted>,
    ) -> BTreeMap<TopicPartition, ClientError> {
        let mut why = BTreeMap::new();
        let mut topics: Vec<&str> = left.keys().map(|at| &*at.topic).collect();
        topics.dedup();
        let metadata = match self.describe_topics(Some(&topics)).await {
            Ok(metadata) => metadata,
            Err(error) => {
                done.extend(std::mem::take(left).into_keys().map(|at| (at, Err(error.clone()))));
                return why;
            }
        };
        let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        for at in left.keys() {
            match metadata.leader(&at.topic, at.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push(at.clone()),
                None => {
                    let found = metadata.topics.get(&at.topic).map(|topic| topic.error);
                    let unknown = metadata.partition(&at.topic, at.partition).is_none();
                    let code = match found.filter(|code| *code != ErrorCode::None) {
                        Some(code) => code,
                        None if unknown => ErrorCode::UnknownTopicOrPartition,
                        None => ErrorCode::LeaderNotAvailable,
                    };
                    why.insert(at.clone(), ClientError::server(code.code(), None, || format!("the leader of {at}")));
                }
            }
        }
        for (leader, partitions) in by_leader {
            let answer = self.delete_records_at(leader, &partitions, left).await;
            for at in partitions {
                let outcome = match &answer {
                    Ok(answer) => self.outcome_of(&at, answer),
                    Err(error) => Err(error.clone()),
                };
                match outcome {
                    // The leader moved, or is about to be another one.
                    Err(error) if error.is_retriable() && error.code() != Some(ErrorCode::RequestTimedOut) => {
                        why.insert(at, error);
                    }
                    outcome => {
                        left.remove(&at);
                        done.insert(at, outcome);
                    }
                }
            }
        }
        why
    }

    async fn delete_records_at(
        &self,
        leader: i32,
        partitions: &[TopicPartition],
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<DeleteRecordsResponse, ClientError> {
        let mut topics: Vec<DeleteRecordsTopic> = Vec::new();
        for at in partitions {
            let offset = offsets.get(at).copied().unwrap_or_default();
            let partition = DeleteRecordsPartition { partition_index: at.partition, offset };
            match topics.last_mut() {
                Some(topic) if *topic.name == *at.topic => topic.partitions.push(partition),
                _ => topics.push(DeleteRecordsTopic { name: Str::copy_from(&at.topic), partitions: vec![partition] }),
            }
        }
        let request = DeleteRecordsRequest { topics, timeout_ms: self.timeout_ms() };
        // It waits for the followers: the answer comes a little after the time it was given.
        let patience = self.options().request_timeout + self.options().request_timeout / 2;
        self.refresh(self.metadata().version, &[]).await?;
        let connection = self.connection(leader, Lane::Ordinary).await?;
        let version = connection.version_of::<DeleteRecordsRequest>(DELETE_RECORDS_VERSION)?;
        connection.request_slow(&request, version, patience).await
    }

    fn outcome_of(&self, at: &TopicPartition, answer: &DeleteRecordsResponse) -> Deleted {
        let topic = answer.topics.iter().find(|topic| *topic.name == *at.topic);
        let found = topic.and_then(|topic| topic.partitions.iter().find(|p| p.partition_index == at.partition));
        let result = found.ok_or_else(|| self.silent("DeleteRecords"))?;
        check(result.error_code, None, || format!("deleting records of {at}"))?;
        Ok(result.low_watermark)
    }

    /// The log directories of a broker with all replicas in them.
    ///
    /// # Errors
    /// The broker is not among the live ones, does not answer, or refuses.
    pub async fn describe_log_dirs(&self, node_id: i32) -> Result<Vec<LogDirDescription>, ClientError> {
        let request = DescribeLogDirsRequest { topics: None };
        let connection = self.connection(node_id, Lane::Ordinary).await?;
        let answer = connection.request(&request, DESCRIBE_LOG_DIRS_VERSION).await?;
        check(answer.error_code, None, || format!("log directories of broker {node_id}"))?;
        Ok(answer.results.iter().map(log_dir).collect())
    }
}

fn log_dir(result: &DescribeLogDirsResult) -> LogDirDescription {
    let told = |bytes: i64| (bytes >= 0).then_some(bytes);
    let mut replicas = BTreeMap::new();
    for topic in &result.topics {
        for partition in &topic.partitions {
            let at = TopicPartition { topic: topic.name.as_str().into(), partition: partition.partition_index };
            let size = ReplicaSize {
                size_bytes: partition.partition_size,
                offset_lag: partition.offset_lag,
                is_future: partition.is_future_key,
            };
            replicas.insert(at, size);
        }
    }
    LogDirDescription {
        path: result.log_dir.to_string(),
        error: ErrorCode::from_code(result.error_code),
        replicas,
        total_bytes: told(result.total_bytes),
        usable_bytes: told(result.usable_bytes),
    }
}
