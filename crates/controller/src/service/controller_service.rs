use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use raftsman_rpc::ConvertError;
use raftsman_rpc::controller as pb;
use raftsman_rpc::controller::controller_server::{self, ControllerServer};
use raftsman_types::{BrokerId, ErrorCode};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Answer, Input};
use super::{convert, reply, session, watch as watcher};
use crate::decide;
use crate::heartbeat::{SessionEvent, StreamId};
use crate::raft::{Quorum, QuorumState};

/// The largest request of a broker: an administrator's change of many topics.
const MAX_REQUEST_BYTES: usize = 8 << 20;
/// How long a request may take before its outcome is reported as unknown.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers brokers.
pub(crate) struct ControllerService {
    quorum: Arc<Quorum>,
    states: watch::Receiver<QuorumState>,
    inputs: mpsc::Sender<Input>,
    next_stream: AtomicU64,
    /// Where watchers are fed: beside the actor, not beside Raft.
    feeders: Handle,
}

impl ControllerService {
    /// The gRPC service over the driver and the quorum.
    pub fn server(
        quorum: Arc<Quorum>,
        states: watch::Receiver<QuorumState>,
        inputs: mpsc::Sender<Input>,
        feeders: Handle,
    ) -> ControllerServer<ControllerService> {
        let service = ControllerService { quorum, states, inputs, next_stream: AtomicU64::new(0), feeders };
        ControllerServer::new(service).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    fn cluster_id(&self) -> Option<Arc<str>> {
        self.quorum.identity().binding().map(|binding| binding.cluster_id)
    }

    /// Whether a sender's cluster is this one, as far as both know theirs.
    fn is_ours(&self, cluster_id: &str) -> bool {
        cluster_id.is_empty() || self.cluster_id().is_none_or(|ours| *ours == *cluster_id)
    }

    fn check(&self, sender: Option<&pb::Sender>) -> Result<(), Status> {
        let sender = convert::sender(sender).map_err(|e| reply::garbled(&e))?;
        self.check_cluster(&sender.cluster_id)
    }

    fn check_cluster(&self, cluster_id: &str) -> Result<(), Status> {
        if self.is_ours(cluster_id) {
            return Ok(());
        }
        let ours = self.cluster_id().unwrap_or_default();
        Err(Status::failed_precondition(foreign("this broker", cluster_id, &ours)))
    }

    fn leader_address(&self) -> Option<String> {
        let state = self.states.borrow();
        // An active controller to be: the hint would send the broker back here at once.
        if state.leads_in_term.is_some() { None } else { state.leader_address.clone() }
    }

    /// Hands a request to the driver and waits for its answer.
    async fn decide(
        &self,
        request: Result<decide::Request, ConvertError>,
        limit: Duration,
    ) -> Result<(decide::Reply, u64), Status> {
        let request = request.map_err(|e| reply::garbled(&e))?;
        let (answer, answered) = oneshot::channel::<Answer>();
        self.inputs.try_send(Input::Request { request, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Status::resource_exhausted("too many requests wait for the controller")
            }
            mpsc::error::TrySendError::Closed(_) => reply::not_active(None),
        })?;
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(Ok(decided))) => Ok(decided),
            Ok(Ok(Err(reason))) => Err(reply::not_decided(reason, self.leader_address().as_deref())),
            Ok(Err(_)) => Err(Status::aborted("the controller stopped before it answered")),
            Err(_) => Err(Status::deadline_exceeded("the controller did not answer in time")),
        }
    }
}

