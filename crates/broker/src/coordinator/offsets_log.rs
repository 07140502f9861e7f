use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use raftsman_types::{LeaderEpoch, Offset, TopicIdPartition};
use tokio::time::Instant;

use crate::replica::{
    Acks, AppendError, AppendOrigin, Appended, FetchError, FetchRead, Fetched, Isolation, PartitionState,
    ReplicaManager,
};

/// What a coordinator needs of the replicas on this broker. Tests bring their own.
pub(crate) trait OffsetsLog: Send + Sync + 'static {
    /// Appends one batch at the end of the log, if this broker leads in this epoch; the in-sync replicas must be enough for
    /// acks=all.
    fn append(&self, at: TopicIdPartition, leader_epoch: LeaderEpoch, batch: Bytes) -> Result<Appended, AppendError>;

    /// Ends once everything up to `last_offset` is committed, or will not be here.
    fn committed(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        last_offset: Offset,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Reads committed batches from an offset on, at least one if there is one.
    fn read(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError>;

    /// The partition as it is now.
    fn state(&self, at: TopicIdPartition) -> Option<PartitionState>;

    /// Whether this broker leads the partition in this epoch and has heard of the controller lately, so that no other
    /// broker can have taken over without its knowing.
    fn is_serving(&self, at: TopicIdPartition, leader_epoch: LeaderEpoch) -> bool;
}

impl OffsetsLog for ReplicaManager {
    fn append(&self, at: TopicIdPartition, leader_epoch: LeaderEpoch, batch: Bytes) -> Result<Appended, AppendError> {
        ReplicaManager::append(self, at, batch, Acks::All, AppendOrigin::Coordinator(leader_epoch))
    }

    fn committed(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        last_offset: Offset,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), AppendError>> {
        let replicas = self.clone();
        let deadline = Instant::now() + timeout;
        async move { replicas.committed(at, leader_epoch, last_offset, deadline).await }.boxed()
    }

    fn read(
        &self,
        at: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        let read = FetchRead {
            fetch_offset: from,
            current_leader_epoch: Some(leader_epoch),
            last_fetched_epoch: None,
            max_bytes,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        self.fetch(at, read)
    }

    fn state(&self, at: TopicIdPartition) -> Option<PartitionState> {
        self.partition_state(at)
    }

    fn is_serving(&self, at: TopicIdPartition, leader_epoch: LeaderEpoch) -> bool {
        // Answered by a leader that may serve alone, whatever the epoch's end is.
        self.offset_for_leader_epoch(at, Some(leader_epoch), leader_epoch).is_ok()
    }
}
