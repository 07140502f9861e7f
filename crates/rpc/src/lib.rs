//! What nodes of a cluster say to each other over gRPC: the code generated from `proto/` and the conversions between
//! its types and ours.
//!
//! `generated/` is written by `cargo xtask proto` and checked in; it is never edited by hand. The pb types are for the
//! wire and the disk only: whoever receives one converts it at once, so that no rule is written against a type
//! whose every field may be missing.
//!
//! Beside these, what the listeners of controllers and brokers count: who is connected, by address.

mod convert;
mod generated;
mod per_address;

pub use convert::{ConvertError, RECORD_VERSION, id_bytes, id_from_bytes, partition_from_pb, partition_to_pb};
pub use generated::controller::v1 as controller;
pub use generated::metadata::v1 as metadata;
pub use generated::raft::v1 as raft;
pub use generated::replica::v1 as replica;
pub use per_address::{Counted, PerAddress};

/// The gRPC metadata key under which a controller that is not active names the active one (`host:port`).
pub const ACTIVE_CONTROLLER_KEY: &str = "raftsman-controller";
