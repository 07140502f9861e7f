use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use raftsman_rpc::raft as pb;
use raftsman_types::BrokerId;
use tokio::time::timeout;

use super::convert::member_from_pb;
use super::quorum::Quorum;
use super::types::{QuorumNode, RaftId};

/// How long a controller has to say what it is.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// Another controller, as it describes itself.
#[derive(Debug, Clone)]
pub(super) struct Described {
    /// Where it answered.
    pub address: String,
    /// Its id within Raft.
    pub raft_id: RaftId,
    /// Who it is.
    pub node: QuorumNode,
    /// Whether its metadata log is empty.
    pub pristine: bool,
    /// Whether it was in a cluster before all the same.
    pub lost_log: bool,
    /// The cluster it belongs to or has promised to help form.
    pub cluster_id: Option<String>,
    /// Who leads, as far as it knows.
    pub leader: Option<(RaftId, QuorumNode)>,
    /// Its `controller.quorum.voters`.
    pub listed: BTreeSet<BrokerId>,
}

impl Described {
    fn new(address: String, member: &pb::Member) -> Option<Described> {
        let identity = pb::MemberNode { raft_id: member.raft_id, node: member.node.clone() };
        let (raft_id, node) = member_from_pb(Some(&identity)).ok()?;
        Some(Described {
            address,
            raft_id,
            node,
            pristine: member.pristine,
            lost_log: member.lost_log,
            cluster_id: Some(member.cluster_id.clone()).filter(|id| !id.is_empty()),
            leader: member.leader.as_ref().and_then(|leader| member_from_pb(Some(leader)).ok()),
            listed: member.listed_voters.iter().copied().map(BrokerId).collect(),
        })
    }

    /// Whether it belongs to a cluster that is formed.
    pub fn is_member(&self) -> bool {
        !self.pristine && self.cluster_id.is_some()
    }
}

impl Quorum {
    /// What the controllers at these addresses are; of those that answer in time.
    pub(super) async fn describe(&self, addresses: impl IntoIterator<Item = String>) -> Vec<Described> {
        let asked = addresses.into_iter().map(|address| async move {
            let mut client = self.peers.client(&address).ok()?;
            let reply = timeout(ASK_TIMEOUT, client.describe_member(pb::DescribeMemberRequest {})).await.ok()?.ok()?;
            Described::new(address, &reply.into_inner())
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    pub(super) async fn describe_seeds(&self) -> Vec<Described> {
        self.describe(self.directory.seeds()).await
    }
}
