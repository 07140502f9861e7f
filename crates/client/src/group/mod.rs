//! An ordinary ("classic") consumer group member, driven by [`GroupConsumer::poll`]: it joins, takes what the group's
//! leader gives it, keeps its place by heartbeats, commits what was read and joins again when the group changes.

mod membership;
mod offsets;
mod options;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_types::{ErrorCode, TopicPartition};
use tokio::time::Instant;

pub use options::GroupOptions;

use crate::retry::Retry;
use crate::{Client, ClientError, Consumer, ConsumerOptions, ConsumerRecord, OffsetReset, StartAt};
use membership::Membership;

/// A member of a consumer group.
#[derive(Debug)]
pub struct GroupConsumer {
    client: Client,
    options: GroupOptions,
    consumer_options: ConsumerOptions,
    topics: Vec<Arc<str>>,
    membership: Membership,
    /// The consumer of the current assignment; none between two generations.
    consumer: Option<Consumer>,
    /// The offset after the last record processed, by partition.
    positions: BTreeMap<TopicPartition, i64>,
    committed: BTreeMap<TopicPartition, i64>,
    commit_at: Instant,
}

impl GroupConsumer {
    /// A member that will read `topics`; it joins with the first [`poll`](GroupConsumer::poll).
    pub fn new(
        client: Client,
        topics: Vec<Arc<str>>,
        options: GroupOptions,
        consumer: ConsumerOptions,
    ) -> GroupConsumer {
        let membership = Membership::new(client.clone(), options.clone());
        let commit_at = Instant::now() + options.auto_commit_interval;
        GroupConsumer {
            client,
            options,
            consumer_options: consumer,
            topics,
            membership,
            consumer: None,
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
            commit_at,
        }
    }

    /// The next records, empty if none come within `timeout` (which joining the group may exceed). Calls must not lie
    /// further apart than the session timeout: they carry the heartbeats.
    ///
    /// # Errors
    /// What another try does not mend.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, ClientError> {
        let until = Instant::now() + timeout;
        loop {
            self.keep_place().await?;
            let Some(consumer) = self.consumer.as_mut() else { continue };
            let left = until.saturating_duration_since(Instant::now());
            let records = consumer.poll(left.min(self.options.heartbeat_interval)).await?;
            if !records.is_empty() || Instant::now() >= until {
                return Ok(records);
            }
        }
    }

    /// The member's id and the group's generation that the records of the last [`poll`](GroupConsumer::poll) belong to:
    /// another pair is another assignment.
    pub fn place(&self) -> (&str, i32) {
        (&self.membership.member_id, self.membership.generation_id)
    }

    /// What is known to be committed of the assigned partitions: found when joining, or acknowledged since.
    pub fn committed(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.committed
    }

    /// A record given out by [`poll`](GroupConsumer::poll) was processed: from now on it may be committed.
    pub fn processed(&mut self, record: &ConsumerRecord) {
        self.positions.insert(crate::consumer::at(&record.topic, record.partition), record.offset + 1);
    }

    /// Joins where that is due, else says that this member is alive, and commits now and then.
    async fn keep_place(&mut self) -> Result<(), ClientError> {
        if self.consumer.is_some() && Instant::now() >= self.commit_at && self.options.auto_commit {
            self.commit().await?;
        }
        if self.consumer.is_none() {
            return self.join().await;
        }
        if self.membership.heartbeat().await? {
            return Ok(());
        }
        // The group is about to change: what was read is committed before the partitions go to somebody else.
        if self.options.auto_commit {
            self.commit().await?;
        }
        self.consumer = None;
        Ok(())
    }

    async fn join(&mut self) -> Result<(), ClientError> {
        for topic in &self.topics {
            self.client.topic(topic).await?;
        }
        let partitions = self.membership.join(&self.topics).await?;
        tracing::debug!(group = %self.options.group_id, partitions = partitions.len(), "joined");
        let mut retry = Retry::new(self.client.options(), self.client.options().api_timeout);
        let committed = loop {
            match self.membership.fetch_offsets(&partitions).await {
                Ok(committed) => break committed,
                Err(error) if error.is_retriable() => retry.pause(|| format!("committed offsets: {error}")).await?,
                Err(error) => return Err(error),
            }
        };
        let start = |at: &TopicPartition| match (committed.get(at), self.consumer_options.offset_reset) {
            (Some(offset), _) => Ok(StartAt::Offset(*offset)),
            (None, OffsetReset::Earliest) => Ok(StartAt::Earliest),
            (None, OffsetReset::Latest) => Ok(StartAt::Latest),
            (None, OffsetReset::Fail) => Err(ClientError::Server {
                code: ErrorCode::OffsetOutOfRange,
                message: format!("group {} has no committed offset for {at}", self.options.group_id),
            }),
        };
        let mut assignment = Vec::with_capacity(partitions.len());
        for at in partitions {
            assignment.push((at.clone(), start(&at)?));
        }
        let consumer = Consumer::new(self.client.clone(), self.consumer_options.clone());
        consumer.assign(assignment).await?;
        self.consumer = Some(consumer);
        self.positions.clear();
        self.committed = committed;
        Ok(())
    }

    /// Commits what was processed so far. A commit that the group's change has overtaken is dropped: the records come
    /// again, to whoever reads the partition next.
    ///
    /// # Errors
    /// What another try does not mend.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        self.commit_at = Instant::now() + self.options.auto_commit_interval;
        let news: BTreeMap<TopicPartition, i64> = self
            .positions
            .iter()
            .filter(|(at, offset)| self.committed.get(at) != Some(offset))
            .map(|(at, offset)| (at.clone(), *offset))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        if self.membership.commit_offsets(&news).await? {
            self.committed.extend(news);
        }
        Ok(())
    }

    /// Commits, and gives the partitions to the rest of the group at once.
    ///
    /// # Errors
    /// The commit failed; the group then notices the absence by itself.
    pub async fn close(mut self) -> Result<(), ClientError> {
        if self.options.auto_commit {
            self.commit().await?;
        }
        self.membership.leave().await;
        Ok(())
    }
}
