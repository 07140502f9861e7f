use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use raftsman_protocol::Frame;

use crate::api::Close;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The listener it came in on.
    pub listener: Arc<str>,
    /// Who it is.
    pub principal: Arc<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// When it connected.
    pub connected_at: Instant,
}

/// What becomes of a request: the response frame, or none for a request that gets no answer.
pub type Answer = Pin<Box<dyn Future<Output = Result<Option<Frame>, Close>>>>;

/// A request that has been recognized but not begun. Its future does nothing before its first poll.
pub struct Dispatched {
    /// Does it.
    pub answer: Answer,
    /// Whether it may begin while earlier requests of its kind are not complete.
    pub overlaps: bool,
}

/// Turns frames into requests. The registry of APIs is the real one; tests of the net layer bring their own.
pub trait Dispatcher: Send + Sync {
    /// Reads the header of a frame (without its length) and prepares the request.
    ///
    /// # Errors
    /// [`Close`] for a frame that is no request this broker serves.
    fn dispatch(&self, peer: &Arc<Peer>, frame: Bytes) -> Result<Dispatched, Close>;
}
