//! The leader's end of replication: followers' streams come in here.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use raftsman_rpc::replica as pb;
use raftsman_rpc::replica::replication_server::{Replication, ReplicationServer};
use tonic::{Request, Response, Status, Streaming};

use super::ReplicaManager;
use super::leader_end::{LeaderEnd, LeaderFrames};

/// The largest frame a follower may send: positions and acks only.
const FOLLOWER_FRAME_BYTES_MAX: usize = 4 << 20;

/// Serves followers: give [`server`](ReplicationService::server) to the gRPC router of the inter-broker listener.
#[derive(Clone)]
pub struct ReplicationService {
    manager: ReplicaManager,
}

impl ReplicationService {
    pub(super) fn new(manager: ReplicaManager) -> ReplicationService {
        ReplicationService { manager }
    }

    /// The service with its size limits set. The HTTP/2 server that carries it should have stream and connection
    /// windows of 1 MiB or more, for the acks of many partitions.
    pub fn server(self) -> ReplicationServer<ReplicationService> {
        ReplicationServer::new(self)
            .max_decoding_message_size(FOLLOWER_FRAME_BYTES_MAX)
            .max_encoding_message_size(usize::MAX)
    }
}

#[tonic::async_trait]
impl Replication for ReplicationService {
    type ReplicateStream = LeaderStream;

    async fn replicate(
        &self,
        request: Request<Streaming<pb::FollowerFrame>>,
    ) -> Result<Response<LeaderStream>, Status> {
        let mut incoming = request.into_inner();
        let first =
            incoming.message().await?.ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
        let end = LeaderEnd::open(&self.manager, first)?;
        let stream = LeaderStream { frames: end.frames() };
        // Acks are taken in by a task of their own, so that a transport without room for data does not hold them up.
        tokio::spawn(async move {
            // A broken stream and one that ended mean the same: the follower will be back on another one.
            while let Ok(Some(frame)) = incoming.message().await {
                end.take_in(frame);
            }
            end.ended();
        });
        Ok(Response::new(stream))
    }
}

/// What the leader says on one stream.
pub struct LeaderStream {
    frames: LeaderFrames,
}

impl Stream for LeaderStream {
    type Item = Result<pb::LeaderFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_frame(cx).map(|frame| frame.map(Ok))
    }
}
