use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::MetadataImage;
use raftsman_rpc::controller::controller_client::ControllerClient as Rpc;
use raftsman_rpc::controller::{BrokerHeartbeat, BrokerHeartbeatReply};
use raftsman_rpc::id_bytes;
use raftsman_types::{BrokerEpoch, DirectoryId, ErrorCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{BrokerIdentity, Registration};
use crate::metadata::{AttemptError, ControllerClient, MetadataCache, Purpose, classify};
use crate::replica::MissingReplicas;

/// Heartbeats on the way without an answer before a stream counts as stuck.
const MAX_UNANSWERED: usize = 32;
const RETRY: Duration = Duration::from_millis(50);
/// After an answer that will hardly change soon.
const SLOW_RETRY: Duration = Duration::from_millis(500);

/// Who acts on what the session learns.
pub(crate) trait LifecycleObserver: Send + Sync {
    /// This broker has a new epoch.
    fn registered(&self, epoch: BrokerEpoch);
    /// The active controller answered a heartbeat that was sent at `sent`, and holds this broker for fenced or not. Says whether
    /// this broker may go by what it believes: not if it was fenced and does not know it yet.
    fn controller_heard(&self, sent: std::time::Instant, fenced: bool) -> bool;
    /// Whether this broker had better be fenced now: it cannot do what is counted upon.
    fn wants_fence(&self) -> bool;
    /// Whether the metadata counts on replicas that this broker has not: it registers again before it may be unfenced.
    fn has_missing(&self) -> bool;
    /// Those replicas.
    fn missing(&self) -> MissingReplicas;
}

/// A session that has outlived so many timeouts belongs to a process that lives.
const SESSIONS_OF_A_DUPLICATE: u32 = 5;

/// How far this broker is into the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LifecycleStatus {
    /// It has registered.
    pub(crate) registered: bool,
    /// It may lead and follow.
    pub(crate) unfenced: bool,
    /// Its controlled shutdown is complete.
    pub(crate) may_shut_down: bool,
    /// It cannot be part of the cluster, and never will as it is.
    pub(crate) failure: Option<String>,
}

/// Registers this broker and holds its session, again and again.
pub(crate) struct Lifecycle {
    pub(crate) client: ControllerClient,
    pub(crate) identity: Arc<BrokerIdentity>,
    pub(crate) cache: MetadataCache,
    pub(crate) registration: Registration,
    pub(crate) observer: Arc<dyn LifecycleObserver>,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) session_timeout: Duration,
    /// Set when the broker wants to stop in an orderly way.
    pub(crate) wants_shutdown: watch::Receiver<bool>,
    pub(crate) status: watch::Sender<LifecycleStatus>,
}

/// Why a session stream ended.
enum StreamEnd {
    /// The controller does not know this epoch (any more).
    RegisterAgain,
    /// It counts on what this broker has not.
    Misses,
    Broken(AttemptError),
}

impl Lifecycle {
    /// Runs until this broker can never be part of the cluster; the status says why.
    pub(crate) async fn run(mut self) {
        loop {
            if let Err(failure) = self.register().await {
                self.status.send_modify(|status| status.failure = Some(failure));
                return;
            }
            self.hold_session().await;
        }
    }

