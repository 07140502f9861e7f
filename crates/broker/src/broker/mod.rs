//! How a broker's parts are put together, started and stopped.

mod handle;
mod parts;
mod start;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use raftsman_log::dir::{DirectoryError, LogDirectory};

pub use handle::{BrokerHandle, Health};

use crate::config::BrokerConfig;
use crate::replica::OpenError;

/// A listener that is already bound, so that a port of 0 and a socket handed over work alike.
pub struct BoundListener {
    /// Its name, one of the configuration's listeners.
    pub name: Arc<str>,
    /// The bound socket.
    pub listener: TcpListener,
}

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A bound socket or `inter.broker.listener.name` names no configured listener, or one has no socket.
    #[error("listener {0} is not both configured (listeners, advertised.listeners) and bound")]
    Listener(Arc<str>),
    /// A log directory cannot be opened.
    #[error("log directory {path}: {error}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        error: DirectoryError,
    },
    /// The replicas in the log directories cannot be opened.
    #[error(transparent)]
    Replicas(#[from] OpenError),
    /// The system gave no thread, event queue or socket.
    #[error("the system refuses what a broker needs: {0}")]
    System(#[from] io::Error),
}

/// A broker, to be started.
pub struct Broker;

impl Broker {
    /// Starts a broker on these sockets. Answers once its logs are open; it then joins the cluster by itself, and takes
    /// connections when the controller has unfenced it: see [`BrokerHandle::wait_ready`]. Blocks while logs recover.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(config: BrokerConfig, listeners: Vec<BoundListener>) -> Result<BrokerHandle, StartError> {
        let directories = start::open_directories(&config)?;
        start::start(config, directories, listeners)
    }

    /// As [`start`](Broker::start), in log directories the caller has opened, and with that locked, already.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start_in(
        config: BrokerConfig,
        directories: Vec<LogDirectory>,
        listeners: Vec<BoundListener>,
    ) -> Result<BrokerHandle, StartError> {
        start::start(config, directories, listeners)
    }
}
