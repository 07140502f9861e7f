//! `GET /health` over HTTP, where `health.listener` asks for it: 200 once the node is ready, else 503.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::supervisor::Status;

/// Serves until the node ends. A port that cannot be had is an error in the log: the node itself is well.
pub(crate) async fn serve(host: String, port: u16, status: watch::Receiver<Status>) {
    let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host };
    let listener = match TcpListener::bind((host.as_str(), port)).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "health.listener {host}:{port} cannot be opened: nobody can ask for this node's health");
            return;
        }
    };
    let router = Router::new().route("/health", get(health)).with_state(status);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the health endpoint has ended");
    }
}

async fn health(State(status): State<watch::Receiver<Status>>) -> (StatusCode, String) {
    let status = status.borrow().clone();
    let cluster_id = status.cluster_id.as_deref().unwrap_or("unknown");
    match (&status.failure, status.is_ready) {
        (None, true) => (StatusCode::OK, format!("ready\ncluster.id={cluster_id}\n")),
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, format!("starting\ncluster.id={cluster_id}\n")),
        (Some(failure), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("failed\n{failure}\n")),
    }
}
