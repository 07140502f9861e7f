//! A consumer with manual assignment: one task keeps a fetch on the way to each leader of an assigned partition and
//! hands the records over through a bounded channel.

mod fetcher;
mod options;
mod partition;
mod response;

use std::sync::Arc;
use std::time::Duration;

use raftsman_types::TopicPartition;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use options::{ConsumerOptions, OffsetReset, StartAt};

use crate::{Client, ClientError, ConsumerRecord};
use fetcher::{Command, Fetcher};

/// Batches of records that may wait for [`Consumer::poll`].
const BATCHES_AHEAD: usize = 8;

/// Reads records from partitions somebody chose.
#[derive(Debug)]
pub struct Consumer {
    commands: mpsc::Sender<Command>,
    records: mpsc::Receiver<Result<Vec<ConsumerRecord>, ClientError>>,
    task: JoinHandle<()>,
}

impl Consumer {
    /// A consumer on a client's cluster, with nothing assigned.
    pub fn new(client: Client, options: ConsumerOptions) -> Consumer {
        let (commands, to_do) = mpsc::channel(16);
        let (fetched, records) = mpsc::channel(BATCHES_AHEAD);
        let task = tokio::spawn(Fetcher::new(client, options, to_do, fetched).run());
        Consumer { commands, records, task }
    }

    /// Replaces the assignment. Records fetched for the one before may still come from [`poll`](Consumer::poll) once.
    ///
    /// # Errors
    /// The consumer has ended.
    pub async fn assign(&self, partitions: Vec<(TopicPartition, StartAt)>) -> Result<(), ClientError> {
        self.commands.send(Command::Assign(partitions)).await.map_err(|_| ClientError::Closed)
    }

    /// The next records of any partition, in order within each; empty if none come within `timeout`.
    ///
    /// # Errors
    /// What another try does not mend, such as an offset out of range with [`OffsetReset::Fail`].
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, ClientError> {
        match tokio::time::timeout(timeout, self.records.recv()).await {
            Ok(Some(records)) => records,
            Ok(None) => Err(ClientError::Closed),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// How far a partition is known to be readable: the high watermark of the last fetch.
    ///
    /// # Errors
    /// The consumer has ended.
    pub async fn high_watermarks(&self) -> Result<Vec<(TopicPartition, i64)>, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::HighWatermarks(answer)).await.map_err(|_| ClientError::Closed)?;
        answered.await.map_err(|_| ClientError::Closed)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A topic and partition, shared by all records of it.
pub(crate) fn at(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition }
}
