//! The controller's gRPC: what brokers ask of it, and the task that drives the actor.
//!
//! Connections live on the thread of Raft, so that a vote never waits behind a decision; the actor lives on a thread of its own.
//! A handler here converts, hands over, waits and converts back.

mod accept;
mod controller_service;
mod convert;
mod driver;
#[cfg(feature = "fuzzing")]
pub(crate) mod hostile;
mod reply;
mod session;
mod watch;

pub(crate) use accept::serve;
pub(crate) use controller_service::ControllerService;
pub(crate) use driver::{Driver, Input};
