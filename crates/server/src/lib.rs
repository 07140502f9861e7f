//! The node role of the binary: configuration, data directories, the start and stop of broker and controller, health.
//!
//! Reading order: [`config`] (what a node is told), [`Server::start`] (how its parts are started), then the supervisor
//! (what happens while it runs).

mod bind;
pub mod config;
mod directories;
#[cfg(test)]
mod directories_tests;
mod health_endpoint;
pub mod logging;
mod metrics;
mod network;
mod self_check;
mod server;
mod supervisor;
mod wiring;

pub use bind::BindError;
pub use config::{ConfigError, ServerConfig, Warning};
pub use directories::DirectoriesError;
pub use raftsman_broker::BoundListener;
pub use server::{Server, ServerHandle, StartError};
pub use supervisor::Status;
