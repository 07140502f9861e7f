use std::collections::BTreeSet;
use std::sync::Arc;

use raftsman_metadata::{Durability, Listener, features};
use raftsman_rpc::controller::{RegisterBrokerRequest, Sender};
use raftsman_rpc::{id_bytes, metadata as pb};
use raftsman_types::{BrokerEpoch, DirectoryId, TopicIdPartition};

use super::BrokerIdentity;
use crate::replica::MissingReplicas;

/// What this start of the broker tells the controller of itself.
pub(crate) struct Registration {
    /// Its endpoints.
    pub(crate) listeners: Vec<Listener>,
    /// Which of them is for brokers.
    pub(crate) inter_broker_listener: Arc<str>,
    /// Its rack.
    pub(crate) rack: Option<Arc<str>>,
    /// The ids of the log directories that were online when it started.
    pub(crate) directories: Vec<DirectoryId>,
    /// How many were not.
    pub(crate) offline_directories: usize,
    /// The kernel's boot id.
    pub(crate) boot_id: String,
    /// The epoch in the clean-shutdown marker; `BrokerEpoch::NONE` after an unclean stop.
    pub(crate) clean_shutdown_epoch: BrokerEpoch,
    /// `min.insync.replicas` of its file.
    pub(crate) min_insync_replicas: i32,
    /// Replicas found damaged below their recovery point.
    pub(crate) damaged: Vec<TopicIdPartition>,
    /// Its `log.durability`.
    pub(crate) durability: Durability,
}

impl Registration {
    /// The request. A process that registers again was never down: its last epoch says so like a clean stop's.
    /// `missing` is what it has not, as the metadata showed it.
    pub(super) fn request(
        &self,
        identity: &BrokerIdentity,
        sender: Sender,
        missing: &MissingReplicas,
    ) -> RegisterBrokerRequest {
        let all = |replicas: &BTreeSet<TopicIdPartition>| replicas.iter().map(|at| (*at).into()).collect();
        let last_epoch = identity.broker_epoch();
        let again = last_epoch != BrokerEpoch::NONE;
        let offline = identity.offline_directories();
        let is_offline = |directory: &&DirectoryId| offline.contains(directory);
        let failed = self.offline_directories + self.directories.iter().filter(is_offline).count();
        let online = self.directories.iter().filter(|directory| !is_offline(directory));
        RegisterBrokerRequest {
            sender: Some(sender),
            incarnation: id_bytes(identity.incarnation.0),
            listeners: self.listeners.iter().map(pb::Listener::from).collect(),
            inter_broker_listener: self.inter_broker_listener.to_string(),
            rack: self.rack.as_deref().map(str::to_owned),
            directories: online.map(|directory| id_bytes(directory.0)).collect(),
            offline_directories: u32::try_from(failed).unwrap_or(u32::MAX),
            features: features::SUPPORTED
                .iter()
                .map(|(name, min, max)| pb::SupportedFeature {
                    name: (*name).to_owned(),
                    min_level: i32::from(*min),
                    max_level: i32::from(*max),
                })
                .collect(),
            boot_id: self.boot_id.clone(),
            clean_shutdown_epoch: if again { last_epoch.0 } else { self.clean_shutdown_epoch.0 },
            min_insync_replicas: self.min_insync_replicas,
            // The controller has heard of them; meanwhile they may have been repaired from a leader.
            damaged: if again { all(&missing.gone) } else { self.damaged.iter().map(|at| (*at).into()).collect() },
            missing: all(&missing.never_made),
            durability: pb::Durability::from(self.durability).into(),
        }
    }
}
