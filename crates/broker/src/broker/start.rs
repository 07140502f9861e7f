use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::dir::{DirectoryError, LogDirectory};
use raftsman_log::fs::RealFs;
use raftsman_metadata::{Listener, MetadataDelta, MetadataImage};
use raftsman_types::{BrokerEpoch, IncarnationId, Uuid};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tower::util::BoxCloneSyncService;

use super::handle::BrokerHandle;
use super::parts::Parts;
use super::{BoundListener, StartError};
use crate::api::BrokerState;
use crate::api::registry::Registry;
use crate::config::BrokerConfig;
use crate::coordinator::CoordinatorService;
use crate::lifecycle::{BrokerIdentity, Lifecycle, LifecycleObserver, LifecycleStatus, Registration, kernel_boot_id};
use crate::metadata::{ControllerClient, MetadataCache, MetadataSubscriber, MetadataWatch, ProducerIds, Publisher};
use crate::net::{Acceptor, ByteBudget, ConnectionLimits, CreationRate, NetworkThreads, Shared};
use crate::replica::{MissingReplicas, ReplicaConfig, ReplicaManager};

/// Threads for replication streams, loading groups and timers: at most so many, and half as many as processors. The tasks of a
/// stream wake each other for every frame, which costs the least on one thread.
const MOST_BACKGROUND_THREADS: usize = 4;

/// How many of a runtime's tasks wait for disks at once, each with a block of 256 KiB or a group's log: reads of followers that have
/// fallen behind, groups that are loaded. Others wait for them.
const DISK_READERS_MAX: usize = 32;

/// Opens, and with that locks, the log directories of a configuration; those that cannot be used are left out, unless that is all.
pub(super) fn open_directories(config: &BrokerConfig) -> Result<Vec<LogDirectory>, StartError> {
    let (mut opened, mut failed) = (Vec::new(), None);
    for path in &config.log_dirs {
        match LogDirectory::open(Arc::new(RealFs::new()), path.clone()) {
            Ok(directory) => opened.push(directory),
            Err(error @ DirectoryError::InUse { .. }) => {
                return Err(StartError::Directory { path: path.clone(), error });
            }
            Err(error) => {
                tracing::error!(directory = %path.display(), "the log directory is offline until the broker restarts: {error}");
                failed = Some(StartError::Directory { path: path.clone(), error });
            }
        }
    }
    match failed {
        Some(error) if opened.is_empty() => Err(error),
        _ => Ok(opened),
    }
}

pub(super) fn start(
    mut config: BrokerConfig,
    directories: Vec<LogDirectory>,
    listeners: Vec<BoundListener>,
) -> Result<BrokerHandle, StartError> {
    settle_listeners(&mut config, &listeners)?;
    // Heartbeats and requests to the controller have a thread that nothing else can keep busy.
    let lifecycle = runtime("lifecycle", 1)?;
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let background = runtime("background", available.div_ceil(2).min(MOST_BACKGROUND_THREADS))?;
    let config = Arc::new(config);
    let incarnation = IncarnationId(Uuid::from_random(rand::random()));
    let identity = Arc::new(BrokerIdentity::new(config.node_id, incarnation, config.cluster_id.clone()));
    let endpoints = config.controller_endpoints.clone();
    let controller = ControllerClient::new(lifecycle.handle().clone(), identity.clone(), endpoints);
    let replicas = open_replicas(&config, directories, &controller, background.handle())?;
    let coordinator = CoordinatorService::new(&config, replicas.clone(), background.handle().clone());
    let state = Arc::new(BrokerState {
        config: config.clone(),
        identity,
        metadata: MetadataCache::default(),
        producer_ids: ProducerIds::new(controller.clone()),
        controller,
        replicas,
        coordinator,
    });
    let budget = ByteBudget::new(config.network.queued_max_bytes);
    let limits = Arc::new(ConnectionLimits::new(&config.network));
    let dispatcher = Arc::new(Registry::new(state.clone()));
    let shared = Shared { dispatcher, config: Arc::new(config.network.clone()), budget, limits };
    let threads = Arc::new(NetworkThreads::start(&shared)?);
    let (status, statuses) = watch::channel(LifecycleStatus::default());
    let (wants_shutdown, wishes) = watch::channel(false);
    let (doors, ready) = watch::channel(false);
    let (addresses, acceptors) = {
        let _context = lifecycle.enter();
        acceptors(&state, listeners, &threads, &shared.limits)?
    };
    let publisher = follow_metadata(&state, &lifecycle, status.clone())?;
    join_cluster(&state, &lifecycle, status, wishes);
    lifecycle.spawn(free_clients_of_stuck_writes(state.replicas.stuck_writes(), threads.clone()));
    let opening = lifecycle.spawn(open_doors(acceptors, statuses.clone(), doors));
    let parts = Parts { state, threads, opening, lifecycle, background, publisher };
    Ok(BrokerHandle::new(parts, addresses, statuses, ready, wants_shutdown))
}

