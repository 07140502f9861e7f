use std::sync::Arc;

use raftsman_metadata::{ConfigResource, Durability, Listener};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition,
};

/// What is asked of the active controller, by brokers or by the controller itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A start of a broker registers itself.
    RegisterBroker(RegisterBroker),
    /// A broker that is stopped for good is forgotten (KIP-746).
    UnregisterBroker(BrokerReference),
    /// A broker is fit to lead and follow. Asked by the controller's own sessions.
    UnfenceBroker(BrokerReference),
    /// A broker is dead. Asked by the controller's own sessions.
    FenceBroker(BrokerReference),
    /// A broker lives and wants to be fenced, for its disk does not answer. Asked by the controller's own sessions.
    StandAside(BrokerReference),
    /// A broker wants to stop: its leaderships move away. Asked by the controller's own sessions.
    ControlledShutdown(BrokerReference),
    /// Log directories of a broker went offline: its replicas in them leave ISR and ELR.
    DirectoriesOffline {
        /// Whose.
        broker: BrokerReference,
        /// Which of its directories.
        directories: Vec<DirectoryId>,
    },
    /// A broker says in which of its log directories it keeps which replicas (KIP-858).
    AssignDirectories(AssignDirectories),
    /// A leader changes its in-sync replicas (KIP-497, KIP-903, KIP-966).
    AlterPartition(AlterPartition),
    /// A broker needs more producer ids (KIP-730).
    AllocateProducerIds(BrokerReference),
    /// Leaderships go back to preferred replicas that can take them. Asked by the controller itself.
    RebalanceLeaders,
    /// Topics are to be created.
    CreateTopics(CreateTopics),
    /// Topics are to be deleted.
    DeleteTopics(DeleteTopics),
    /// Topics are to get more partitions.
    CreatePartitions(CreatePartitions),
    /// Dynamic settings are to change.
    AlterConfigs(AlterConfigs),
}

/// One registration of a broker: a message that names an older one is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerReference {
    /// Its `node.id`.
    pub broker: BrokerId,
    /// The epoch of its registration.
    pub broker_epoch: BrokerEpoch,
}

/// A start of a broker, as it registers.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterBroker {
    /// Its `node.id`.
    pub broker: BrokerId,
    /// Which start of the process this is.
    pub incarnation: IncarnationId,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// The name of the listener that other brokers use.
    pub inter_broker_listener: Arc<str>,
    /// Its rack.
    pub rack: Option<Arc<str>>,
    /// Its online log directories.
    pub directories: Vec<DirectoryId>,
    /// How many more it has that cannot be used: while there is one, a directory that is not among the online ones has failed,
    /// and is not lost.
    pub offline_directories: usize,
    /// The features it supports, with the lowest and highest level of each.
    pub features: Vec<(Arc<str>, i16, i16)>,
    /// The kernel's boot id.
    pub boot_id: Arc<str>,
    /// The broker epoch in its clean-shutdown marker; `BrokerEpoch::NONE` after an unclean stop.
    pub clean_shutdown_epoch: BrokerEpoch,
    /// `min.insync.replicas` of its file, where given: counts only while the cluster has none.
    pub min_insync_replicas: Option<i32>,
    /// Replicas in which it found damage below the recovery point, or that were there and are gone.
    pub damaged: Vec<TopicIdPartition>,
    /// Replicas of which it found nothing, maybe because they were never made.
    pub missing: Vec<TopicIdPartition>,
    /// Its `log.durability`.
    pub log_durability: Durability,
}

/// Where a broker keeps replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignDirectories {
    /// Whose.
    pub sender: BrokerReference,
    /// What is where.
    pub assignments: Vec<DirectoryAssignment>,
}

/// Replicas in one log directory.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryAssignment {
    /// The directory.
    pub directory: DirectoryId,
    /// Whose replicas are in it.
    pub partitions: Vec<TopicIdPartition>,
    /// Whether it has failed since the broker registered: the replicas are lost.
    pub failed: bool,
}

/// What a leader wants its partitions' in-sync replicas to be.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterPartition {
    /// The leader.
    pub sender: BrokerReference,
    /// The partitions it leads.
    pub partitions: Vec<PartitionIsr>,
}

/// One partition of an `AlterPartition`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionIsr {
    /// Which.
    pub at: TopicIdPartition,
    /// The epoch in which the sender leads it.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch it knows: the change counts only on top of that.
    pub partition_epoch: PartitionEpoch,
    /// The new ISR, each member with the broker epoch the leader saw (KIP-903).
    pub new_isr: Vec<BrokerReference>,
    /// The leader has recovered from an unclean election.
    pub recovered: bool,
}

/// Topics to create.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTopics {
    /// The broker that forwards it.
    pub sender: BrokerReference,
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Whether to check alone.
    pub validate_only: bool,
}

/// One topic to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions; -1 for `num.partitions`.
    pub partition_count: i32,
    /// How many replicas of each; -1 for `default.replication.factor`.
    pub replication_factor: i32,
    /// Replicas by hand, by partition; empty to have them placed.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// Its settings.
    pub configs: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// Topics to delete.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteTopics {
    /// The broker that forwards it.
    pub sender: BrokerReference,
    /// The topics.
    pub topics: Vec<TopicReference>,
}

/// A topic by name or by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicReference {
    /// By name.
    Name(Arc<str>),
    /// By id (KIP-516).
    Id(TopicId),
}

/// Topics that shall have more partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatePartitions {
    /// The broker that forwards it.
    pub sender: BrokerReference,
    /// The topics.
    pub topics: Vec<MorePartitions>,
    /// Whether to check alone.
    pub validate_only: bool,
}

/// More partitions of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct MorePartitions {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it shall have in all.
    pub partition_count: i32,
    /// Replicas by hand of each new partition, in order; empty to have them placed.
    pub assignments: Vec<Vec<BrokerId>>,
}

/// Settings to change.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterConfigs {
    /// The broker that forwards it.
    pub sender: BrokerReference,
    /// The resources, with what shall change of each.
    pub resources: Vec<ResourceConfigs>,
    /// Whether to check alone.
    pub validate_only: bool,
    /// IncrementalAlterConfigs (KIP-339) changes what it names; AlterConfigs replaces all settings of a resource.
    pub incremental: bool,
}

/// Changes of one resource's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceConfigs {
    /// The resource; a type that has no settings here is answered as unsupported.
    pub resource: ConfigResource,
    /// The changes, in order.
    pub operations: Vec<ConfigOperation>,
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigOperation {
    /// Kafka's key.
    pub key: Arc<str>,
    /// The value to set, append or subtract.
    pub value: Option<Arc<str>>,
    /// What to do with it.
    pub kind: ConfigOperationKind,
}

/// KIP-339's operations, with their codes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigOperationKind {
    /// Gives the setting a value.
    Set = 0,
    /// Returns it to its default.
    Delete = 1,
    /// Adds elements to a list.
    Append = 2,
    /// Takes elements out of a list.
    Subtract = 3,
}

impl ConfigOperationKind {
    /// The operation of a code from the wire, if it is one.
    pub fn from_code(code: i32) -> Option<ConfigOperationKind> {
        Some(match code {
            0 => ConfigOperationKind::Set,
            1 => ConfigOperationKind::Delete,
            2 => ConfigOperationKind::Append,
            3 => ConfigOperationKind::Subtract,
            _ => return None,
        })
    }
}
