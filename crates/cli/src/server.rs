//! `raftsman server`: one node, until a signal ends it.

use std::process::ExitCode;

use raftsman_server::{Server, ServerConfig, ServerHandle, Warning, logging};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::ServerArguments;
use crate::failure::Failure;

/// Starts the node and runs it until SIGTERM or SIGINT (then it hands its leaderships over first; a second signal ends
/// it at once), or until it cannot go on.
pub fn run(arguments: ServerArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    // Before any thread: a node that belongs to `cluster` or `demo` ends with it.
    if let Err(error) = crate::cluster::die_with_parent() {
        eprintln!("this node may outlive the cluster that started it: {error}");
    }
    logging::start(log_level, "info");
    // Names that are no UTF-8 are nobody's settings.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let (config, warnings) = ServerConfig::load(arguments.properties.as_deref(), &arguments.overrides, environment)?;
    print_warnings(&warnings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("cannot start a runtime"))?;
    let node = Server::start(config, None)?;
    let end = runtime.block_on(wait_for_end(&node))?;
    match end {
        End::Signal(name) => {
            tracing::info!("{name}: stopping; a second signal stops at once");
            stop(node, &runtime);
            Ok(ExitCode::SUCCESS)
        }
        End::Failure(failure) => {
            node.shutdown(false);
            Err(Failure::Said(failure))
        }
    }
}

enum End {
    Signal(&'static str),
    Failure(String),
}

async fn wait_for_end(node: &ServerHandle) -> Result<End, Failure> {
    let no_signals = || Failure::system("cannot wait for signals");
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals())?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals())?;
    Ok(tokio::select! {
        _ = terminated.recv() => End::Signal("SIGTERM"),
        _ = interrupted.recv() => End::Signal("SIGINT"),
        failure = node.wait_failed() => End::Failure(failure),
    })
}

/// Stops in order on a thread of its own, while this one waits for a second signal.
fn stop(node: ServerHandle, runtime: &tokio::runtime::Runtime) {
    let stopping = runtime.spawn_blocking(move || node.shutdown(true));
    runtime.block_on(async {
        let (Ok(mut terminated), Ok(mut interrupted)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            stopped = stopping => if stopped.is_err() { tracing::error!("the node did not stop in order") },
            _ = terminated.recv() => std::process::exit(1),
            _ = interrupted.recv() => std::process::exit(1),
        }
    });
}

/// Keys without effect go in one line: a stock file has several, and none of them matters alone.
fn print_warnings(warnings: &[Warning]) {
    let mut without_effect = Vec::new();
    for warning in warnings {
        match warning {
            Warning::NoEffect { key, .. } => without_effect.push(key.as_str()),
            other => tracing::warn!("{other}"),
        }
    }
    if !without_effect.is_empty() {
        tracing::warn!("set, but without effect yet in this version: {}", without_effect.join(", "));
    }
}
