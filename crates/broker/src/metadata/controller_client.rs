use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_rpc::controller::controller_client::ControllerClient as Rpc;
use raftsman_rpc::controller::{
    AdministerReply, AdministerRequest, AllocateProducerIdsRequest, AlterPartitionReply, AlterPartitionRequest,
    AssignDirectoriesRequest, RegisterBrokerReply, RegisterBrokerRequest, ReportUnreachableRequest, Sender,
    administer_request,
};
use raftsman_types::{BrokerId, ErrorCode};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::ControllerError;
use super::controllers::{AttemptError, Controllers, Purpose, classify, max_reply_bytes};
use super::directories::UnknownPlaces;
use crate::lifecycle::BrokerIdentity;

/// How long one controller may take over one request before another is asked.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long requests of the broker itself go on searching.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A report that comes later than this is no news.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to the active controller, whoever that is. Cheap to clone; may be called from any thread, since the
/// connections live on a runtime of their own.
#[derive(Clone)]
pub struct ControllerClient {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Handle,
    identity: Arc<BrokerIdentity>,
    controllers: Arc<Controllers>,
    /// Peers that could not be reached, and when that was last reported.
    unreachable: Mutex<HashMap<BrokerId, Instant>>,
    unknown_places: UnknownPlaces,
}

/// Whether a request whose outcome is unknown may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Repeating changes nothing more: epochs or the incarnation fence it.
    Harmless,
    /// It might be done twice.
    Never,
}

impl ControllerClient {
    /// A client that dials from `runtime` and knows these controllers (host, port) to begin with.
    pub fn new(runtime: Handle, identity: Arc<BrokerIdentity>, endpoints: Vec<(String, u16)>) -> ControllerClient {
        let controllers = Arc::new(Controllers::new(endpoints));
        let (unreachable, unknown_places) = (Mutex::default(), UnknownPlaces::default());
        ControllerClient { inner: Arc::new(Inner { runtime, identity, controllers, unreachable, unknown_places }) }
    }

    pub(crate) fn controllers(&self) -> &Arc<Controllers> {
        &self.inner.controllers
    }

    pub(super) fn identity(&self) -> &Arc<BrokerIdentity> {
        &self.inner.identity
    }

    pub(super) fn unknown_places(&self) -> &UnknownPlaces {
        &self.inner.unknown_places
    }

    /// Who is asking: the first field of every request.
    pub(crate) fn sender(&self) -> Sender {
        let identity = &self.inner.identity;
        Sender {
            cluster_id: identity.cluster_id().as_deref().unwrap_or_default().to_owned(),
            broker_id: identity.node_id.0,
            broker_epoch: identity.broker_epoch().0,
        }
    }

    /// Registers this start of the broker. The same incarnation may ask again and again.
    ///
    /// # Errors
    /// [`ControllerError`] if no active controller answered within five seconds.
    pub async fn register(&self, request: RegisterBrokerRequest) -> Result<RegisterBrokerReply, ControllerError> {
        self.call(REQUEST_TIMEOUT, Repeat::Harmless, move |mut rpc| {
            let request = request.clone();
            async move { rpc.register_broker(request).await }
        })
        .await
    }

    /// Sends proposals for in-sync replicas. Not repeated once the outcome is unknown.
    pub(super) async fn send_alter_partition(
        &self,
        request: AlterPartitionRequest,
        timeout: Duration,
    ) -> Result<AlterPartitionReply, ControllerError> {
        self.call(timeout, Repeat::Never, move |mut rpc| {
            let request = request.clone();
            async move { rpc.alter_partition(request).await }
        })
        .await
    }

    /// Says in which directories replicas are. Said again it changes nothing.
    pub(super) async fn assign_directories(
        &self,
        request: AssignDirectoriesRequest,
        timeout: Duration,
    ) -> Result<(), ControllerError> {
        let reply = self
            .call(timeout, Repeat::Harmless, move |mut rpc| {
                let request = request.clone();
                async move { rpc.assign_directories(request).await }
            })
            .await?;
        check(reply.error_code)
    }

    /// A block of producer ids that no other broker has or gets.
    ///
    /// # Errors
    /// [`ControllerError`]; a block lost by `Unknown` is never used, which harms nobody.
    pub async fn allocate_producer_ids(&self) -> Result<Range<i64>, ControllerError> {
        let request = AllocateProducerIdsRequest { sender: Some(self.sender()) };
        let reply = self
            .call(REQUEST_TIMEOUT, Repeat::Harmless, move |mut rpc| {
                let request = request.clone();
                async move { rpc.allocate_producer_ids(request).await }
            })
            .await?;
        check(reply.error_code)?;
        Ok(reply.first_producer_id..reply.first_producer_id.saturating_add(i64::from(reply.count)))
    }

