//! `GET /health` over HTTP, where `health.listener` asks for it: 200 once the node is ready, else 503. A ready node whose disk is
//! full is still ready: it serves everything but Produce, and nobody else does that better. `GET /metrics` answers there, too.

use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::get;
use raftsman_broker::replica::ReplicaManager;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics;
use crate::supervisor::Status;

/// Serves until the node ends. A port that cannot be had is an error in the log: the node itself is well.
/// `replicas` are those of the node's broker, if it has one.
pub(crate) async fn serve(host: String, port: u16, status: watch::Receiver<Status>, replicas: Option<ReplicaManager>) {
    let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host };
    let listener = match TcpListener::bind((host.as_str(), port)).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "health.listener {host}:{port} cannot be opened: nobody can ask for this node's health");
            return;
        }
    };
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(Asked { status, replicas });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the health endpoint has ended");
    }
}

#[derive(Clone)]
struct Asked {
    status: watch::Receiver<Status>,
    replicas: Option<ReplicaManager>,
}

async fn health(State(asked): State<Asked>) -> (StatusCode, String) {
    let full = asked.replicas.map(|replicas| replicas.full_directories()).unwrap_or_default();
    let status = asked.status.borrow().clone();
    answer(&status, &full)
}

async fn metrics(State(asked): State<Asked>) -> ([(HeaderName, &'static str); 1], String) {
    let directories = asked.replicas.map(|replicas| replicas.directory_states()).unwrap_or_default();
    let text = metrics::text(asked.status.borrow().is_ready, &directories);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

fn answer(status: &Status, full_directories: &[PathBuf]) -> (StatusCode, String) {
    let cluster_id = status.cluster_id.as_deref().unwrap_or("unknown");
    let (code, mut text) = match (&status.failure, status.is_ready) {
        (None, true) => (StatusCode::OK, format!("ready\ncluster.id={cluster_id}\n")),
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, format!("starting\ncluster.id={cluster_id}\n")),
        (Some(failure), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("failed\n{failure}\n")),
    };
    for directory in full_directories {
        text += &format!(
            "full: the disk of log directory {} has no more room than log.dirs.reserved.bytes: Produce to the replicas in it is \
             refused until there is; make some, for example by a shorter retention.ms\n",
            directory.display()
        );
    }
    (code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_of_a_node_that_is_ready_all_the_same() {
        let ready = Status { cluster_id: Some("c".into()), is_ready: true, failure: None };
        assert_eq!(answer(&ready, &[]), (StatusCode::OK, "ready\ncluster.id=c\n".to_owned()));
        let (code, text) = answer(&ready, &["/data/a".into(), "/data/b".into()]);
        assert_eq!(code, StatusCode::OK);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["ready", "cluster.id=c"]);
        for (line, directory) in lines[2..].iter().zip(["/data/a ", "/data/b "]) {
            for word in ["full: ", directory, "Produce", "refused", "retention.ms"] {
                assert!(line.contains(word), "{word:?} is missing in {line:?}");
            }
        }
        assert_eq!(lines.len(), 4);
        let failed = Status { failure: Some("why".to_owned()), ..ready };
        assert_eq!(answer(&failed, &[]), (StatusCode::SERVICE_UNAVAILABLE, "failed\nwhy\n".to_owned()));
    }
}