    async fn register(&mut self) -> Result<(), String> {
        let mut said = None;
        let mut duplicate_since = None;
        loop {
            let request = self.registration.request(&self.identity, self.client.sender(), &self.observer.missing());
            let (trouble, wait) = match self.client.register(request).await {
                Err(error) => (error.to_string(), RETRY),
                Ok(reply) => {
                    match i16::try_from(reply.error_code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code) {
                        ErrorCode::None => {
                            let epoch = BrokerEpoch(reply.broker_epoch);
                            self.identity.registered(&reply.cluster_id, epoch);
                            self.tell_registered(epoch).await;
                            self.status.send_modify(|status| status.registered = true);
                            tracing::info!(broker = %self.identity.node_id, %epoch, "registered");
                            return Ok(());
                        }
                        ErrorCode::InconsistentClusterId => return Err(reply.error_message),
                        // The last start of this node may still hold its session; it ends soon if that process is gone.
                        ErrorCode::DuplicateBrokerRegistration => {
                            let since = *duplicate_since.get_or_insert_with(Instant::now);
                            if since.elapsed() > self.session_timeout * SESSIONS_OF_A_DUPLICATE {
                                return Err(format!("node.id={}: {}", self.identity.node_id, reply.error_message));
                            }
                            (reply.error_message, RETRY)
                        }
                        ErrorCode::NotController => (reply.error_message, RETRY),
                        code => (format!("{code}: {}", reply.error_message), SLOW_RETRY),
                    }
                }
            };
            if said.as_ref() != Some(&trouble) {
                tracing::warn!(broker = %self.identity.node_id, "not registered yet: {trouble}");
                said = Some(trouble);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Replicas take up their roles anew, which may touch many files.
    async fn tell_registered(&self, epoch: BrokerEpoch) {
        let observer = self.observer.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || observer.registered(epoch)).await {
            tracing::error!("a part of this broker failed to take its new epoch: {error}");
        }
    }

    /// Keeps a heartbeat stream to the active controller, whoever that is, until this broker has to register again.
    async fn hold_session(&mut self) {
        let controllers = self.client.controllers().clone();
        let mut search = controllers.search();
        loop {
            let deadline = Instant::now() + Duration::from_secs(3600);
            let Some(address) = controllers.next_address(&mut search, deadline).await else {
                tokio::time::sleep(SLOW_RETRY).await;
                continue;
            };
            match self.stream(&address).await {
                StreamEnd::RegisterAgain => {
                    tracing::warn!(broker = %self.identity.node_id, "the controller wants this broker to register again");
                    self.status.send_modify(|status| status.unfenced = false);
                    return;
                }
                StreamEnd::Misses => {
                    self.status.send_modify(|status| status.unfenced = false);
                    // A controller of an older version answers with the registration it has.
                    tokio::time::sleep(RETRY).await;
                    return;
                }
                StreamEnd::Broken(error) => {
                    tracing::debug!("the session stream ended: {error:?}");
                    controllers.failed(Purpose::Session, &address, &error, &mut search);
                    if matches!(error, AttemptError::Denied(_)) {
                        tokio::time::sleep(SLOW_RETRY).await;
                    }
                }
            }
        }
    }

    async fn stream(&mut self, address: &str) -> StreamEnd {
        let controllers = self.client.controllers().clone();
        let channel = match controllers.connect(Purpose::Session, address).await {
            Ok(channel) => channel,
            Err(error) => return StreamEnd::Broken(error),
        };
        let (heartbeats, outgoing) = mpsc::channel(MAX_UNANSWERED);
        let mut stream = Heartbeats { heartbeats, unanswered: VecDeque::new() };
        if let Err(end) = self.send_heartbeat(&mut stream, address) {
            return end;
        }
        let mut rpc = Rpc::new(channel);
        let opening = rpc.broker_session(ReceiverStream::new(outgoing));
        let replies = match tokio::time::timeout(self.session_timeout, opening).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return StreamEnd::Broken(classify(address, &status)),
            Err(_) => return StreamEnd::Broken(AttemptError::Unknown(format!("{address}: no answer in time"))),
        };
        self.beat(address, stream, replies).await
    }

    /// Sends heartbeats at their interval, and at once when there is something to say.
    async fn beat(
        &mut self,
        address: &str,
        mut stream: Heartbeats,
        mut replies: Streaming<BrokerHeartbeatReply>,
    ) -> StreamEnd {
        let mut ticks = tokio::time::interval(self.heartbeat_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut images = self.cache.subscribe();
        let mut offline = self.identity.offline_directory_changes();
        let mut wants_shutdown = self.wants_shutdown.clone();
        let mut last_reply = Instant::now();
        loop {
            tokio::select! {
                reply = replies.message() => {
                    let reply = match reply {
                        Ok(Some(reply)) => reply,
                        Ok(None) => return broken(address, "the controller closed the session stream"),
                        Err(status) => return StreamEnd::Broken(classify(address, &status)),
                    };
                    last_reply = Instant::now();
                    if let Err(end) = self.answered(address, reply, &mut stream) {
                        return end;
                    }
                    continue;
                }
                _ = ticks.tick() => {}
                // A fenced broker is unfenced as soon as it has caught up: each version counts.
                Ok(()) = images.changed(), if !self.status.borrow().unfenced => {}
                Ok(()) = offline.changed() => {}
                Ok(()) = wants_shutdown.changed() => {}
            }
            if last_reply.elapsed() > self.session_timeout {
                return broken(address, "heartbeats are not answered");
            }
            if let Err(end) = self.send_heartbeat(&mut stream, address) {
                return end;
            }
        }
    }

    fn answered(&self, address: &str, reply: BrokerHeartbeatReply, stream: &mut Heartbeats) -> Result<(), StreamEnd> {
        let sent = stream.unanswered.pop_front();
        match i16::try_from(reply.error_code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code) {
            ErrorCode::None => {}
            ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered => return Err(StreamEnd::RegisterAgain),
            code => return Err(broken(address, &format!("a heartbeat was answered with {code}"))),
        }
        self.client.controllers().answered(address);
        if let Some(sent) = sent
            && self.observer.controller_heard(sent.into_std(), reply.fenced)
        {
            self.identity.heard(sent + self.session_timeout);
        }
        if !reply.fenced {
            self.identity.set_admitted();
        }
        self.status.send_if_modified(|status| {
            let news = LifecycleStatus {
                unfenced: !reply.fenced,
                may_shut_down: status.may_shut_down || reply.may_shut_down,
                ..status.clone()
            };
            let changed = *status != news;
            *status = news;
            changed
        });
        Ok(())
    }

    /// Never says that this broker knows its own registration before it has looked for what that counts on.
    fn send_heartbeat(&self, stream: &mut Heartbeats, address: &str) -> Result<(), StreamEnd> {
        let heartbeat = self.heartbeat();
        if self.observer.has_missing() {
            return Err(StreamEnd::Misses);
        }
        stream.send(heartbeat, address).map_err(StreamEnd::Broken)
    }

    fn heartbeat(&self) -> BrokerHeartbeat {
        let image: Arc<MetadataImage> = self.cache.load();
        let offline: BTreeSet<DirectoryId> = self.identity.offline_directories();
        BrokerHeartbeat {
            sender: Some(self.client.sender()),
            metadata_version: image.version,
            wants_fence: self.observer.wants_fence(),
            wants_shutdown: *self.wants_shutdown.borrow(),
            offline_directories: offline.iter().map(|directory| id_bytes(directory.0)).collect(),
        }
    }
}

/// The outgoing half of a session stream.
struct Heartbeats {
    heartbeats: mpsc::Sender<BrokerHeartbeat>,
    /// When each heartbeat not yet answered was sent.
    unanswered: VecDeque<Instant>,
}

impl Heartbeats {
    fn send(&mut self, heartbeat: BrokerHeartbeat, address: &str) -> Result<(), AttemptError> {
        let stuck = || AttemptError::Unknown(format!("{address}: heartbeats do not get through"));
        if self.unanswered.len() >= MAX_UNANSWERED {
            return Err(stuck());
        }
        self.heartbeats.try_send(heartbeat).map_err(|_| stuck())?;
        self.unanswered.push_back(Instant::now());
        Ok(())
    }
}

fn broken(address: &str, why: &str) -> StreamEnd {
    StreamEnd::Broken(AttemptError::Unknown(format!("{address}: {why}")))
}
