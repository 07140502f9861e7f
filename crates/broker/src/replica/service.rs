//! The leader's end of replication: followers' streams come in here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use raftsman_replication::SubscribeRequest;
use raftsman_rpc::replica as pb;
use raftsman_rpc::replica::replication_server::{Replication, ReplicationServer};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};
use tonic::{Request, Response, Status, Streaming};

use super::ReplicaManager;
use super::session::Session;

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

    fn check_hello(&self, hello: Option<pb::Hello>) -> Result<pb::Hello, Status> {
        let core = self.manager.core();
        let hello = hello.ok_or_else(|| Status::invalid_argument("the first frame has to say hello"))?;
        if hello.leader_id != core.me().0 {
            return Err(Status::failed_precondition(format!(
                "this is broker {}, and broker {} was meant: the address was given to another node",
                core.me(),
                hello.leader_id
            )));
        }
        if let Some(cluster_id) = &core.image().cluster_id
            && **cluster_id != *hello.cluster_id
        {
            return Err(Status::failed_precondition(format!(
                "this broker is in cluster {cluster_id}, and broker {} in {}",
                hello.broker_id, hello.cluster_id
            )));
        }
        Ok(hello)
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
        let mut first =
            incoming.message().await?.ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
        let hello = self.check_hello(first.hello.take())?;
        let session = Session::new(BrokerId(hello.broker_id), BrokerEpoch(hello.broker_epoch), hello.stream);
        let frame_bytes = self.manager.core().config.frame_bytes;
        let stream = LeaderStream { session: Arc::clone(&session), frame_bytes };
        let manager = self.manager.clone();
        // Acks are taken in by a task of their own, so that a transport without room for data does not hold them up.
        tokio::spawn(async move {
            take_in(&manager, &session, first);
            // A broken stream and one that ended mean the same: the follower will be back on another one.
            while let Ok(Some(frame)) = incoming.message().await {
                take_in(&manager, &session, frame);
            }
            session.close();
        });
        Ok(Response::new(stream))
    }
}

/// What the leader says on one stream.
pub struct LeaderStream {
    session: Arc<Session>,
    frame_bytes: usize,
}

impl Stream for LeaderStream {
    type Item = Result<pb::LeaderFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.session.poll_frame(cx, self.frame_bytes).map(|frame| frame.map(Ok))
    }
}

impl Drop for LeaderStream {
    fn drop(&mut self) {
        self.session.close();
    }
}

fn take_in(manager: &ReplicaManager, session: &Arc<Session>, frame: pb::FollowerFrame) {
    for subscription in frame.unsubscribe {
        if let Some(partition) = session.partition(subscription) {
            session.forget(subscription);
            partition.unsubscribed(session.key(subscription));
        }
    }
    for ack in frame.acks {
        if let Some(partition) = session.partition(ack.subscription) {
            partition.acked(session.key(ack.subscription), ack.written_offset, ack.flushed_offset);
        }
    }
    if frame.credit_bytes > 0 {
        session.add_credit(frame.credit_bytes);
    }
    for subscribe in frame.subscribe {
        open_subscription(manager, session, &subscribe);
    }
}

fn open_subscription(manager: &ReplicaManager, session: &Arc<Session>, subscribe: &pb::Subscribe) {
    let Ok(topic_id) = raftsman_rpc::id_from_bytes("topic_id", &subscribe.topic_id) else {
        return session.refuse(subscribe.subscription, ErrorCode::InvalidRequest, 0);
    };
    let at = TopicIdPartition { topic_id: TopicId(topic_id), partition: subscribe.partition };
    let Some(partition) = manager.partition(at) else {
        // Not here, or not yet: the follower's metadata may be ahead.
        return session.refuse(subscribe.subscription, ErrorCode::NotLeaderOrFollower, 0);
    };
    let request = SubscribeRequest {
        key: session.key(subscribe.subscription),
        leader_epoch: LeaderEpoch(subscribe.leader_epoch),
        log_end_offset: subscribe.log_end_offset,
        last_epoch: LeaderEpoch(subscribe.last_epoch),
        flushed_offset: subscribe.flushed_offset,
    };
    partition.subscribe(session, request);
}
