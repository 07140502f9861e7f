//! The cluster's controller: decides metadata, agrees on it with its peers, and tells the brokers.
//!
//! `decide` says what shall happen (shape A), `heartbeat` which brokers live and `actor` when what is decided (shape B); these three
//! are pure. `raft` keeps the log they write, on disk and among the controllers; `service` is the gRPC around all of it;
//! `controller` starts it.

pub mod actor;
mod config;
mod controller;
pub mod decide;
mod health;
pub mod heartbeat;
#[cfg(feature = "fuzzing")]
pub mod hostile;
mod raft;
mod service;

pub use config::{ControllerConfig, DoorConfig, RaftTimings, Voter};
pub use controller::{Controller, ControllerHandle, StartError};
pub use health::ControllerHealth;
