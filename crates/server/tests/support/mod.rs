//! A node in this process, and a client of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::path::Path;
use std::time::Duration;

use raftsman_client::{Client, ClientOptions};
use raftsman_server::{Server, ServerConfig, ServerHandle};

pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub client: Client,
    handle: ServerHandle,
}

impl Node {
    /// Starts it on a directory, with these settings besides.
    pub async fn start(data: &Path, settings: &[(&str, &str)]) -> Node {
        let overrides = [
            ("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"),
            ("log.dirs", data.to_str().unwrap()),
            ("num.network.threads", "1"),
        ];
        let overrides = overrides.iter().chain(settings);
        let overrides: Vec<_> = overrides.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = ServerConfig::load(None, &overrides, std::iter::empty()).unwrap().0;
        let handle = Server::start(config, None).unwrap();
        tokio::time::timeout(PATIENCE, handle.wait_ready()).await.unwrap().unwrap();
        let bootstrap = handle.client_address("PLAINTEXT").unwrap().to_string();
        let client = Client::connect(&bootstrap, ClientOptions::default()).await.unwrap();
        Node { client, handle }
    }

    /// Stops it as an operator does.
    pub async fn stop(self) {
        tokio::task::spawn_blocking(move || self.handle.shutdown(true)).await.unwrap();
    }
}
