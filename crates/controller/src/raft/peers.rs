use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_rpc::raft::raft_client::RaftClient;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long a dialled node has to answer: a killed container never refuses.
const DIAL_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a new connection is watched before its other end counts as alive.
const WATCHED: Duration = Duration::from_millis(50);
/// How long a connection may take to be made, the resolving of a name included.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// What one message between controllers holds at most: entries of 256 KiB, or a part of a snapshot, and what frames it.
pub(super) const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Settings of every connection between controllers. Nothing is sent over them that is larger than some hundred KiB.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true))
}

/// A client over a channel, with our limits.
pub(super) fn client(channel: Channel) -> RaftClient<Channel> {
    RaftClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

/// Connections for everything but Raft's own messages, one per address, kept.
#[derive(Debug, Default)]
pub(super) struct Peers {
    channels: Mutex<HashMap<String, Channel>>,
}

/// Addresses come from configuration and membership: beyond this many, old ones are forgotten.
const MAX_CHANNELS: usize = 64;

impl Peers {
    /// A client of the controller at an address; it connects when it is used.
    ///
    /// # Errors
    /// The address is none.
    pub fn client(&self, address: &str) -> Result<RaftClient<Channel>, Status> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(client(channel.clone()));
        }
        let channel = endpoint(address)
            .map_err(|e| Status::invalid_argument(format!("{address} is no address: {e}")))?
            .connect_lazy();
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(client(channel))
    }
}

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dial {
    /// Somebody listens there.
    Answered,
    /// Refused, unreachable or unknown.
    Refused,
    /// Nothing came back in time.
    Unanswered,
}

/// Dials an address to see whether the process behind it lives.
///
/// The kernel takes connections for a process that is being killed until its listener is closed, which may be after
/// its other connections broke; the new connection is reset then. So one that stands is watched for a moment.
pub(crate) async fn dial(host: &str, port: u16, timeout: Duration) -> Dial {
    match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(connection)) => watch(connection).await,
        Ok(Err(_)) => Dial::Refused,
        Err(_) => Dial::Unanswered,
    }
}

/// Whether a new connection outlives the moment that a killed process takes to close its listener.
async fn watch(mut connection: TcpStream) -> Dial {
    let mut first = [0];
    match tokio::time::timeout(WATCHED, connection.read(&mut first)).await {
        Ok(Ok(0) | Err(_)) => Dial::Refused,
        // It speaks, or waits for us to.
        Ok(Ok(_)) | Err(_) => Dial::Answered,
    }
}

/// Whether a controller that no longer answers on its connection is dead: a redial fails too.
pub(super) async fn is_dead(host: &str, port: u16) -> bool {
    dial(host, port, DIAL_TIMEOUT).await != Dial::Answered
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_listener_that_closes_after_the_dial_is_dead() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let timeout = Duration::from_secs(10);
        // Nobody accepts: the kernel does, and that is life enough for one that is stopped or busy.
        assert_eq!(dial("127.0.0.1", port, timeout).await, Dial::Answered);
        // The same, and then the listener goes with the connections it holds.
        let (dialled, ()) = tokio::join!(dial("127.0.0.1", port, timeout), async {
            let (_connection, _) = listener.accept().await.unwrap();
            let (_connection, _) = listener.accept().await.unwrap();
            drop(listener);
        });
        assert_eq!(dialled, Dial::Refused);
        assert_eq!(dial("127.0.0.1", port, timeout).await, Dial::Refused);
    }
}
