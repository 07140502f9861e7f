use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::ActorConfig;
use crate::config::ControllerConfig;
use crate::health::ControllerHealth;
use crate::raft::{OpenError, Quorum, QuorumState, RaftService, Storage};
use crate::service::{ControllerService, Door, Driver, Input, know_members, serve};

/// How many requests may wait for the driver, and as many again for the actor.
const INPUT_LIMIT: usize = 1024;
/// How long a stopping controller waits for what is still running.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Stack of the controller's threads: deep enough for tonic in a debug build.
const STACK_BYTES: usize = 2 << 20;

/// Why a controller cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Neither voters nor bootstrap servers are configured.
    #[error(
        "a controller needs controller.quorum.voters or controller.quorum.bootstrap.servers to know its quorum: set one of them"
    )]
    NoQuorum,
    /// Two voters share a `node.id`.
    #[error("controller.quorum.voters names node.id {0} twice: give each controller its own")]
    VoterTwice(raftsman_types::BrokerId),
    /// The metadata directory cannot be used; the text says what to do.
    #[error("{0}")]
    Storage(String),
    /// The listener cannot be used.
    #[error("the controller's listener cannot be used: {0}")]
    Listener(io::Error),
    /// A thread or runtime cannot be made.
    #[error("the controller cannot start its threads: {0}")]
    Thread(io::Error),
    /// Raft cannot be started.
    #[error("{0}")]
    Raft(String),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> StartError {
        StartError::Storage(error.to_string())
    }
}

/// One of the cluster's controllers.
#[derive(Debug)]
pub struct Controller;

/// A controller that runs. Dropping it stops it too.
#[derive(Debug)]
pub struct ControllerHandle {
    health: watch::Receiver<ControllerHealth>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Controller {
    /// Opens the metadata directory and starts the controller on two threads of its own: one for Raft and all connections, one
    /// for decisions. Returns before the controller belongs to a cluster: see [`ControllerHandle::watch_health`].
    ///
    /// # Errors
    /// A configuration without a quorum, a directory that cannot be used, a listener that cannot be served. What comes to
    /// light only later (the other controllers belong to another cluster) is [`ControllerHealth::failure`].
    pub fn start(config: ControllerConfig, listener: TcpListener) -> Result<ControllerHandle, StartError> {
        check(&config)?;
        let storage =
            Storage::open(&config.metadata_dir, config.node_id, config.directory_id, config.cluster_id.as_deref())?;
        listener.set_nonblocking(true).map_err(StartError::Listener)?;
        let (health, health_receiver) = watch::channel(ControllerHealth::starting(config.node_id));
        let (inputs, input_receiver) = mpsc::channel(INPUT_LIMIT);
        let (active, active_receiver) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let decide_runtime = runtime().map_err(StartError::Thread)?;
        let actor = actor_config(&config);
        let raft = RaftThread {
            config,
            listener,
            active: active_receiver,
            inputs,
            feeders: decide_runtime.handle().clone(),
            health,
        };
        let (ready, readiness) = std::sync::mpsc::sync_channel(1);
        let raft_thread = runtime()
            .and_then(|runtime| spawn("raft", runtime, raft.run(storage, ready, stopped)))
            .map_err(StartError::Thread);
        // Raft answers as soon as it has read its log, or ends and drops its sender.
        let started = raft_thread.and_then(|thread| match readiness.recv() {
            Ok(Ok((quorum, states))) => Ok((thread, quorum, states)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::Raft("Raft ended while it started".to_owned())),
        });
        let (raft_thread, quorum, states) = match started {
            Ok(started) => started,
            Err(error) => {
                // A plain drop blocks, which is not allowed where the caller is a task.
                decide_runtime.shutdown_background();
                return Err(error);
            }
        };
        let driver = Driver::run(quorum, actor, input_receiver, states, active);
        let decide_thread = spawn("controller", decide_runtime, driver).map_err(StartError::Thread)?;
        Ok(ControllerHandle { health: health_receiver, stop: Some(stop), threads: vec![raft_thread, decide_thread] })
    }
}

fn check(config: &ControllerConfig) -> Result<(), StartError> {
    if config.voters.is_empty() && config.bootstrap_servers.is_empty() {
        return Err(StartError::NoQuorum);
    }
    let mut seen = std::collections::BTreeSet::new();
    match config.voters.iter().find(|voter| !seen.insert(voter.node_id)) {
        Some(twice) => Err(StartError::VoterTwice(twice.node_id)),
        None => Ok(()),
    }
}

fn runtime() -> io::Result<Runtime> {
    // Blocking threads read and write snapshots and resolve names: few, and gone when idle.
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(STACK_BYTES)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
}

fn spawn(name: &str, runtime: Runtime, work: impl Future<Output = ()> + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
        runtime.block_on(work);
        runtime.shutdown_timeout(STOP_TIMEOUT);
    })
}

