//! Do the advertised addresses lead back to this node? Wrong ones are the first trouble most people have with Kafka.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::config::join_host_port;

/// Longer than any network a node should be on.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// An address that clients of one listener are told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub listener: String,
    pub host: String,
    pub port: u16,
}

/// Dials every address once and says which cannot be reached from here, as far as that means anything: behind a port
/// mapping or NAT the addresses may be right all the same.
pub(crate) async fn dial(all: Vec<Told>) {
    for told in all {
        if let Some(trouble) = trouble(&told).await {
            tracing::warn!("{trouble}");
        }
    }
}

async fn trouble(told: &Told) -> Option<String> {
    let Told { listener, host, port } = told;
    let cause = match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", DIAL_TIMEOUT.as_secs()),
    };
    Some(format!(
        "clients of listener {listener} are told to connect to {}, which this node itself cannot reach ({cause}): right \
         behind a port mapping, else correct advertised.listeners",
        join_host_port(host, *port)
    ))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_addresses_that_lead_nowhere_are_reported() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let told = Told { listener: "OUT".to_owned(), host: "127.0.0.1".to_owned(), port };
        assert_eq!(trouble(&told).await, None);
        drop(socket);
        let line = trouble(&told).await.unwrap();
        assert!(line.contains("OUT") && line.contains(&format!("127.0.0.1:{port}")), "{line}");
    }
}
