use std::sync::Arc;

use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, TopicId};

use crate::{BrokerRegistration, ConfigResource, Durability, PartitionImage, RecoveryState};

/// Something that happened to the cluster. Persisted (as `proto/metadata.proto`): meanings never change, new ones are added.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataRecord {
    /// A controller became active. The only record replayed whatever version it was decided on; its version is the controller epoch.
    Activate {
        /// The `node.id` of the controller that is now active.
        controller: BrokerId,
        /// The controller epoch, in snapshots alone; in the log it is the version the record's own entry gets.
        epoch: Option<u64>,
    },
    /// The cluster was formed: what the first controller writes once it is active.
    FormCluster {
        /// The cluster's id, as clients see it.
        cluster_id: Arc<str>,
    },
    /// A feature was finalized at a level (KIP-584); level 0 removes it.
    SetFeatureLevel {
        /// Its name, `metadata.version` for one.
        name: Arc<str>,
        /// Its finalized level.
        level: i16,
    },
    /// A broker registered; it starts fenced.
    RegisterBroker(Arc<BrokerRegistration>),
    /// A broker was removed for good.
    UnregisterBroker {
        /// Which.
        broker: BrokerId,
        /// Its epoch; another one leaves the record without effect.
        broker_epoch: BrokerEpoch,
    },
    /// A broker may lead nothing and is in no ISR until it is unfenced.
    FenceBroker {
        /// Which.
        broker: BrokerId,
        /// Its epoch; another one leaves the record without effect.
        broker_epoch: BrokerEpoch,
    },
    /// A broker is fit to lead and follow.
    UnfenceBroker {
        /// Which.
        broker: BrokerId,
        /// Its epoch; another one leaves the record without effect.
        broker_epoch: BrokerEpoch,
    },
    /// A broker asked to stop; it leads nothing new and leaves every ISR it can.
    StartControlledShutdown {
        /// Which.
        broker: BrokerId,
        /// Its epoch; another one leaves the record without effect.
        broker_epoch: BrokerEpoch,
    },
    /// A topic came to be, without partitions yet.
    CreateTopic {
        /// Its name.
        name: Arc<str>,
        /// Its id.
        topic_id: TopicId,
    },
    /// A topic is gone, with its partitions and settings.
    DeleteTopic {
        /// Which.
        topic_id: TopicId,
    },
    /// A partition came to be.
    CreatePartition {
        /// Its topic.
        topic_id: TopicId,
        /// Its index.
        partition: i32,
        /// All of its state.
        state: Arc<PartitionImage>,
    },
    /// A partition changed; its partition epoch rises by one.
    ChangePartition(PartitionChange),
    /// A setting got a value (`Some`) or went back to its default (`None`).
    SetConfig {
        /// Whose setting.
        resource: ConfigResource,
        /// Kafka's key.
        key: Arc<str>,
        /// The new value.
        value: Option<Arc<str>>,
    },
    /// A block of producer ids was given to a broker; all below `next_producer_id` are taken (KIP-730).
    AllocateProducerIds {
        /// To whom.
        broker: BrokerId,
        /// Its epoch.
        broker_epoch: BrokerEpoch,
        /// The first id still free.
        next_producer_id: i64,
    },
}

/// What changed of a partition; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartitionChange {
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index.
    pub partition: i32,
    /// The new leader; `Some(None)` is "leaderless".
    pub leader: Option<Option<BrokerId>>,
    /// Whether the leader epoch rises by one. Set with every new leader, and when the same leader must start anew.
    pub bump_leader_epoch: bool,
    /// The new in-sync replicas.
    pub isr: Option<Vec<BrokerId>>,
    /// The new eligible leader replicas (KIP-966).
    pub elr: Option<Vec<BrokerId>>,
    /// The new last known leader, remembered while the partition is leaderless.
    pub last_known_leader: Option<Option<BrokerId>>,
    /// The new replicas, in order of preference.
    pub replicas: Option<Vec<BrokerId>>,
    /// The directory of each of the replicas.
    pub directories: Option<Vec<DirectoryId>>,
    /// Replicas a reassignment is adding.
    pub adding_replicas: Option<Vec<BrokerId>>,
    /// Replicas a reassignment is removing.
    pub removing_replicas: Option<Vec<BrokerId>>,
    /// Whether the leader still has to recover from an unclean election.
    pub recovery_state: Option<RecoveryState>,
    /// The weakest durability that decides for the partition.
    pub durability: Option<Durability>,
}

impl MetadataRecord {
    /// At least as many bytes as the record takes in the log: what keeps entries under their limit.
    pub fn size_bound(&self) -> usize {
        const FIXED: usize = 64;
        const NUMBER: usize = 11;
        const ID: usize = 18;
        FIXED
            + match self {
                MetadataRecord::FormCluster { cluster_id: text }
                | MetadataRecord::SetFeatureLevel { name: text, .. } => text.len(),
                MetadataRecord::RegisterBroker(broker) => {
                    let listeners = broker.listeners.iter().map(|l| l.name.len() + l.host.len() + 4 * NUMBER);
                    let features = broker.features.iter().map(|(name, _, _)| name.len() + 4 * NUMBER);
                    let texts = [&broker.inter_broker_listener, &broker.boot_id].map(|text| text.len());
                    listeners.chain(features).chain(texts).sum::<usize>()
                        + broker.rack.as_ref().map_or(0, |rack| rack.len())
                        + (broker.directories.len() + broker.offline_directories.len()) * ID
                        + 8 * NUMBER
                }
                MetadataRecord::CreateTopic { name, .. } => name.len(),
                MetadataRecord::CreatePartition { state, .. } => {
                    let members =
                        [&state.replicas, &state.adding_replicas, &state.removing_replicas, &state.isr, &state.elr];
                    members.map(Vec::len).iter().sum::<usize>() * NUMBER + state.directories.len() * ID + 8 * NUMBER
                }
                MetadataRecord::ChangePartition(change) => {
                    let members = [
                        &change.replicas,
                        &change.adding_replicas,
                        &change.removing_replicas,
                        &change.isr,
                        &change.elr,
                    ];
                    members.map(|list| list.as_ref().map_or(0, Vec::len)).iter().sum::<usize>() * NUMBER
                        + change.directories.as_ref().map_or(0, Vec::len) * ID
                        + 16 * NUMBER
                }
                MetadataRecord::SetConfig { resource, key, value } => {
                    resource.name.len() + key.len() + value.as_ref().map_or(0, |value| value.len()) + 4 * NUMBER
                }
                _ => 4 * NUMBER,
            }
    }
}
