use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use raftsman_protocol::Str;

use crate::config::BrokerConfig;
use crate::coordinator::CoordinatorService;
use crate::lifecycle::BrokerIdentity;
use crate::metadata::{ControllerClient, MetadataCache, ProducerIds};
use crate::replica::ReplicaManager;

/// What every handler is given besides its request: who asks, over what, and what this broker has.
#[derive(Clone)]
pub struct Context {
    /// The name of the listener the connection came in on.
    pub listener: Arc<str>,
    /// Who is asking, `User:ANONYMOUS` without authentication.
    pub principal: Arc<str>,
    /// What the client calls itself.
    pub client_id: Option<Str>,
    /// Where the connection comes from.
    pub client_address: SocketAddr,
    /// When it connected.
    pub connected_at: Instant,
    /// This broker's parts.
    pub state: Arc<BrokerState>,
}

/// The parts of a broker that handlers delegate to.
pub struct BrokerState {
    /// Its settings.
    pub config: Arc<BrokerConfig>,
    /// Who this broker is in the cluster: id, epoch, and whether the controller has been heard of lately.
    pub identity: Arc<BrokerIdentity>,
    /// The cluster's metadata as this broker knows it.
    pub metadata: MetadataCache,
    /// The way to the active controller.
    pub controller: ControllerClient,
    /// Producer ids for producers without transactions.
    pub producer_ids: ProducerIds,
    /// The replicas on it.
    pub replicas: ReplicaManager,
    /// The groups it coordinates.
    pub coordinator: CoordinatorService,
}
