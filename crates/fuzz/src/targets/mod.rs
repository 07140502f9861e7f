//! The targets, by what they take their input for.

mod checkpoint_file;
mod compressed_batch;
mod coordinator_sequence;
mod group_blob;
mod grpc_message;
mod index_file;
mod log_files;
mod message;
mod message_set;
mod metadata_store;
mod producer_snapshot;
mod properties;
mod record_batch;
mod request_frame;
mod response_frame;
mod segment_recovery;

/// One thing to throw bytes at.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is the fuzzing binary's and its corpus directory's.
    pub name: &'static str,
    /// Takes an input. A panic is a finding.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),*];
    };
}

targets![
    request_frame,
    response_frame,
    record_batch,
    compressed_batch,
    message_set,
    segment_recovery,
    index_file,
    producer_snapshot,
    checkpoint_file,
    group_blob,
    grpc_message,
    metadata_store,
    properties,
    coordinator_sequence,
];
