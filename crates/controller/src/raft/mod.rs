//! The quorum: one log of metadata entries that the controllers agree on. The only place that names openraft and sled.
//!
//! Bottom up: `store/` keeps keys and values on the disk, `log_store` makes Raft's log and vote of them, `state_machine`
//! replays entries into the image and hands it to the `feed`; `network` and `service` carry Raft's messages; `formation` finds
//! or makes the cluster, `membership` lets members in, `election` replaces a dead leader quickly. `quorum` ties them together.

mod convert;
mod described;
mod directory;
mod election;
mod feed;
mod formation;
#[cfg(test)]
mod formation_tests;
#[cfg(feature = "fuzzing")]
pub(crate) mod hostile;
mod identity;
mod log_store;
mod majority;
mod membership;
mod network;
mod outlook;
mod peers;
#[cfg(test)]
mod power_cut_tests;
mod quorum;
mod service;
mod silence;
mod snapshot_file;
mod speaker;
mod state_machine;
mod storage;
#[cfg(test)]
mod storage_tests;
mod store;
mod types;

pub(crate) use feed::{FeedRead, MetadataFeed};
pub(crate) use identity::Binding;
pub(crate) use peers::{Dial, dial};
pub(crate) use quorum::{Proposal, Quorum, QuorumState};
pub(crate) use service::RaftService;
pub(crate) use snapshot_file::parts as snapshot_parts;
use storage::what_to_do;
pub(crate) use storage::{OpenError, Storage};
