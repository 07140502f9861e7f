//! The replicas of a broker: their logs, who leads and who follows, and the streams between brokers.
//!
//! The driver of `raftsman-replication`'s machines (shape B): it holds no rule of its own. Reading order: [`manager`]
//! (what handlers call), `partition` (one replica behind its lock), `flusher` (group commit), `leader_end` and `session`
//! (a leader's end of the streams), `follower_end` and `fetch_stream` (a follower's), `publish` (metadata becomes
//! roles), `isr_queue`, `housekeeping` and `cleaner` (what goes on in the background). All of that is synchronous. Threads, tasks
//! and the transport are around it, in `shell`, `service` and `dialer`; in a simulation [`stepped`] takes their place.

mod absent;
mod append;
mod cleaner;
mod cleaner_turns;
mod clock;
mod config;
mod core;
mod data_waiter;
mod deletion;
mod description;
mod dialer;
mod directory;
mod disk_room;
mod disk_watch;
mod disk_writes;
mod fetch_stream;
mod flush_queue;
mod flusher;
mod follower_end;
mod housekeeping;
mod isr_queue;
mod leader_end;
mod link;
mod log_memory;
mod manager;
mod opening;
mod partition;
mod progress;
mod publish;
mod read;
mod retired;
mod service;
mod session;
mod settings;
mod shell;
mod startup;
pub mod stepped;
#[cfg(test)]
mod tests;
mod throttle;
mod waiters;
mod work_off;

pub use absent::MissingReplicas;
pub use append::{Acks, AppendError, AppendOrigin, Appended};
pub use clock::{Clock, SystemClock};
pub use config::ReplicaConfig;
pub use data_waiter::DataWaiter;
pub use deletion::{DeleteRecordsError, RecordsDeleted};
pub use description::{DirectoryDescription, DirectoryState, ReplicaDescription};
pub use link::{BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult};
pub use manager::{OpenError, ReplicaManager};
pub use read::{FetchError, FetchRead, FetchTerms, Fetched, Isolation, ListedOffset, PartitionState, ReplicaRole};
pub use service::{LeaderStream, ReplicationService};