type Updates = Pin<Box<dyn Stream<Item = Result<pb::MetadataUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl controller_server::Controller for ControllerService {
    type BrokerSessionStream = session::Replies;
    type WatchMetadataStream = Updates;

    async fn register_broker(
        &self,
        request: Request<pb::RegisterBrokerRequest>,
    ) -> Result<Response<pb::RegisterBrokerReply>, Status> {
        let request = request.into_inner();
        let sender = convert::sender(request.sender.as_ref()).map_err(|e| reply::garbled(&e))?;
        if !self.is_ours(&sender.cluster_id) {
            let ours = self.cluster_id().unwrap_or_default();
            return Ok(Response::new(pb::RegisterBrokerReply {
                error_code: ErrorCode::InconsistentClusterId.code().into(),
                error_message: foreign(&format!("broker {}", sender.broker_id), &sender.cluster_id, &ours),
                broker_epoch: -1,
                cluster_id: String::new(),
            }));
        }
        let (decided, _) = self.decide(convert::register_broker(&request), REQUEST_TIMEOUT).await?;
        reply::register_broker(decided).map(Response::new)
    }

    async fn broker_session(
        &self,
        request: Request<Streaming<pb::BrokerHeartbeat>>,
    ) -> Result<Response<session::Replies>, Status> {
        if self.states.borrow().leads_in_term.is_none() {
            return Err(reply::not_active(self.leader_address().as_deref()));
        }
        let stream = StreamId(self.next_stream.fetch_add(1, Ordering::Relaxed));
        let states = self.states.clone();
        let ended = move || {
            let state = states.borrow();
            let elsewhere = if state.leads_in_term.is_some() { None } else { state.leader_address.as_deref() };
            reply::not_active(elsewhere)
        };
        session::open(stream, request.into_inner(), self.inputs.clone(), ended).await.map(Response::new)
    }

    async fn watch_metadata(&self, request: Request<pb::WatchMetadataRequest>) -> Result<Response<Updates>, Status> {
        let request = request.into_inner();
        self.check_cluster(&request.cluster_id)?;
        let (updates, receiver) = mpsc::channel(watcher::UPDATES_LIMIT);
        let (feed, stalled) = (self.quorum.feed().clone(), self.quorum.watch_stalls());
        self.feeders.spawn(watcher::feed_watcher(feed, request.from_version, stalled, updates));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn alter_partition(
        &self,
        request: Request<pb::AlterPartitionRequest>,
    ) -> Result<Response<pb::AlterPartitionReply>, Status> {
        self.check(request.get_ref().sender.as_ref())?;
        let (decided, _) = self.decide(convert::alter_partition(request.get_ref()), REQUEST_TIMEOUT).await?;
        reply::alter_partition(decided).map(Response::new)
    }

    async fn assign_directories(
        &self,
        request: Request<pb::AssignDirectoriesRequest>,
    ) -> Result<Response<pb::AssignDirectoriesReply>, Status> {
        self.check(request.get_ref().sender.as_ref())?;
        let (decided, _) = self.decide(convert::assign_directories(request.get_ref()), REQUEST_TIMEOUT).await?;
        reply::assign_directories(decided).map(Response::new)
    }

    async fn allocate_producer_ids(
        &self,
        request: Request<pb::AllocateProducerIdsRequest>,
    ) -> Result<Response<pb::AllocateProducerIdsReply>, Status> {
        self.check(request.get_ref().sender.as_ref())?;
        let (decided, _) = self.decide(convert::allocate_producer_ids(request.get_ref()), REQUEST_TIMEOUT).await?;
        reply::allocate_producer_ids(decided).map(Response::new)
    }

    async fn report_unreachable(
        &self,
        request: Request<pb::ReportUnreachableRequest>,
    ) -> Result<Response<pb::ReportUnreachableReply>, Status> {
        self.check(request.get_ref().sender.as_ref())?;
        if self.states.borrow().leads_in_term.is_none() {
            return Err(reply::not_active(self.leader_address().as_deref()));
        }
        let unreachable = BrokerId(request.get_ref().unreachable_broker);
        let report = Input::Session(SessionEvent::PeerReport { unreachable });
        self.inputs
            .try_send(report)
            .map_err(|_| Status::resource_exhausted("too many requests wait for the controller"))?;
        Ok(Response::new(pb::ReportUnreachableReply {}))
    }

    async fn administer(
        &self,
        request: Request<pb::AdministerRequest>,
    ) -> Result<Response<pb::AdministerReply>, Status> {
        let request = request.into_inner();
        self.check(request.sender.as_ref())?;
        let limit = match request.timeout_ms {
            0 => REQUEST_TIMEOUT,
            ms => Duration::from_millis(ms.into()).min(Duration::from_secs(600)),
        };
        let (decided, version) = self.decide(convert::administer(&request), limit).await?;
        reply::administer(decided, version, convert::item_names(&request)).map(Response::new)
    }

    async fn describe_quorum(
        &self,
        _request: Request<pb::DescribeQuorumRequest>,
    ) -> Result<Response<pb::DescribeQuorumReply>, Status> {
        let state = self.quorum.state();
        let members = state
            .members
            .iter()
            .map(|member| pb::QuorumMember {
                node_id: member.node.node_id.0,
                address: member.address.clone(),
                voter: member.is_voter,
                last_log_index: member.last_log_index,
            })
            .collect();
        Ok(Response::new(pb::DescribeQuorumReply {
            cluster_id: self.cluster_id().unwrap_or_default().to_string(),
            node_id: self.quorum.node_id().0,
            active_controller: state.leader.map(|leader| leader.node_id.0),
            metadata_version: self.quorum.feed().image().version,
            members,
        }))
    }
}

/// Why a broker of another cluster is refused.
fn foreign(who: &str, theirs: &str, ours: &str) -> String {
    format!(
        "{who} belongs to cluster {theirs} (meta.properties), the controller to cluster {ours}: check controller.quorum.voters and \
         controller.quorum.bootstrap.servers"
    )
}
