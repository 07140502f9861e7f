use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use raftsman_broker::{BoundListener, Broker};
use raftsman_controller::{Controller, ControllerHandle};
use tokio::sync::{oneshot, watch};

use crate::bind::{BindError, bind};
use crate::config::{ConfigError, ServerConfig};
use crate::directories::{Directories, DirectoriesError};
use crate::network::raise_open_files;
use crate::self_check::Told;
use crate::supervisor::{Status, Supervisor};
use crate::wiring::{broker_config, controller_config};

/// Why a node cannot start, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot start it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data directory cannot be used.
    #[error(transparent)]
    Directories(#[from] DirectoriesError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The controller cannot start.
    #[error(transparent)]
    Controller(#[from] raftsman_controller::StartError),
    /// The broker cannot start.
    #[error(transparent)]
    Broker(#[from] raftsman_broker::StartError),
    /// The system refuses a thread or a socket's address.
    #[error("the system refuses what a node needs: {0}")]
    System(#[from] std::io::Error),
}

/// A node, to be started.
pub struct Server;

/// A running node. Dropping it stops it without handing its leaderships over.
#[derive(Debug)]
pub struct ServerHandle {
    addresses: Vec<(String, SocketAddr)>,
    status: watch::Receiver<Status>,
    stop: Option<oneshot::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a node: binds its listeners (unless they are handed over, by name), formats and checks its directories,
    /// and starts controller and broker. It then forms or joins its cluster by itself; see [`ServerHandle::wait_ready`].
    /// Blocks while logs recover; must not be called within an asynchronous runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(mut config: ServerConfig, bound: Option<Vec<BoundListener>>) -> Result<ServerHandle, StartError> {
        raise_open_files();
        let mut sockets = match bound {
            Some(bound) => bound,
            None => bind_all(&config)?,
        };
        let addresses = sockets
            .iter()
            .map(|socket| Ok((socket.name.to_string(), socket.listener.local_addr()?)))
            .collect::<Result<Vec<_>, std::io::Error>>()?;
        settle_ports(&mut config, &addresses);
        let mut directories = prepare_directories(&config)?;
        let controller = start_controller(&config, &directories, &mut sockets)?;
        let broker = match config.roles.broker {
            true => {
                let locked = directories.take_locked(&config.log_dirs);
                Some(Broker::start_in(broker_config(&config, directories.cluster_id())?, locked, sockets)?)
            }
            false => None,
        };
        announce(&config, &addresses, &directories);
        let (stop, stopped) = oneshot::channel();
        let (status_sender, status) = watch::channel(Status::default());
        let told = told(&config, &addresses);
        let supervisor = Supervisor { controller, broker, directories, told, status: status_sender };
        let thread = supervisor.start(config.health_listener, stopped)?;
        Ok(ServerHandle { addresses, status, stop: Some(stop), thread: Some(thread) })
    }
}

fn prepare_directories(config: &ServerConfig) -> Result<Directories, DirectoriesError> {
    let log_dirs = if config.roles.broker { config.log_dirs.as_slice() } else { &[] };
    let metadata_log_dir = config.roles.controller.then_some(config.metadata_log_dir.as_path());
    Directories::prepare(log_dirs, metadata_log_dir, config.node_id, rand::random)
}

fn bind_all(config: &ServerConfig) -> Result<Vec<BoundListener>, BindError> {
    let all = config.listeners.broker.iter().chain(config.listeners.controller.as_ref());
    all.map(|endpoint| Ok(BoundListener { name: Arc::from(endpoint.name.as_str()), listener: bind(endpoint)? }))
        .collect()
}

/// Puts the ports of the bound sockets where the configuration says 0. Only a controller of its own can have such a
/// port in its quorum: nobody else could know it.
fn settle_ports(config: &mut ServerConfig, addresses: &[(String, SocketAddr)]) {
    let port_of = |name: &str| addresses.iter().find(|(n, _)| n == name).map(|(_, address)| address.port());
    let node_id = config.node_id;
    if let Some(advertised) = config.listeners.controller_advertised.as_mut().filter(|a| a.port == 0) {
        advertised.port = port_of(&advertised.name).unwrap_or(0);
        let own = config.voters.iter_mut().filter(|voter| voter.node_id == node_id && voter.port == 0);
        own.for_each(|voter| voter.port = advertised.port);
    }
}

fn start_controller(
    config: &ServerConfig,
    directories: &Directories,
    sockets: &mut Vec<BoundListener>,
) -> Result<Option<ControllerHandle>, StartError> {
    let Some(endpoint) = &config.listeners.controller else { return Ok(None) };
    let Some(at) = sockets.iter().position(|socket| *socket.name == *endpoint.name) else {
        return Err(raftsman_broker::StartError::Listener(Arc::from(endpoint.name.as_str())).into());
    };
    let listener: TcpListener = sockets.remove(at).listener;
    Ok(Some(Controller::start(controller_config(config, directories)?, listener)?))
}

/// What clients of each broker listener are told to connect to.
fn told(config: &ServerConfig, addresses: &[(String, SocketAddr)]) -> Vec<Told> {
    let advertised = addresses.iter().filter_map(|(name, address)| Some((config.advertised(name)?, address)));
    advertised
        .map(|(endpoint, address)| Told {
            listener: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: if endpoint.port == 0 { address.port() } else { endpoint.port },
        })
        .collect()
}

/// Says what is where, and above all what clients will be told: the cause of most first troubles.
fn announce(config: &ServerConfig, addresses: &[(String, SocketAddr)], directories: &Directories) {
    let told = told(config, addresses);
    for (name, address) in addresses {
        match told.iter().find(|told| told.listener == *name) {
            Some(Told { host, port, .. }) => {
                tracing::info!(listener = %name, %address, "clients will be told to connect to {host}:{port}");
            }
            None => tracing::info!(listener = %name, %address, "for controllers"),
        }
    }
    for directory in config.directories().iter().filter(|directory| !directories.failed().contains(directory)) {
        tracing::info!(directory = %directory.display(), "data");
    }
}

impl ServerHandle {
    /// Where a listener is bound.
    pub fn client_address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| name == listener).map(|(_, address)| *address)
    }

    /// How the node is doing, as it changes.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the node takes clients; a controller of its own, until it belongs to a cluster.
    ///
    /// # Errors
    /// Why it never will.
    pub async fn wait_ready(&self) -> Result<(), String> {
        let mut status = self.status.clone();
        match status.wait_for(|status| status.is_ready || status.failure.is_some()).await {
            Ok(status) => status.failure.clone().map_or(Ok(()), Err),
            Err(_) => Err("the node was stopped".to_owned()),
        }
    }

    /// Waits until the node cannot go on, and answers why. Never ends for a healthy one.
    pub async fn wait_failed(&self) -> String {
        let mut status = self.status.clone();
        match status.wait_for(|status| status.failure.is_some()).await {
            Ok(status) => status.failure.clone().unwrap_or_default(),
            Err(_) => "the node was stopped".to_owned(),
        }
    }

    /// Stops the node, the broker before the controller. With `controlled` its leaderships move to others first.
    /// Blocks until all is closed; must not be called within an asynchronous runtime.
    pub fn shutdown(mut self, controlled: bool) {
        self.stop_and_join(controlled);
    }

    fn stop_and_join(&mut self, controlled: bool) {
        if let Some(stop) = self.stop.take() {
            // The supervisor may have ended by itself, after a failure.
            let _ = stop.send(controlled);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the node did not stop in order");
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop_and_join(false);
    }
}