    /// Whether this broker lost its connection to a peer within the last `lately`.
    pub(crate) fn lost_within(&self, peer: BrokerId, lately: Duration) -> bool {
        self.inner.unreachable.lock().get(&peer).is_some_and(|at| at.elapsed() < lately)
    }

    /// Tells the controller, in the background, that a connection to a peer broke, so that it looks for itself. If
    /// that fails it will notice by the peer's heartbeats all the same.
    pub(super) fn report_peer(&self, peer: BrokerId) {
        self.inner.unreachable.lock().insert(peer, Instant::now());
        let request = ReportUnreachableRequest { sender: Some(self.sender()), unreachable_broker: peer.0 };
        let client = self.clone();
        self.inner.runtime.spawn(async move {
            let reported = client.call(REPORT_TIMEOUT, Repeat::Harmless, move |mut rpc| {
                let request = request.clone();
                async move { rpc.report_unreachable(request).await }
            });
            if let Err(error) = reported.await {
                tracing::debug!(%peer, "not reported as unreachable: {error}");
            }
        });
    }

    /// Forwards an administrator's change and answers what became of each part of it.
    ///
    /// # Errors
    /// [`ControllerError::Definite`] if nothing was changed, [`ControllerError::Unknown`] if that cannot be said.
    pub async fn administer(
        &self,
        operation: administer_request::Operation,
        timeout: Duration,
    ) -> Result<AdministerReply, ControllerError> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let request = AdministerRequest { sender: Some(self.sender()), timeout_ms, operation: Some(operation) };
        self.call(timeout, Repeat::Never, move |mut rpc| {
            let request = request.clone();
            async move { rpc.administer(request).await }
        })
        .await
    }

    /// Runs one request on the client's runtime: controllers differ in who is active from moment to moment, so it is
    /// tried on one after another until one answers or the time is up.
    async fn call<T, A, F>(&self, timeout: Duration, repeat: Repeat, attempt: A) -> Result<T, ControllerError>
    where
        T: Send + 'static,
        A: Fn(Rpc<Channel>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
    {
        let controllers = self.inner.controllers.clone();
        let deadline = Instant::now() + timeout;
        let task =
            self.inner.runtime.spawn(async move { search_and_call(&controllers, deadline, repeat, attempt).await });
        // The task ends without an answer only if the runtime is shutting down under it.
        task.await.unwrap_or_else(|_| Err(ControllerError::Unknown("this broker is shutting down".to_owned())))
    }
}

async fn search_and_call<T, A, F>(
    controllers: &Controllers,
    deadline: Instant,
    repeat: Repeat,
    attempt: A,
) -> Result<T, ControllerError>
where
    A: Fn(Rpc<Channel>) -> F,
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut search = controllers.search();
    let mut last = None;
    let mut sent_without_answer = false;
    while let Some(address) = controllers.next_address(&mut search, deadline).await {
        let error = match controllers.connect(Purpose::Requests, &address).await {
            Err(error) => error,
            Ok(channel) => {
                let rpc = Rpc::new(channel).max_decoding_message_size(max_reply_bytes());
                // A request that must not be repeated gets all the time there is.
                let until =
                    if repeat == Repeat::Never { deadline } else { deadline.min(Instant::now() + ATTEMPT_TIMEOUT) };
                match tokio::time::timeout_at(until, attempt(rpc)).await {
                    Ok(Ok(reply)) => {
                        controllers.answered(&address);
                        return Ok(reply.into_inner());
                    }
                    Ok(Err(status)) => classify(&address, &status),
                    Err(_) => AttemptError::Unknown(format!("{address}: no answer in time")),
                }
            }
        };
        controllers.failed(Purpose::Requests, &address, &error, &mut search);
        match &error {
            AttemptError::Unknown(why) if repeat == Repeat::Never => return Err(ControllerError::Unknown(why.clone())),
            AttemptError::Unknown(_) => sent_without_answer = true,
            AttemptError::Denied(why) => return Err(ControllerError::Definite(why.clone())),
            AttemptError::NotActive(_) | AttemptError::Unsent(_) => {}
        }
        last = Some(error);
    }
    match controllers.exhausted(last) {
        ControllerError::Definite(why) if sent_without_answer => Err(ControllerError::Unknown(why)),
        error => Err(error),
    }
}

pub(super) fn check(error_code: i32) -> Result<(), ControllerError> {
    match i16::try_from(error_code).map(ErrorCode::from_code) {
        Ok(ErrorCode::None) => Ok(()),
        Ok(code) => Err(ControllerError::Refused(code)),
        Err(_) => Err(ControllerError::Refused(ErrorCode::UnknownServerError)),
    }
}
