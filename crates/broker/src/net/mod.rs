//! From bytes on sockets to requests, and back.
//!
//! An acceptor per listener hands each connection to one of `num.network.threads` single-threaded runtimes, which owns
//! it from then on. A connection cuts its bytes into frames, has them dispatched and answers in order.

mod acceptor;
mod byte_budget;
mod connection;
mod creation_rate;
mod dispatcher;
mod frame_reader;
mod grpc;
mod inbox;
mod limits;
mod network_threads;
mod output;
mod peer_socket;
mod pipeline;
mod prefixed;
#[cfg(test)]
mod stranger_tests;
#[cfg(test)]
mod tests;

pub(crate) use acceptor::Acceptor;
pub use byte_budget::ByteBudget;
pub(crate) use connection::Shared;
pub(crate) use creation_rate::CreationRate;
pub use dispatcher::{Answer, Dispatched, Dispatcher, Peer};
pub use frame_reader::FrameError;
pub use grpc::GrpcService;
pub(crate) use limits::ConnectionLimits;
pub(crate) use network_threads::NetworkThreads;
