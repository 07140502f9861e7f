//! The controller's gRPC: what brokers ask of it, and the task that drives the actor.
//!
//! Connections live on the thread of Raft, so that a vote never waits behind a decision; the actor lives on a thread of its own.
//! A handler here converts, hands over, waits and converts back.

mod accept;
mod connection;
mod controller_service;
mod convert;
mod door;
mod driver;
#[cfg(feature = "fuzzing")]
pub(crate) mod hostile;
mod known;
mod reply;
mod session;
#[cfg(test)]
mod stranger_tests;
mod watch;

pub(crate) use accept::serve;
pub(crate) use controller_service::ControllerService;
pub(crate) use door::Door;
pub(crate) use driver::{Driver, Input};
pub(crate) use known::know_members;
