//! What the active controller decides: from an image and a request to records and a reply. Shape A's first half, pure;
//! one file per concern. The second half, `replay`, is in `raftsman-metadata`.
//!
//! A large change is cut into entries wherever the image is valid, so that no entry is larger than 256 KiB.

mod alter_partition;
mod assignment;
mod brokers;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod directories;
mod election;
#[cfg(test)]
mod election_tests;
mod formation;
mod outcome;
mod placement;
mod producer_ids;
mod rebalance;
mod registration;
mod reply;
mod request;
mod settings;

use raftsman_metadata::MetadataImage;
use raftsman_types::BrokerId;
use rand::Rng;

pub use formation::{activate, form_cluster};
pub use outcome::Outcome;
pub use rebalance::{LEADERS_MOVED_AT_ONCE, is_imbalanced};
pub use reply::{OperationResult, PartitionIsrResult, ProducerIdBlock, Registered, Reply, RequestError};
pub use request::{
    AlterConfigs, AlterPartition, AssignDirectories, BrokerReference, ConfigOperation, ConfigOperationKind,
    CreatePartitions, CreateTopics, DeleteTopics, DirectoryAssignment, MorePartitions, NewTopic, PartitionIsr,
    RegisterBroker, Request, ResourceConfigs, TopicReference,
};
pub use settings::ClusterSettings;

/// What a request is judged against.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// What the controller's file says.
    pub settings: &'a ClusterSettings,
    /// All metadata.
    pub image: &'a MetadataImage,
    /// What is known of the process that is registered as a broker.
    pub liveness: &'a dyn Fn(BrokerId) -> Liveness,
}

/// What the controller knows of the process that is registered as a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Its session stream stands and is heard: nobody else can be that broker.
    Lives,
    /// It has no stream, but its session has not passed: it may have restarted, or may only not have found this controller yet.
    Unheard,
    /// It is dead, or was never heard.
    Gone,
}

/// Decides a request: nothing is changed, the outcome says what shall be.
pub fn decide(situation: &Situation<'_>, request: &Request, rng: &mut impl Rng) -> Outcome {
    match request {
        Request::RegisterBroker(request) => registration::register(situation, request),
        Request::UnregisterBroker(broker) => brokers::unregister(situation, *broker),
        Request::UnfenceBroker(broker) => brokers::unfence(situation, *broker),
        Request::FenceBroker(broker) => brokers::fence(situation, *broker),
        Request::StandAside(broker) => brokers::stand_aside(situation, *broker),
        Request::ControlledShutdown(broker) => brokers::controlled_shutdown(situation, *broker),
        Request::DirectoriesOffline { broker, directories } => directories::offline(situation, *broker, directories),
        Request::AssignDirectories(request) => directories::assign(situation, request),
        Request::AlterPartition(request) => alter_partition::alter_partition(situation, request),
        Request::AllocateProducerIds(sender) => producer_ids::allocate(situation, *sender),
        Request::RebalanceLeaders => rebalance::rebalance(situation),
        Request::CreateTopics(request) => create_topics::create_topics(situation, request, rng),
        Request::DeleteTopics(request) => delete_topics::delete_topics(situation, request),
        Request::CreatePartitions(request) => create_partitions::create_partitions(situation, request, rng),
        Request::AlterConfigs(request) => configs::alter_configs(situation, request),
    }
}
