use std::sync::Arc;

use raftsman_metadata::PartitionImage;
use raftsman_types::{BrokerEpoch, ErrorCode, TopicId, TopicIdPartition};

/// What a request is answered, once the state it was judged against is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To `RegisterBroker`.
    RegisterBroker(Result<Registered, RequestError>),
    /// To `AlterPartition`: one result per partition of the request, or an error for the whole.
    AlterPartition(Result<Vec<PartitionIsrResult>, RequestError>),
    /// To `AllocateProducerIds`.
    AllocateProducerIds(Result<ProducerIdBlock, RequestError>),
    /// To `CreateTopics`, `DeleteTopics`, `CreatePartitions` and `AlterConfigs`: one result per topic or resource, in the order of the
    /// request, or an error for the whole (a fenced sender).
    Administer(Result<Vec<OperationResult>, RequestError>),
    /// To `UnregisterBroker`, `AssignDirectories` and to what the controller asks of itself.
    Done(Result<(), RequestError>),
}

/// A definite no: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RequestError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What happened, to what, and what to do.
    pub message: String,
}

/// A registration that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The broker's epoch from now on.
    pub broker_epoch: BrokerEpoch,
    /// The cluster's id.
    pub cluster_id: Arc<str>,
}

/// One partition's result of an `AlterPartition`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionIsrResult {
    /// Which.
    pub at: TopicIdPartition,
    /// Kafka's code.
    pub error: ErrorCode,
    /// The partition as it is now, where it exists.
    pub state: Option<Arc<PartitionImage>>,
}

/// Producer ids that one broker may hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first of them.
    pub first_producer_id: i64,
    /// How many.
    pub count: i32,
}

/// What became of one topic or resource of an administrator's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationResult {
    /// Kafka's code.
    pub error: ErrorCode,
    /// The reason for people, with an error.
    pub message: Option<String>,
    /// The topic's or resource's name, where known.
    pub name: Option<Arc<str>>,
    /// The topic's id, where known; zero otherwise.
    pub topic_id: TopicId,
    /// How many partitions the topic has; -1 where it does not apply.
    pub partition_count: i32,
    /// How many replicas its partitions have; -1 where it does not apply.
    pub replication_factor: i32,
}
