use std::sync::Arc;

use raftsman_types::BrokerId;

/// How a controller is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerHealth {
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// The cluster it belongs to, once that is formed and known here.
    pub cluster_id: Option<Arc<str>>,
    /// The cluster it is bound to already: the same, or one that it joins or has promised to help form.
    pub bound_to: Option<Arc<str>>,
    /// The `node.id` of the active controller, where it is known.
    pub active_controller: Option<BrokerId>,
    /// Whether this controller is active: it leads the quorum and decides.
    pub is_active: bool,
    /// The version of the metadata applied here.
    pub metadata_version: u64,
    /// How many controllers vote.
    pub voters: usize,
    /// How many controllers only follow.
    pub learners: usize,
    /// Why this controller has stopped for good, with what to do about it. The process should end.
    pub failure: Option<String>,
}

impl ControllerHealth {
    /// Nothing is known yet.
    pub(crate) fn starting(node_id: BrokerId) -> ControllerHealth {
        ControllerHealth {
            node_id,
            cluster_id: None,
            bound_to: None,
            active_controller: None,
            is_active: false,
            metadata_version: 0,
            voters: 0,
            learners: 0,
            failure: None,
        }
    }
}
