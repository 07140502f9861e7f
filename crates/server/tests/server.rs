//! A node in this process: started, used as a stock configuration says, stopped and started again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raftsman_server::{Server, ServerConfig, ServerHandle, StartError};

const SOON: Duration = Duration::from_secs(30);

fn load(file: Option<&Path>, overrides: &[(&str, String)]) -> ServerConfig {
    let overrides: Vec<_> = overrides.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    ServerConfig::load(file, &overrides, std::iter::empty()).unwrap().0
}

fn single(directory: &Path) -> ServerConfig {
    load(
        None,
        &[
            ("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0".to_owned()),
            ("log.dirs", directory.display().to_string()),
            ("num.network.threads", "1".to_owned()),
        ],
    )
}

fn wait_ready(node: &ServerHandle) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(SOON, node.wait_ready()).await }).unwrap().unwrap();
}

fn meta_properties(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("meta.properties")).unwrap()
}

#[test]
fn an_empty_directory_becomes_a_cluster_and_stays_it() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    let node = Server::start(single(&directory), None).unwrap();
    wait_ready(&node);
    let address: SocketAddr = node.client_address("PLAINTEXT").unwrap();
    std::net::TcpStream::connect(address).unwrap();
    let cluster_id = node.watch_status().borrow().cluster_id.clone().unwrap();
    node.shutdown(true);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens after the stop");
    let before = meta_properties(&directory);
    assert!(before.contains(&format!("cluster.id={cluster_id}")), "{before}");

    let node = Server::start(single(&directory), None).unwrap();
    wait_ready(&node);
    assert_eq!(node.watch_status().borrow().cluster_id.as_deref(), Some(&*cluster_id));
    node.shutdown(false);
    assert_eq!(meta_properties(&directory), before);
}

#[test]
fn stock_files_start_a_node() {
    for name in ["stock-3.9-kraft.properties", "stock-4.x.properties"] {
        let root = tempfile::tempdir().unwrap();
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        // Only what a test must not share with the rest of the machine is changed: ports and the directory.
        let config = load(
            Some(&file),
            &[
                ("listeners", "PLAINTEXT://:0,CONTROLLER://:0".to_owned()),
                ("advertised.listeners", "PLAINTEXT://localhost:0,CONTROLLER://localhost:0".to_owned()),
                ("controller.quorum.voters", String::new()),
                ("controller.quorum.bootstrap.servers", String::new()),
                ("log.dirs", root.path().display().to_string()),
            ],
        );
        let node = Server::start(config, None).unwrap();
        wait_ready(&node);
        node.shutdown(true);
    }
}

#[test]
fn a_second_node_on_the_same_data_or_port_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("first"), root.path().join("second"));
    let node = Server::start(single(&first), None).unwrap();
    wait_ready(&node);
    let same_data = Server::start(single(&first), None).map(|_| ()).unwrap_err();
    assert!(matches!(same_data, StartError::Directories(_)), "{same_data}");
    let taken = node.client_address("PLAINTEXT").unwrap();
    let config = load(
        None,
        &[
            ("listeners", format!("PLAINTEXT://{taken},CONTROLLER://127.0.0.1:0")),
            ("log.dirs", second.display().to_string()),
        ],
    );
    let same_port = Server::start(config, None).map(|_| ()).unwrap_err().to_string();
    assert!(same_port.contains(&taken.port().to_string()) && !same_port.contains('\n'), "{same_port}");
    assert!(!second.exists(), "a node that cannot listen formats nothing");
    node.shutdown(false);
}

#[test]
fn another_node_id_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let node = Server::start(single(root.path()), None).unwrap();
    wait_ready(&node);
    node.shutdown(false);
    let mut other = single(root.path());
    other.node_id = 2;
    let error = Server::start(other, None).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("node.id=1") && error.contains("node.id=2"), "{error}");
}
