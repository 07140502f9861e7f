use std::sync::Arc;
use std::task::{Context, Poll};

use raftsman_replication::SubscribeRequest;
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};
use tonic::Status;

use super::ReplicaManager;
use super::session::Session;

/// A leader's end of one follower's connection, without the transport: frames go in and come out.
pub(super) struct LeaderEnd {
    manager: ReplicaManager,
    session: Arc<Session>,
}

impl LeaderEnd {
    /// Begins with the follower's first frame, which says hello.
    ///
    /// # Errors
    /// If another broker or another cluster is meant.
    pub fn open(manager: &ReplicaManager, mut first: pb::FollowerFrame) -> Result<LeaderEnd, Status> {
        let hello = check_hello(manager, first.hello.take())?;
        let session =
            Session::new(manager.core(), BrokerId(hello.broker_id), BrokerEpoch(hello.broker_epoch), hello.stream);
        let end = LeaderEnd { manager: manager.clone(), session };
        end.take_in(first);
        Ok(end)
    }

    /// What this end says.
    pub fn frames(&self) -> LeaderFrames {
        let frame_bytes = self.manager.core().config.frame_bytes;
        LeaderFrames { session: Arc::clone(&self.session), frame_bytes }
    }

    /// Takes a frame of the follower's.
    pub fn take_in(&self, frame: pb::FollowerFrame) {
        let session = &self.session;
        for subscription in frame.unsubscribe {
            if let Some(partition) = session.partition(subscription) {
                session.forget(subscription);
                partition.unsubscribed(session.key(subscription));
            }
        }
        for subscription in frame.without_room {
            if let Some(partition) = session.partition(subscription) {
                partition.follower_without_room(session.key(subscription));
            }
        }
        for ack in frame.acks {
            if let Some(partition) = session.partition(ack.subscription) {
                partition.acked(session.key(ack.subscription), &ack);
            }
        }
        session.allow(frame.allowances);
        if frame.credit_bytes > 0 {
            session.add_credit(frame.credit_bytes);
        }
        for subscribe in frame.subscribe {
            self.open_subscription(&subscribe);
        }
    }

    /// The connection is over.
    pub fn ended(&self) {
        self.session.close();
    }

    fn open_subscription(&self, subscribe: &pb::Subscribe) {
        let session = &self.session;
        let Ok(topic_id) = raftsman_rpc::id_from_bytes("topic_id", &subscribe.topic_id) else {
            return session.refuse(subscribe.subscription, ErrorCode::InvalidRequest, 0);
        };
        let at = TopicIdPartition { topic_id: TopicId(topic_id), partition: subscribe.partition };
        let Some(partition) = self.manager.partition(at) else {
            // Not here, or not yet: the follower's metadata may be ahead.
            return session.refuse(subscribe.subscription, ErrorCode::NotLeaderOrFollower, 0);
        };
        let request = SubscribeRequest {
            key: session.key(subscribe.subscription),
            leader_epoch: LeaderEpoch(subscribe.leader_epoch),
            log_end_offset: subscribe.log_end_offset,
            last_epoch: LeaderEpoch(subscribe.last_epoch),
            flushed_offset: subscribe.flushed_offset,
            log_start_offset: subscribe.log_start_offset,
        };
        if subscribe.throttled {
            session.begin_throttled(subscribe.subscription);
        }
        partition.subscribe(session, request);
    }
}

/// What a leader says on one connection; the connection is over when it is dropped.
pub(super) struct LeaderFrames {
    session: Arc<Session>,
    frame_bytes: usize,
}

impl LeaderFrames {
    /// The next frame, once there is something to say; `None` when the connection is over.
    pub fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<pb::LeaderFrame>> {
        self.session.poll_frame(cx, self.frame_bytes)
    }
}

impl Drop for LeaderFrames {
    fn drop(&mut self) {
        self.session.close();
    }
}

fn check_hello(manager: &ReplicaManager, hello: Option<pb::Hello>) -> Result<pb::Hello, Status> {
    let core = manager.core();
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
