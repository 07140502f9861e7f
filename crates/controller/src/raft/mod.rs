//! The quorum: one log of metadata entries that the controllers agree on. The only place that names openraft and sled.
//!
//! Bottom up: `store/` keeps keys and values on the disk, `log_store` makes Raft's log and vote of them, `state_machine`
//! replays entries into the image and hands it to the `feed`; `network` and `service` carry Raft's messages; `formation` finds
//! or makes the cluster, `membership` lets members in, `election` replaces a dead leader quickly. `node` ties them together.

mod convert;
mod feed;
mod identity;
mod log_store;
mod snapshot_file;
mod state_machine;
mod storage;
mod store;
#[cfg(test)]
mod storage_tests;
mod types;

use storage::what_to_do;
