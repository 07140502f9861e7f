use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, stream};
use openraft::error::{InstallSnapshotError, RaftError};
use openraft::raft::InstallSnapshotRequest;
use raftsman_rpc::raft as pb;
use raftsman_rpc::raft::raft_server;
use raftsman_rpc::{ConvertError, raft::raft_server::RaftServer};
use tonic::{Request, Response, Status};

use super::convert::{
    append_from_pb, append_reply_to_pb, log_id_to_pb, member_from_pb, member_to_pb, node_to_pb, required_vote,
    snapshot_meta_from_pb, vote_reply_to_pb, vote_request_from_pb, vote_to_pb,
};
use super::membership::Joining;
use super::peers::MAX_MESSAGE_BYTES;
use super::quorum::Quorum;
use super::types::{LogId, RaftId};

/// Answers the other controllers.
pub(crate) struct RaftService {
    quorum: Arc<Quorum>,
}

impl RaftService {
    /// The gRPC service over this controller's part in the quorum.
    pub fn server(quorum: Arc<Quorum>) -> RaftServer<RaftService> {
        RaftServer::new(RaftService { quorum }).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Refuses what is meant for another cluster or another member: addresses are given to other nodes at times.
    fn check(&self, envelope: Option<&pb::Envelope>) -> Result<RaftId, Status> {
        let envelope = envelope.ok_or_else(|| garbled(&ConvertError::Missing("envelope")))?;
        let own_id = self.quorum.identity.raft_id();
        let Some(binding) = self.quorum.identity.binding() else {
            return Err(Status::failed_precondition("this controller belongs to no cluster yet"));
        };
        if *binding.cluster_id != *envelope.cluster_id {
            return Err(Status::failed_precondition(format!(
                "this controller belongs to cluster {}, the message is of cluster {}",
                binding.cluster_id, envelope.cluster_id
            )));
        }
        if envelope.to != own_id {
            return Err(Status::failed_precondition(format!("this is member {own_id}, not {}", envelope.to)));
        }
        Ok(envelope.from)
    }

    fn describe(&self) -> Result<pb::Member, Status> {
        let quorum = &self.quorum;
        let binding = quorum.identity.binding();
        let leader = {
            let metrics = quorum.metrics().borrow().clone();
            metrics
                .current_leader
                .and_then(|id| metrics.membership_config.membership().get_node(&id).map(|node| member_to_pb(id, node)))
        };
        let pristine = quorum.is_pristine().map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(pb::Member {
            raft_id: quorum.identity.raft_id(),
            node: Some(node_to_pb(quorum.directory.own())),
            pristine,
            cluster_id: binding.as_ref().map(|b| b.cluster_id.to_string()).unwrap_or_default(),
            promised_to: binding.and_then(|b| b.promised_to),
            leader,
            lost_log: pristine && quorum.directory.earlier_life().is_some(),
            listed_voters: quorum.directory.listed().into_keys().map(|id| id.0).collect(),
        })
    }
}

fn garbled(error: &ConvertError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("Raft has stopped here: {error}"))
}

type Standings = Pin<Box<dyn Stream<Item = Result<pb::Standing, Status>> + Send>>;

#[tonic::async_trait]
impl raft_server::Raft for RaftService {
    type StandStream = Standings;

    async fn append_entries(
        &self,
        request: Request<pb::AppendEntriesRequest>,
    ) -> Result<Response<pb::AppendEntriesReply>, Status> {
        self.check(request.get_ref().envelope.as_ref())?;
        let request = append_from_pb(request.into_inner()).map_err(|e| garbled(&e))?;
        let reply = self.quorum.raft.append_entries(request).await.map_err(stopped)?;
        Ok(Response::new(append_reply_to_pb(&reply)))
    }

