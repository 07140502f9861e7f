//! From bytes on sockets to requests, and back.
//!
//! An acceptor per listener hands each connection to one of `num.network.threads` single-threaded runtimes, which owns
//! it from then on. A connection cuts its bytes into frames, has them dispatched and answers in order.

mod byte_budget;
mod connection;
mod dispatcher;
mod frame_reader;
mod output;
mod pipeline;

pub use byte_budget::ByteBudget;
pub use dispatcher::{Answer, Dispatched, Dispatcher, Peer};
pub use frame_reader::FrameError;
