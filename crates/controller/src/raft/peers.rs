use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_rpc::raft::raft_client::RaftClient;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long a dialled node has to answer: a killed container never refuses.
const DIAL_TIMEOUT: Duration = Duration::from_millis(100);
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
pub(crate) async fn dial(host: &str, port: u16, timeout: Duration) -> Dial {
    match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Dial::Answered,
        Ok(Err(_)) => Dial::Refused,
        Err(_) => Dial::Unanswered,
    }
}

/// Whether a controller that no longer answers on its connection is dead: a redial fails too.
pub(super) async fn is_dead(host: &str, port: u16) -> bool {
    dial(host, port, DIAL_TIMEOUT).await != Dial::Answered
}