/// Every configured listener has a socket, and the other way round; an advertised port of 0 is the socket's.
fn settle_listeners(config: &mut BrokerConfig, bound: &[BoundListener]) -> Result<(), StartError> {
    for listener in &mut config.listeners {
        let socket = bound.iter().find(|b| b.name == listener.name);
        let socket = socket.ok_or_else(|| StartError::Listener(listener.name.clone()))?;
        if listener.advertised_port == 0 {
            listener.advertised_port = socket.listener.local_addr()?.port();
        }
    }
    let is_configured = |name: &str| config.listener(name).is_some();
    let mut names = bound.iter().map(|b| &b.name).chain([&config.inter_broker_listener]);
    match names.find(|name| !is_configured(name)) {
        Some(unknown) => Err(StartError::Listener(unknown.clone())),
        None => Ok(()),
    }
}

fn runtime(name: &str, threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(DISK_READERS_MAX)
        .thread_name(name)
        .enable_all()
        .build()
}

fn open_replicas(
    config: &BrokerConfig,
    directories: Vec<LogDirectory>,
    controller: &ControllerClient,
    runtime: &Handle,
) -> Result<ReplicaManager, StartError> {
    let is_open = |path: &&PathBuf| directories.iter().any(|directory| directory.path() == path.as_path());
    let replica_config = ReplicaConfig {
        unusable_directories: config.log_dirs.iter().filter(|path| !is_open(path)).cloned().collect(),
        replica_lag_time_max: Duration::from_millis(config.replica_lag_time_max_ms),
        session_timeout: Duration::from_millis(config.session_timeout_ms),
        reserved_bytes: config.reserved_bytes,
        disk_patience: 2 * Duration::from_millis(config.session_timeout_ms),
        file: Arc::new(config.raw.clone()),
        cleaner: config.cleaner,
        checkpoint_interval: config.high_watermark_checkpoint_interval,
        recovery_threads: config.recovery_threads,
        retention_check_interval: config.log_retention_check_interval,
        producer_id_expiration_ms: config.producer_id_expiration_ms,
        batch_bytes_max: config.network.socket_request_max_bytes,
        ..ReplicaConfig::new(config.node_id)
    };
    Ok(ReplicaManager::open(replica_config, directories, Arc::new(controller.clone()), runtime.clone())?)
}

type Bound = Vec<(Arc<str>, std::net::SocketAddr)>;

/// Prepares an acceptor for each listener. Must be called within a runtime.
fn acceptors(
    state: &Arc<BrokerState>,
    listeners: Vec<BoundListener>,
    threads: &Arc<NetworkThreads>,
    limits: &Arc<ConnectionLimits>,
) -> Result<(Bound, Vec<Acceptor>), StartError> {
    let network = &state.config.network;
    let rate = Arc::new(CreationRate::new(network.max_connection_creation_rate));
    let replication = BoxCloneSyncService::new(state.replicas.service().server());
    let (mut addresses, mut acceptors) = (Bound::new(), Vec::new());
    for bound in listeners {
        bound.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(bound.listener)?;
        addresses.push((bound.name.clone(), listener.local_addr()?));
        acceptors.push(Acceptor {
            grpc: (bound.name == state.config.inter_broker_listener).then(|| replication.clone()),
            name: bound.name,
            listener,
            limits: limits.clone(),
            rate: rate.clone(),
            threads: threads.clone(),
        });
    }
    Ok((addresses, acceptors))
}

/// How long clients wait in the sockets' queues for this broker to be admitted; after that they are told to try elsewhere.
const CLIENTS_WAIT: Duration = Duration::from_secs(2);

/// Accepts connections once this broker knows the cluster and the cluster counts on it, or has not for a while: see
/// `api::waiting_room`.
async fn open_doors(
    acceptors: Vec<Acceptor>,
    mut statuses: watch::Receiver<LifecycleStatus>,
    doors: watch::Sender<bool>,
) {
    let soon = tokio::time::timeout(CLIENTS_WAIT, statuses.wait_for(|status| status.unfenced)).await;
    if matches!(soon, Ok(Err(_))) {
        return;
    }
    drop(soon);
    let mut accepting = tokio::task::JoinSet::new();
    for acceptor in acceptors {
        accepting.spawn(acceptor.accept_all());
    }
    if statuses.wait_for(|status| status.unfenced).await.is_ok() {
        doors.send_replace(true);
    }
    accepting.join_all().await;
}

