use std::sync::Arc;
use std::thread::JoinHandle;

use raftsman_broker::BrokerHandle;
use raftsman_controller::ControllerHandle;
use tokio::sync::{oneshot, watch};

use crate::directories::Directories;
use crate::health_endpoint;
use crate::self_check::{self, Told};

/// How a node is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The cluster it belongs to, once known.
    pub cluster_id: Option<Arc<str>>,
    /// Whether it takes clients; for a controller of its own, whether it belongs to a cluster.
    pub is_ready: bool,
    /// Why it cannot go on, with what to do.
    pub failure: Option<String>,
}

/// Watches over a node's parts: completes its directories when the cluster is known, reports what goes wrong, and stops
/// the parts in order. A thread of its own with one small runtime.
pub(crate) struct Supervisor {
    pub controller: Option<ControllerHandle>,
    pub broker: Option<BrokerHandle>,
    pub directories: Directories,
    /// What clients are told, to be tried once the node is ready.
    pub told: Vec<Told>,
    pub status: watch::Sender<Status>,
}

impl Supervisor {
    /// Starts watching. Ends when told to stop; the flag says whether leaderships are handed over first.
    pub fn start(
        mut self,
        health_listener: Option<(String, u16)>,
        stopped: oneshot::Receiver<bool>,
    ) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            runtime.block_on(async move {
                if let Some((host, port)) = health_listener {
                    let replicas = self.broker.as_ref().map(|broker| broker.state().replicas.clone());
                    tokio::spawn(health_endpoint::serve(host, port, self.status.subscribe(), replicas));
                }
                // A dropped handle stops the node as it is.
                let controlled = tokio::select! {
                    stopped = stopped => stopped.unwrap_or(false),
                    () = self.watch() => false,
                };
                self.stop(controlled).await;
            });
        })
    }

    /// Follows the node until it fails; then it is stopped, so that others take over at once.
    async fn watch(&mut self) {
        let Supervisor { controller, broker, directories, told, status } = self;
        let failure = tokio::select! {
            failure = joined(controller.as_ref(), broker.as_ref(), directories, status, std::mem::take(told)) => failure,
            failure = controller_failed(controller.as_ref()) => failure,
            failure = broker_failed(broker.as_ref()) => failure,
        };
        status.send_modify(|status| status.failure = Some(failure));
    }

    async fn stop(self, controlled: bool) {
        let Supervisor { controller, broker, .. } = self;
        // The controller last: it may be the one that moves the broker's leaderships.
        if let Some(broker) = broker
            && !broker.shutdown(controlled).await
        {
            tracing::warn!("the logs could not be closed cleanly: the next start will look through them");
        }
        if let Some(controller) = controller
            && tokio::task::spawn_blocking(move || controller.shutdown()).await.is_err()
        {
            tracing::error!("the controller did not stop in order");
        }
    }
}

/// Follows the node into its cluster, and then for ever. Answers if it cannot get there.
async fn joined(
    controller: Option<&ControllerHandle>,
    broker: Option<&BrokerHandle>,
    directories: &mut Directories,
    status: &watch::Sender<Status>,
    told: Vec<Told>,
) -> String {
    if let Some(controller) = controller {
        let mut health = controller.watch_health();
        let known = health.wait_for(|health| health.cluster_id.is_some() && health.active_controller.is_some()).await;
        let Ok(known) = known.map(|health| health.cluster_id.clone()) else { return std::future::pending().await };
        if let Some(failure) = learn(known, directories, status) {
            return failure;
        }
    }
    if let Some(broker) = broker {
        // Its failure is reported by the one who watches for it.
        if broker.wait_ready().await.is_err() {
            return std::future::pending().await;
        }
        if let Some(failure) = learn(broker.health().cluster_id, directories, status) {
            return failure;
        }
    }
    tracing::info!("ready");
    status.send_modify(|status| status.is_ready = true);
    self_check::dial(told).await;
    std::future::pending().await
}

fn learn(
    cluster_id: Option<Arc<str>>,
    directories: &mut Directories,
    status: &watch::Sender<Status>,
) -> Option<String> {
    let cluster_id = cluster_id?;
    if let Err(error) = directories.complete(&cluster_id) {
        return Some(error.to_string());
    }
    status.send_modify(|status| status.cluster_id = Some(cluster_id));
    None
}

async fn controller_failed(controller: Option<&ControllerHandle>) -> String {
    let Some(controller) = controller else { return std::future::pending().await };
    let mut health = controller.watch_health();
    match health.wait_for(|health| health.failure.is_some()).await {
        Ok(health) => health.failure.clone().unwrap_or_default(),
        Err(_) => "the controller has ended".to_owned(),
    }
}

async fn broker_failed(broker: Option<&BrokerHandle>) -> String {
    match broker {
        Some(broker) => broker.wait_failed().await,
        None => std::future::pending().await,
    }
}
