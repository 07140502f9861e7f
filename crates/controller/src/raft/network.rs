use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::SnapshotSegmentId;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, SnapshotMismatch, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use raftsman_rpc::ConvertError;
use raftsman_rpc::raft as pb;
use raftsman_rpc::raft::raft_client::RaftClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::convert::{
    append_reply_from_pb, append_to_pb, required_vote, snapshot_meta_to_pb, vote_reply_from_pb, vote_request_to_pb,
    vote_to_pb,
};
use super::directory::Directory;
use super::identity::Identity;
use super::peers::{client, endpoint};
use super::types::{QuorumNode, RaftId, TypeConfig};

/// How soon an unreachable member is tried again: openraft's own 500 ms lets a restarted member lag.
const RETRY: Duration = Duration::from_millis(50);

type RpcError<E = openraft::error::Infallible> = RPCError<RaftId, QuorumNode, RaftError<RaftId, E>>;

/// Makes the connections that Raft's own messages go over: one per member, shared with nothing else.
pub(super) struct NetworkFactory {
    pub identity: Arc<Identity>,
    pub directory: Arc<Directory>,
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: RaftId, node: &QuorumNode) -> Network {
        let (identity, directory) = (self.identity.clone(), self.directory.clone());
        Network { identity, directory, target, node: node.clone(), connection: None }
    }
}

/// Raft's connection to one member.
pub(super) struct Network {
    identity: Arc<Identity>,
    directory: Arc<Directory>,
    target: RaftId,
    node: QuorumNode,
    /// The client of the address where the member was looked for last.
    connection: Option<(String, RaftClient<Channel>)>,
}

impl Network {
    fn envelope(&self) -> pb::Envelope {
        let cluster_id = self.identity.binding().map(|binding| binding.cluster_id.to_string()).unwrap_or_default();
        pb::Envelope { cluster_id, from: self.identity.raft_id(), to: self.target }
    }

    fn client(&mut self) -> Result<RaftClient<Channel>, Unreachable> {
        let address = self.directory.address_of(&self.node);
        if let Some((at, client)) = &self.connection
            && *at == address
        {
            return Ok(client.clone());
        }
        let made = endpoint(&address).map(|endpoint| client(endpoint.connect_lazy())).map_err(|error| {
            self.directory.not_at(&self.node, &address);
            Unreachable::new(&Status::invalid_argument(format!("{address} is no address: {error}")))
        })?;
        Ok(self.connection.insert((address, made)).1.clone())
    }

    /// Notes that the member was not found where it was looked for, if that is what an answer means.
    fn learn<T, E: std::error::Error>(&self, answer: &Result<T, RpcError<E>>) {
        if let (Err(RPCError::Unreachable(_)), Some((address, _))) = (answer, &self.connection) {
            self.directory.not_at(&self.node, address);
        }
    }
}

/// Waits for an answer until the deadline. A member that is down is `Unreachable`, which makes Raft wait before it tries again;
/// any other failure has taken its time already.
async fn answer<T, E: std::error::Error>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    option: &RPCOption,
) -> Result<T, RpcError<E>> {
    match tokio::time::timeout(option.hard_ttl(), call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) => {
            Err(NetworkError::new(&status).into())
        }
        Ok(Err(status)) => Err(Unreachable::new(&status).into()),
        Err(elapsed) => Err(NetworkError::new(&elapsed).into()),
    }
}

fn garbled<E: std::error::Error>(error: &ConvertError) -> RpcError<E> {
    Unreachable::new(error).into()
}

impl RaftNetwork<TypeConfig> for Network {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftId>, RpcError> {
        let request = append_to_pb(&rpc, self.envelope());
        let mut client = self.client()?;
        let reply = answer(client.append_entries(request), &option).await;
        self.learn(&reply);
        let reply = reply?;
        append_reply_from_pb(&reply).map_err(|e| garbled(&e))
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<RaftId>, RpcError<InstallSnapshotError>> {
        let request = pb::InstallSnapshotRequest {
            envelope: Some(self.envelope()),
            vote: Some(vote_to_pb(&rpc.vote)),
            // The image's version is inside of the data: here it is not looked at.
            meta: Some(snapshot_meta_to_pb(&rpc.meta, 0)),
            offset: rpc.offset,
            data: rpc.data.into(),
            done: rpc.done,
        };
        let mut client = self.client()?;
        let reply = answer(client.install_snapshot(request), &option).await;
        self.learn(&reply);
        let reply = reply?;
        if let Some(expected) = reply.expected_offset {
            let segment = |offset| SnapshotSegmentId { id: rpc.meta.snapshot_id.clone(), offset };
            let mismatch = SnapshotMismatch { expect: segment(expected), got: segment(rpc.offset) };
            let refused = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
            return Err(RemoteError::new(self.target, refused).into());
        }
        Ok(InstallSnapshotResponse { vote: required_vote(reply.vote.as_ref()).map_err(|e| garbled(&e))? })
    }

    async fn vote(&mut self, rpc: VoteRequest<RaftId>, option: RPCOption) -> Result<VoteResponse<RaftId>, RpcError> {
        let request = vote_request_to_pb(&rpc, self.envelope());
        let mut client = self.client()?;
        let reply = answer(client.vote(request), &option).await;
        self.learn(&reply);
        let reply = reply?;
        vote_reply_from_pb(&reply).map_err(|e| garbled(&e))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY))
    }
}