/// A network thread that answers nothing for so long, while a disk is known to take no write, stands still.
const THREAD_PATIENCE: Duration = Duration::from_millis(250);

/// While a write does not return, the network thread that made it is replaced, and so are others that it holds up.
async fn free_clients_of_stuck_writes(mut stuck_writes: watch::Receiver<bool>, threads: Arc<NetworkThreads>) {
    while stuck_writes.wait_for(|stuck| *stuck).await.is_ok() {
        threads.replace_stuck(THREAD_PATIENCE).await;
        tokio::time::sleep(THREAD_PATIENCE).await;
    }
}

/// Starts the metadata watch, and the thread that publishes what it brings.
fn follow_metadata(
    state: &Arc<BrokerState>,
    lifecycle: &Runtime,
    status: watch::Sender<LifecycleStatus>,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let controllers = state.controller.controllers().clone();
    let (watch, images) = MetadataWatch::new(controllers, state.identity.clone());
    lifecycle.spawn(async move {
        let failure = watch.follow().await;
        status.send_modify(|status| status.failure = Some(failure));
    });
    let subscribers: Vec<Arc<dyn MetadataSubscriber>> =
        vec![Arc::new(Replicas(state.clone())), Arc::new(Groups(state.clone()))];
    let publisher = Publisher::new(state.metadata.clone(), subscribers);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let thread = std::thread::Builder::new().name("metadata".to_owned());
    Ok(thread.spawn(move || runtime.block_on(publisher.run(images)))?)
}

fn join_cluster(
    state: &Arc<BrokerState>,
    lifecycle: &Runtime,
    status: watch::Sender<LifecycleStatus>,
    wants_shutdown: watch::Receiver<bool>,
) {
    let identity = state.identity.clone();
    lifecycle.spawn(async move { identity.watch_contact().await });
    let controller = state.controller.clone();
    lifecycle.spawn(async move { controller.say_places().await });
    let session = Lifecycle {
        client: state.controller.clone(),
        identity: state.identity.clone(),
        cache: state.metadata.clone(),
        registration: registration(state),
        observer: Arc::new(Replicas(state.clone())),
        heartbeat_interval: Duration::from_millis(state.config.heartbeat_interval_ms.max(1)),
        session_timeout: Duration::from_millis(state.config.session_timeout_ms),
        wants_shutdown,
        status,
    };
    lifecycle.spawn(session.run());
}

fn registration(state: &BrokerState) -> Registration {
    let config = &state.config;
    let endpoint = |l: &crate::config::ListenerConfig| Listener {
        name: l.name.clone(),
        host: l.advertised_host.clone(),
        port: l.advertised_port,
        security_protocol: l.security_protocol.code(),
    };
    let mut listeners: Vec<Listener> = config.listeners.iter().map(endpoint).collect();
    listeners.sort_by_key(|listener| listener.name != config.inter_broker_listener);
    Registration {
        listeners,
        inter_broker_listener: config.inter_broker_listener.clone(),
        rack: config.rack.clone(),
        directories: state.replicas.directory_ids(),
        offline_directories: state.replicas.offline_directories(),
        boot_id: kernel_boot_id(),
        clean_shutdown_epoch: state.replicas.clean_shutdown_epoch(),
        min_insync_replicas: config.min_insync_replicas,
        damaged: state.replicas.damaged(),
        durability: config.durability,
    }
}

/// The replicas, as those see them who tell them things.
struct Replicas(Arc<BrokerState>);

impl LifecycleObserver for Replicas {
    fn registered(&self, epoch: BrokerEpoch) {
        self.0.replicas.registered(epoch);
    }

    fn controller_heard(&self, sent: std::time::Instant, fenced: bool) -> bool {
        self.0.replicas.controller_heard(sent, fenced)
    }

    fn wants_fence(&self) -> bool {
        self.0.replicas.has_stalled_disk()
    }

    fn has_missing(&self) -> bool {
        self.0.replicas.has_missing()
    }

    fn missing(&self) -> MissingReplicas {
        self.0.replicas.missing()
    }
}

impl MetadataSubscriber for Replicas {
    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.0.replicas.publish(delta, image);
    }
}

/// The group coordinator, told after the replicas whose partitions it reads.
struct Groups(Arc<BrokerState>);

impl MetadataSubscriber for Groups {
    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.0.coordinator.publish(delta, image);
    }
}
