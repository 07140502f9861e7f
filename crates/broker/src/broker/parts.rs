use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::api::BrokerState;
use crate::net::NetworkThreads;

/// What a task that ignores the end of its runtime may take.
const LAST_TASKS: Duration = Duration::from_secs(1);

/// Everything of a broker that runs.
pub(super) struct Parts {
    pub(super) state: Arc<BrokerState>,
    pub(super) threads: Arc<NetworkThreads>,
    /// Owns the listening sockets.
    pub(super) opening: tokio::task::JoinHandle<()>,
    pub(super) lifecycle: Runtime,
    pub(super) background: Runtime,
    pub(super) publisher: JoinHandle<()>,
}

impl Parts {
    /// Stops everything; `true` if the logs were closed cleanly. Blocks, and must not be called within a runtime.
    pub(super) fn stop(self) -> bool {
        // The sockets close first: who dials now is refused, so that peers and the controller know at once.
        self.opening.abort();
        self.threads.stop();
        // Ends the session and the metadata watch, and with that the publisher.
        self.lifecycle.shutdown_timeout(LAST_TASKS);
        if self.publisher.join().is_err() {
            tracing::error!("the thread that publishes metadata ended by a panic");
        }
        self.state.coordinator.shutdown();
        let clean = self.state.replicas.shutdown();
        self.background.shutdown_timeout(LAST_TASKS);
        clean
    }
}
