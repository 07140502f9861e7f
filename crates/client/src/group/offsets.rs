//! Committed offsets of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use raftsman_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use raftsman_types::TopicPartition;

use super::membership::{Membership, is_lost_place};
use crate::ClientError;
use crate::connection::check;
use crate::retry::Retry;

/// The last version for one group per request.
const OFFSET_FETCH_VERSION: i16 = 7;
/// The last version before member epochs (KIP-848).
const OFFSET_COMMIT_VERSION: i16 = 8;

impl Membership {
    /// What the group has committed for these partitions; those without are absent.
    pub async fn fetch_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for at in partitions {
            topics.entry(&at.topic).or_default().push(at.partition);
        }
        let request = OffsetFetchRequest {
            group_id: Str::copy_from(&self.options.group_id),
            topics: Some(
                topics
                    .into_iter()
                    .map(|(topic, partition_indexes)| OffsetFetchRequestTopic {
                        name: Str::from(topic.clone()),
                        partition_indexes,
                    })
                    .collect(),
            ),
            ..OffsetFetchRequest::default()
        };
        let result = match self.coordinator().await {
            Ok(connection) => connection.request(&request, OFFSET_FETCH_VERSION).await,
            Err(error) => Err(error),
        };
        let answer = result.inspect_err(|error| {
            self.may_try_again(error);
        })?;
        let what = || format!("committed offsets of group {}", self.options.group_id);
        check(answer.error_code, None, what)?;
        let mut committed = BTreeMap::new();
        for topic in &answer.topics {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            for partition in &topic.partitions {
                check(partition.error_code, None, what)?;
                if partition.committed_offset >= 0 {
                    committed.insert(crate::consumer::at(&name, partition.partition_index), partition.committed_offset);
                }
            }
        }
        Ok(committed)
    }

    /// Commits. Answers false if the group has changed meanwhile and the commit does not count.
    pub async fn commit_offsets(&mut self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<bool, ClientError> {
        let mut topics: BTreeMap<&Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (at, offset) in offsets {
            topics.entry(&at.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: at.partition,
                committed_offset: *offset,
                committed_leader_epoch: -1,
                committed_metadata: Some(Str::from("")),
                ..OffsetCommitRequestPartition::default()
            });
        }
        let request = OffsetCommitRequest {
            group_id: Str::copy_from(&self.options.group_id),
            generation_id_or_member_epoch: self.generation_id,
            member_id: Str::copy_from(&self.member_id),
            group_instance_id: self.instance_id(),
            retention_time_ms: -1,
            topics: topics
                .into_iter()
                .map(|(topic, partitions)| OffsetCommitRequestTopic {
                    name: Str::from(topic.clone()),
                    partitions,
                    ..OffsetCommitRequestTopic::default()
                })
                .collect(),
        };
        let mut retry = Retry::new(self.client.options(), self.client.options().api_timeout);
        loop {
            match self.try_commit(&request).await {
                Ok(()) => return Ok(true),
                Err(error) if is_lost_place(&error) => return Ok(false),
                Err(error) if self.may_try_again(&error) => {
                    let group = self.options.group_id.clone();
                    retry.pause(|| format!("committing offsets of group {group}: {error}")).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_commit(&mut self, request: &OffsetCommitRequest) -> Result<(), ClientError> {
        let answer = self.coordinator().await?.request(request, OFFSET_COMMIT_VERSION).await?;
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let what = || format!("committing offset of {}-{}", topic.name, partition.partition_index);
                check(partition.error_code, None, what)?;
            }
        }
        Ok(())
    }
}
