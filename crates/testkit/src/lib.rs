//! What whole-system tests stand on: clusters of real `raftsman` processes, and the checker of what clients saw.
//!
//! Nothing here ships. A test waits on conditions through [`wait_until`], never on time alone.

mod binary;
mod clients;
pub mod disk_faults;
mod load;
mod log_reader;
mod node_clock;
mod node_network;
pub mod power;
mod process_cluster;
mod process_node;
mod require;
#[cfg(feature = "simulation")]
pub mod simulation;
mod tools;
mod wait;

pub use binary::{raftsman_binary, use_raftsman_binary};
pub use clients::{install_client, installed_clients, python};
pub use load::{Load, LoadOptions, LoadReport, key_of};
pub use log_reader::read_log;
pub use node_clock::NodeClock;
pub use node_network::NodeNetwork;
pub use process_cluster::{ClusterOptions, ProcessCluster, free_port};
pub use process_node::ProcessNode;
pub use raftsman_client::{CommitFloor, Found, History, Indeterminate, Outcome, Reads, Verdict};
pub use require::skip;
pub use tools::{DescribedPartition, Tools};
pub use wait::{wait_until, wait_until_some};
