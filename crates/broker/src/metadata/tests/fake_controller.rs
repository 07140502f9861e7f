use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use raftsman_rpc::ACTIVE_CONTROLLER_KEY;
use raftsman_rpc::controller::controller_server::{Controller, ControllerServer};
use raftsman_rpc::controller::*;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

type Reply<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the fake controller does, and what it was asked.
pub(super) struct Script {
    pub(super) active: bool,
    pub(super) hint: Option<String>,
    pub(super) registration: RegisterBrokerReply,
    /// The answer to heartbeats; `None` is silence.
    pub(super) heartbeat: Option<BrokerHeartbeatReply>,
    /// Updates for each metadata stream, one list per stream; streams beyond the lists get none.
    pub(super) feeds: Vec<Vec<MetadataUpdate>>,
    /// The answer to administrators; `None` never answers.
    pub(super) administered: Option<AdministerReply>,
    pub(super) registrations: Vec<RegisterBrokerRequest>,
    pub(super) heartbeats: Vec<BrokerHeartbeat>,
    pub(super) watches: Vec<WatchMetadataRequest>,
    pub(super) administrations: usize,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            active: true,
            hint: None,
            registration: RegisterBrokerReply { broker_epoch: 5, cluster_id: "c".to_owned(), ..Default::default() },
            heartbeat: Some(BrokerHeartbeatReply::default()),
            feeds: Vec::new(),
            administered: None,
            registrations: Vec::new(),
            heartbeats: Vec::new(),
            watches: Vec::new(),
            administrations: 0,
        }
    }
}

/// A controller on a port of its own; gone when dropped.
pub(super) struct FakeController {
    pub(super) address: SocketAddr,
    shared: Shared,
    /// A runtime of its own, so that its connections die with it.
    runtime: Mutex<Option<Runtime>>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    changes: watch::Sender<u64>,
}

impl FakeController {
    pub(super) fn start(script: Script) -> FakeController {
        let shared = Shared { script: Arc::new(Mutex::new(script)), changes: watch::Sender::new(0) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = tonic::transport::Server::builder().add_service(ControllerServer::new(shared.clone()));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        FakeController { address, shared, runtime: Mutex::new(Some(runtime)) }
    }

    pub(super) fn endpoint(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.shared.script.lock())
    }

    /// Waits until what was asked of it is as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&Script) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !wanted(&self.shared.script.lock()) {
            changes.changed().await.unwrap();
        }
    }

    /// Goes away in the middle of whatever it does.
    pub(super) fn kill(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for FakeController {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn asked<T>(&self, note: impl FnOnce(&mut Script) -> T) -> T {
        let noted = note(&mut self.script.lock());
        self.changes.send_modify(|count| *count += 1);
        noted
    }

    fn check_active(&self) -> Result<(), Status> {
        let script = self.script.lock();
        if script.active {
            return Ok(());
        }
        let mut status = Status::unavailable("not the active controller");
        if let Some(hint) = &script.hint {
            status.metadata_mut().insert(ACTIVE_CONTROLLER_KEY, hint.parse().unwrap());
        }
        Err(status)
    }
}

#[tonic::async_trait]
impl Controller for Shared {
    type BrokerSessionStream = Answers<BrokerHeartbeatReply>;
    type WatchMetadataStream = Answers<MetadataUpdate>;

    async fn register_broker(&self, request: Request<RegisterBrokerRequest>) -> Reply<RegisterBrokerReply> {
        self.check_active()?;
        Ok(Response::new(self.asked(|script| {
            script.registrations.push(request.into_inner());
            script.registration.clone()
        })))
    }

    async fn broker_session(&self, request: Request<Streaming<BrokerHeartbeat>>) -> Reply<Self::BrokerSessionStream> {
        self.check_active()?;
        let (shared, mut heartbeats) = (self.clone(), request.into_inner());
        let (replies, answers) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok(Some(heartbeat)) = heartbeats.message().await {
                let reply = shared.asked(|script| {
                    script.heartbeats.push(heartbeat);
                    script.heartbeat
                });
                if let Some(reply) = reply
                    && replies.send(Ok(reply)).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn watch_metadata(&self, request: Request<WatchMetadataRequest>) -> Reply<Self::WatchMetadataStream> {
        let updates = self.asked(|script| {
            script.watches.push(request.into_inner());
            if script.feeds.is_empty() { Vec::new() } else { script.feeds.remove(0) }
        });
        let feed = futures::stream::iter(updates.into_iter().map(Ok));
        Ok(Response::new(Box::pin(feed.chain(futures::stream::pending()))))
    }

    async fn administer(&self, _request: Request<AdministerRequest>) -> Reply<AdministerReply> {
        self.check_active()?;
        let answer = self.asked(|script| {
            script.administrations += 1;
            script.administered.clone()
        });
        match answer {
            Some(reply) => Ok(Response::new(reply)),
            None => std::future::pending().await,
        }
    }

    async fn alter_partition(&self, _request: Request<AlterPartitionRequest>) -> Reply<AlterPartitionReply> {
        Err(Status::invalid_argument("not in this test"))
    }

    async fn assign_directories(&self, _request: Request<AssignDirectoriesRequest>) -> Reply<AssignDirectoriesReply> {
        Err(Status::invalid_argument("not in this test"))
    }

    async fn allocate_producer_ids(
        &self,
        _request: Request<AllocateProducerIdsRequest>,
    ) -> Reply<AllocateProducerIdsReply> {
        self.check_active()?;
        Ok(Response::new(AllocateProducerIdsReply { error_code: 0, first_producer_id: 1000, count: 3 }))
    }

    async fn report_unreachable(&self, _request: Request<ReportUnreachableRequest>) -> Reply<ReportUnreachableReply> {
        Ok(Response::new(ReportUnreachableReply {}))
    }

    async fn describe_quorum(&self, _request: Request<DescribeQuorumRequest>) -> Reply<DescribeQuorumReply> {
        Ok(Response::new(DescribeQuorumReply::default()))
    }
}