    async fn vote(&self, request: Request<pb::VoteRequest>) -> Result<Response<pb::VoteReply>, Status> {
        self.check(request.get_ref().envelope.as_ref())?;
        let request = vote_request_from_pb(request.get_ref()).map_err(|e| garbled(&e))?;
        let reply = self.quorum.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(vote_reply_to_pb(&reply)))
    }

    async fn install_snapshot(
        &self,
        request: Request<pb::InstallSnapshotRequest>,
    ) -> Result<Response<pb::InstallSnapshotReply>, Status> {
        self.check(request.get_ref().envelope.as_ref())?;
        let request = request.into_inner();
        let meta = request.meta.as_ref().ok_or_else(|| garbled(&ConvertError::Missing("meta")))?;
        let part = InstallSnapshotRequest {
            vote: required_vote(request.vote.as_ref()).map_err(|e| garbled(&e))?,
            meta: snapshot_meta_from_pb(meta).map_err(|e| garbled(&e))?,
            offset: request.offset,
            data: request.data.into(),
            done: request.done,
        };
        match self.quorum.raft.install_snapshot(part).await {
            Ok(reply) => Ok(Response::new(pb::InstallSnapshotReply {
                vote: Some(vote_to_pb(&reply.vote)),
                expected_offset: None,
            })),
            Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                let expected_offset = Some(mismatch.expect.offset);
                Ok(Response::new(pb::InstallSnapshotReply { vote: None, expected_offset }))
            }
            Err(RaftError::Fatal(fatal)) => Err(stopped(fatal)),
        }
    }

    /// Says nothing, as long as this process lives.
    async fn stand(&self, request: Request<pb::StandRequest>) -> Result<Response<Standings>, Status> {
        self.check(request.get_ref().envelope.as_ref())?;
        Ok(Response::new(Box::pin(stream::pending())))
    }

    async fn log_position(
        &self,
        request: Request<pb::LogPositionRequest>,
    ) -> Result<Response<pb::LogPositionReply>, Status> {
        self.check(request.get_ref().envelope.as_ref())?;
        if self.quorum.metrics().borrow().current_leader == Some(request.get_ref().dead_leader) {
            self.quorum.leader_suspected.notify_one();
        }
        let last_log_id = self.quorum.last_log_id().as_ref().map(log_id_to_pb);
        Ok(Response::new(pb::LogPositionReply { last_log_id }))
    }

    async fn describe_member(
        &self,
        _request: Request<pb::DescribeMemberRequest>,
    ) -> Result<Response<pb::Member>, Status> {
        Ok(Response::new(self.describe()?))
    }

    async fn promise(&self, request: Request<pb::PromiseRequest>) -> Result<Response<pb::PromiseReply>, Status> {
        let request = request.into_inner();
        let (candidate, _) = member_from_pb(request.candidate.as_ref()).map_err(|e| garbled(&e))?;
        if request.to != self.quorum.identity.raft_id() || request.cluster_id.is_empty() {
            return Err(Status::failed_precondition("the promise is asked of somebody else"));
        }
        let promised = self
            .quorum
            .promise(&request.cluster_id, candidate)
            .await
            .map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(Response::new(pb::PromiseReply { promised, member: Some(self.describe()?) }))
    }

    async fn join(&self, request: Request<pb::JoinRequest>) -> Result<Response<pb::JoinReply>, Status> {
        let request = request.into_inner();
        let (raft_id, node) = member_from_pb(request.member.as_ref()).map_err(|e| garbled(&e))?;
        let cluster_id = self.quorum.identity.binding().map(|b| b.cluster_id.to_string()).unwrap_or_default();
        if request.cluster_id != cluster_id || cluster_id.is_empty() {
            return Err(Status::failed_precondition(format!(
                "this controller belongs to cluster {cluster_id:?}, the joining one to {:?}",
                request.cluster_id
            )));
        }
        let (joined, leader) = match self.quorum.let_in(raft_id, node).await {
            Joining::Joined => (true, None),
            Joining::NotLeader(leader) => (false, leader.map(|(id, node)| member_to_pb(id, &node))),
            Joining::Refused(reason) => return Err(Status::already_exists(reason)),
        };
        Ok(Response::new(pb::JoinReply { cluster_id, joined, leader }))
    }
}

impl Quorum {
    /// How far the log goes here.
    pub(super) fn last_log_id(&self) -> Option<LogId> {
        self.log.last_log_id().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot say how far the log goes");
            None
        })
    }
}
