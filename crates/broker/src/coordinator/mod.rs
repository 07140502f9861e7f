//! Drives the group coordinator: a shard for each partition of `__consumer_offsets` that this broker leads.
//!
//! A driver of shape-A and shape-B machines ([`raftsman_coordinator`]); no rule of groups is here. Requests step their
//! shard inline, under its lock, on whatever thread they came in. Beyond that there is one task for all timers, one for
//! each shard that is being loaded, and one for each shard while it has uncommitted records: idle groups and partitions
//! cost nothing. What begins these tasks is in `shell`; in a simulation [`stepped`] takes its place.

mod batches;
mod loader;
mod offsets_log;
mod service;
mod shard_driver;
mod shell;
pub mod stepped;
#[cfg(test)]
mod tests;
mod timer;

pub(crate) use offsets_log::OffsetsLog;
pub use service::{Asker, CoordinatorService};

/// The topic that groups and their offsets are kept in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
