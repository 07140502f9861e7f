//! What the active controller decides: from an image and a request to records and a reply. Shape A's first half, pure.

mod reply;
mod request;
mod settings;

pub use reply::{OperationResult, PartitionIsrResult, ProducerIdBlock, Registered, Reply, RequestError};
pub use request::{
    AlterConfigs, AlterPartition, BrokerReference, ConfigOperation, ConfigOperationKind, CreatePartitions,
    CreateTopics, DeleteTopics, MorePartitions, NewTopic, PartitionIsr, RegisterBroker, Request, ResourceConfigs,
    TopicReference,
};
pub use settings::ClusterSettings;
