//! The replicas of a broker: their logs, who leads and who follows, and the streams between brokers.
//!
//! The driver of `raftsman-replication`'s machines (shape B): it holds no rule of its own. Reading order: [`manager`]
//! (what handlers call), `partition` (one replica behind its lock), `flusher` (group commit), `service` and `session`
//! (a leader's end of the streams), `dialer` and `fetch_stream` (a follower's), `publish` (metadata becomes roles),
//! `isr_queue` and `housekeeping` (what goes on in the background).

mod append;
mod config;
mod core;
mod data_waiter;
mod dialer;
mod directory;
mod fetch_stream;
mod flusher;
mod housekeeping;
mod isr_queue;
mod link;
mod manager;
mod partition;
mod publish;
mod read;
mod service;
mod session;
mod settings;
mod startup;
#[cfg(test)]
mod tests;
mod waiters;

pub use append::{Acks, AppendError, AppendOrigin, Appended};
pub use config::ReplicaConfig;
pub use data_waiter::DataWaiter;
pub use link::{BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult};
pub use manager::{OpenError, ReplicaManager};
pub use read::{FetchError, FetchRead, Fetched, Isolation, ListedOffset, PartitionState, ReplicaRole};
pub use service::{LeaderStream, ReplicationService};
