//! The codec against itself, against bytes nobody should send, and against two oracles: the `kafka-protocol` crate
//! and a corpus that Kafka's own classes wrote (`tests/compat/codec-oracle`).

#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking, like the tests themselves")]

mod corpus;
mod crosscheck;
mod entry;
mod golden;
mod hostile;
mod ignorable;
mod random;
mod registry;
mod round_trip;
#[path = "../../../../xtask/src/codegen/schema.rs"]
#[allow(dead_code, reason = "the generator uses the rest")]
mod schema;
