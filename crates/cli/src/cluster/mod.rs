//! `raftsman cluster`: a whole cluster on this machine, one process per node, for trying things out.
//!
//! [`layout`] decides who lives where and is told what, [`Node`] is one process, [`readiness`] says when the cluster
//! serves, [`supervisor`] starts nodes again and stops them all. `raftsman demo` stands on the same pieces.

mod guide;
mod layout;
mod node;
mod parent;
mod ports;
mod readiness;
mod supervisor;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::output::say;

pub use layout::{Place, bootstrap_servers, lay_out};
pub use node::Node;
pub use parent::die_with_parent;
pub use readiness::{ask_each, client_of, judge};
pub use supervisor::EndSignals;

/// A cluster that does not serve by then has a trouble that waiting does not mend.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at a cluster that starts.
const LOOK_EVERY: Duration = Duration::from_millis(30);
/// From a node's port for clients to its port for controllers.
const TO_CONTROLLER_PORTS: u16 = 1_000;

/// Run a cluster on this machine: one process per node, restarted when killed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Where the data and the logs of the nodes lie; a cluster that is there goes on.
    #[arg(long, value_name = "FOLDER", default_value = "./raftsman-data")]
    dir: PathBuf,
    /// The first node's port for clients; the others count up from it, controllers from 1000 above.
    #[arg(long, value_name = "PORT", default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..=64_500))]
    base_port: u16,
    /// A setting for every node, over those that a cluster on one machine gets; may be repeated.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    overrides: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}

/// Runs the cluster until Ctrl-C or SIGTERM. To be called on the main thread, outside of any runtime.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(run_cluster(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("raftsman cluster: {error}");
    ExitCode::FAILURE
}

async fn run_cluster(arguments: &Arguments) -> Result<(), String> {
    let mut end = EndSignals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
    check_directory(&arguments.dir, usize::from(arguments.nodes))?;
    let layouts = lay_out(places(arguments), &arguments.overrides);
    ports::check(&layouts)?;
    // All at once: the next start counts them.
    for layout in &layouts {
        let directory = &layout.place.directory;
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut nodes: Vec<Node> = layouts.into_iter().map(Node::new).collect();
    let outcome = run_nodes(arguments, &mut nodes, &mut end).await;
    let killed = supervisor::stop(&mut nodes).await.map_err(|error| format!("stopping the nodes: {error}"))?;
    if !killed.is_empty() {
        eprintln!("raftsman cluster: nodes {killed:?} did not stop in time and were killed; nothing is lost by that");
    }
    outcome
}

async fn run_nodes(arguments: &Arguments, nodes: &mut [Node], end: &mut EndSignals) -> Result<(), String> {
    let started = Instant::now();
    for node in nodes.iter_mut() {
        node.start().map_err(|error| error.to_string())?;
    }
    let controller = tokio::select! {
        ready = wait_until_ready(nodes, READY_WITHIN) => ready?,
        () = end.received() => return Ok(()),
    };
    let shown: Vec<guide::Shown> = nodes
        .iter()
        .map(|node| guide::Shown {
            id: node.id(),
            address: node.layout().place.clients.to_string(),
            process_id: node.process_id(),
        })
        .collect();
    say!("{}", guide::text(&program(), &shown, controller, started.elapsed(), &arguments.dir));
    supervisor::supervise(nodes, end).await.map_err(|error| format!("watching over the nodes: {error}"))?;
    say!("\nStopping; `{} cluster` goes on with the same data.", program());
    Ok(())
}

/// Waits until all nodes serve, and answers which is the active controller.
///
/// # Errors
/// A node ended, with its last words; or what is still missing after `at_most`.
pub async fn wait_until_ready(nodes: &mut [Node], at_most: Duration) -> Result<i32, String> {
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.layout().place.clients).collect();
    let deadline = Instant::now() + at_most;
    loop {
        check_alive(nodes)?;
        let missing = match judge(&ask_each(&addresses).await) {
            Ok(controller) => return Ok(controller),
            Err(missing) => missing,
        };
        if Instant::now() >= deadline {
            return Err(format!("the cluster does not serve after {} s: {missing}", at_most.as_secs()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks whether every node that was started still runs.
///
/// # Errors
/// The last words of one that ended.
pub fn check_alive(nodes: &mut [Node]) -> Result<(), String> {
    for node in nodes {
        if let Some(status) = node.take_exit().map_err(|error| format!("watching node {}: {error}", node.id()))? {
            let log = node.layout().log_file();
            return Err(format!("node {} ended ({status}): {} [log: {}]", node.id(), node.last_words(), log.display()));
        }
    }
    Ok(())
}

fn places(arguments: &Arguments) -> Vec<Place> {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (0..arguments.nodes)
        .map(|i| Place {
            clients: address(arguments.base_port + i),
            controller: address(arguments.base_port + TO_CONTROLLER_PORTS + i),
            directory: arguments.dir.join(format!("node-{}", i + 1)),
        })
        .collect()
}

/// Refuses a folder whose cluster has another number of nodes, and one that `log.dirs` cannot name.
fn check_directory(directory: &Path, nodes: usize) -> Result<(), String> {
    let shown = directory.display();
    if directory.to_string_lossy().contains(',') {
        return Err(format!("--dir {shown}: the name of a folder for data must not hold a comma"));
    }
    let there = (1..).take_while(|id| directory.join(format!("node-{id}")).is_dir()).count();
    if there != 0 && there != nodes {
        return Err(format!(
            "{shown} holds a cluster of {there} nodes, not of {nodes}: start it with --nodes {there}, or give another \
             folder with --dir"
        ));
    }
    Ok(())
}

/// How the user calls this program.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "raftsman".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_count_up_from_the_base_port_and_controllers_above() {
        let arguments = Arguments { nodes: 2, dir: "d".into(), base_port: 9092, overrides: Vec::new() };
        let places = places(&arguments);
        assert_eq!(places[1].clients, "127.0.0.1:9093".parse().unwrap());
        assert_eq!(places[1].controller, "127.0.0.1:10093".parse().unwrap());
        assert_eq!(places[1].directory, PathBuf::from("d/node-2"));
    }

    #[test]
    fn a_folder_with_another_number_of_nodes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_directory(folder.path(), 3), Ok(()));
        for id in 1..=3 {
            std::fs::create_dir(folder.path().join(format!("node-{id}"))).unwrap();
        }
        assert_eq!(check_directory(folder.path(), 3), Ok(()));
        let error = check_directory(folder.path(), 5).unwrap_err();
        assert!(error.contains("cluster of 3 nodes") && error.contains("--nodes 3"), "{error}");
        assert!(check_directory(Path::new("a,b"), 3).is_err());
    }
}
