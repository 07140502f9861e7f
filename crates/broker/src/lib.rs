//! A broker: it serves Kafka's protocol, keeps replicas, coordinates groups and follows the cluster's metadata.
//!
//! An engine: it owns sockets, threads and files, and drives the pure machines of `replication` and `coordinator`.
//! Reading order: [`broker`] (how it all starts), `net` (bytes to requests), [`api`] (requests to answers),
//! [`metadata`] (what the cluster decided), [`lifecycle`] (being part of the cluster).

pub mod api;
mod broker;
pub mod config;
pub mod coordinator;
pub mod lifecycle;
pub mod metadata;
pub mod net;
pub mod replica;

pub use broker::{BoundListener, Broker, BrokerHandle, Health, StartError};
pub use config::BrokerConfig;
