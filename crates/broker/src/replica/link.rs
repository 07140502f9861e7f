use std::future::Future;
use std::pin::Pin;

use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicIdPartition};

/// A future without a name, for traits used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What replicas need of the controller. The lifecycle implements it over the controller's client.
///
/// The two reports must not block: they are called from the tasks that replicate.
pub trait ControllerLink: Send + Sync + 'static {
    /// Asks the active controller to change in-sync replicas (KIP-497). At most one call is under way at a time.
    ///
    /// The implementation puts a deadline on it (a few seconds at most) and does not repeat the request by itself
    /// after the outcome became unknown: the leader's machine does that.
    fn alter_partition(&self, changes: Vec<IsrChange>)
    -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>>;

    /// This broker's connection to another one broke and a redial failed: the controller should look for itself.
    fn report_unreachable(&self, broker: BrokerId);

    /// A write or a flush in this log directory failed: it is offline from now on. Goes out in the next heartbeat.
    fn directory_offline(&self, directory: DirectoryId);

    /// A replica is in this log directory, or would be had that not failed; in the metadata it is in the other one, or nowhere yet (zero).
    /// The controller has to hear where they differ (KIP-858), also after this directory has failed. Must not block.
    ///
    /// Nothing to do for a link whose brokers have one directory each, which does not fail: the controller knows that from their
    /// registration.
    fn replica_is_in(&self, at: TopicIdPartition, actual: DirectoryId, recorded: DirectoryId) {
        let _ = (at, actual, recorded);
    }
}

/// One leader's wish for its partition's in-sync replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrChange {
    /// Whose.
    pub at: TopicIdPartition,
    /// The epoch it leads in.
    pub leader_epoch: LeaderEpoch,
    /// The state the change applies to: the controller refuses it on any other.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR, each with the broker epoch it was seen in (KIP-903).
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the leader has recovered from an unclean election (KIP-704).
    pub recovered: bool,
}

/// What the controller says about one change. How the partition is then comes with the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsrChangeResult {
    /// Whose.
    pub at: TopicIdPartition,
    /// `NONE` if the change stands.
    pub error: ErrorCode,
}

/// Why there is no answer for any of the changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsrChangeFailure {
    /// The request cannot have taken effect: it reached no active controller, or was refused as a whole.
    #[error("the controller did not take the request: {0}")]
    NotTaken(String),
    /// The request may have taken effect, or may yet.
    #[error("the controller's answer is missing: {0}")]
    Unknown(String),
}
