//! The first records of a cluster, and of each active controller.

use std::sync::Arc;

use raftsman_metadata::{ConfigResource, MetadataRecord, features};
use raftsman_types::BrokerId;

use super::ClusterSettings;

/// What a controller writes before it decides anything.
pub fn activate(controller: BrokerId) -> Vec<MetadataRecord> {
    vec![MetadataRecord::Activate { controller, epoch: None }]
}

/// What forms a cluster: its id, the features that work, and the `min.insync.replicas` of the node that forms it.
pub fn form_cluster(settings: &ClusterSettings, cluster_id: &Arc<str>) -> Vec<MetadataRecord> {
    let mut records = vec![MetadataRecord::FormCluster { cluster_id: cluster_id.clone() }];
    records.extend(
        features::FINALIZED_AT_FORMATION
            .iter()
            .map(|(name, level)| MetadataRecord::SetFeatureLevel { name: (*name).into(), level: *level }),
    );
    if let Some(min_insync_replicas) = settings.min_insync_replicas {
        records.push(MetadataRecord::SetConfig {
            resource: ConfigResource::cluster(),
            key: "min.insync.replicas".into(),
            value: Some(min_insync_replicas.max(1).to_string().into()),
        });
    }
    records
}