fn actor_config(config: &ControllerConfig) -> ActorConfig {
    ActorConfig {
        node_id: config.node_id,
        // Filled in by the driver, once the cluster is known.
        cluster_id: "".into(),
        settings: config.defaults.clone(),
        session_timeout: Duration::from_millis(config.session_timeout_ms),
        queue_limit: INPUT_LIMIT,
    }
}

/// What the thread of Raft and of the connections works with.
struct RaftThread {
    config: ControllerConfig,
    listener: TcpListener,
    active: watch::Receiver<bool>,
    inputs: mpsc::Sender<Input>,
    feeders: Handle,
    health: watch::Sender<ControllerHealth>,
}

type Started = Result<(Arc<Quorum>, watch::Receiver<QuorumState>), StartError>;

impl RaftThread {
    async fn run(self, storage: Storage, ready: SyncSender<Started>, stopped: oneshot::Receiver<()>) {
        let started = async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(StartError::Listener)?;
            let quorum = Quorum::start(&self.config, storage).await.map_err(StartError::Raft)?;
            Ok((listener, quorum))
        };
        // Whoever starts a controller waits for the answer.
        let (listener, quorum) = match started.await {
            Ok(started) => started,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let states = quorum.watch_state();
        let _ = ready.send(Ok((quorum.clone(), states.clone())));

        let controller = ControllerService::server(quorum.clone(), states.clone(), self.inputs, self.feeders);
        let routes = tonic::service::Routes::new(RaftService::server(quorum.clone())).add_service(controller);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(quorum.clone().watch_leaders());
        tasks.spawn(quorum.clone().watch_store());
        tasks.spawn(quorum.clone().stand_again_when_deposed());
        tasks.spawn(quorum.clone().keep_membership());
        tasks.spawn(quorum.clone().speak_while_leaderless());
        tasks.spawn(quorum.clone().keep_log_short(self.config.raft.snapshot_after_bytes));
        tasks.spawn(quorum.clone().become_member(self.config.cluster_id.clone()));
        let door = Arc::new(Door::new(&self.config.door));
        tasks.spawn(know_members(quorum.clone(), door.clone()));
        let last_health = self.health.clone();
        tasks.spawn(publish_health(self.config, quorum.clone(), states, self.active, self.health));
        tokio::select! {
            served = serve(listener, door, routes) => {
                let reason = served.err().map_or_else(String::new, |error| format!(": {error}"));
                quorum.fail(format!("the controller's listener has ended{reason}"));
            }
            // An error means that the handle was dropped, which stops as well.
            _ = stopped => {}
            () = failed(quorum.watch_failure()) => {}
        }
        tasks.shutdown().await;
        let failure = quorum.watch_failure().borrow().clone();
        last_health.send_modify(|health| {
            health.is_active = false;
            health.failure = failure;
        });
        quorum.stop().await;
    }
}

async fn failed(mut failure: watch::Receiver<Option<String>>) {
    // The sender lives as long as the quorum.
    let _ = failure.wait_for(Option::is_some).await;
}

fn health_of(config: &ControllerConfig, quorum: &Quorum, state: &QuorumState, active: bool) -> ControllerHealth {
    let voters = state.members.iter().filter(|member| member.is_voter).count();
    let image = quorum.feed().image();
    ControllerHealth {
        node_id: config.node_id,
        cluster_id: image.cluster_id,
        bound_to: quorum.identity().binding().map(|binding| binding.cluster_id),
        active_controller: state.leader.as_ref().map(|leader| leader.node_id),
        is_active: active,
        metadata_version: image.version,
        voters,
        learners: state.members.len() - voters,
        failure: quorum.watch_failure().borrow().clone(),
    }
}

async fn publish_health(
    config: ControllerConfig,
    quorum: Arc<Quorum>,
    mut states: watch::Receiver<QuorumState>,
    mut active: watch::Receiver<bool>,
    health: watch::Sender<ControllerHealth>,
) {
    let mut versions = quorum.feed().watch_version();
    let mut bindings = quorum.identity().watch_binding();
    let mut failures = quorum.watch_failure();
    loop {
        let now = health_of(&config, &quorum, &states.borrow(), *active.borrow());
        health.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        let changed = tokio::select! {
            changed = states.changed() => changed,
            changed = active.changed() => changed,
            changed = versions.changed() => changed,
            changed = bindings.changed() => changed,
            changed = failures.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

impl ControllerHandle {
    /// How the controller is doing now.
    pub fn health(&self) -> ControllerHealth {
        self.health.borrow().clone()
    }

    /// How the controller is doing, as it changes.
    pub fn watch_health(&self) -> watch::Receiver<ControllerHealth> {
        self.health.clone()
    }

    /// The id of the cluster, once it is known.
    pub fn cluster_id(&self) -> Option<Arc<str>> {
        self.health.borrow().cluster_id.clone()
    }

    /// Stops the controller: its listener first, so that the others see it gone at once. Blocks until its threads have ended.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the controller panicked");
            }
        }
    }
}

impl Drop for ControllerHandle {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}
