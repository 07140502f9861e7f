//! The ways by which bytes from disks and peers come in, for whoever wants to see them withstand anything. Not part of
//! a node: built with the feature `fuzzing` alone.

use bytes::Bytes;

use crate::raft::hostile as raft;

/// Reads a metadata snapshot's file, and what a reader of it makes of the image. `mend` gives it a right checksum.
pub fn snapshot(bytes: &[u8], mend: bool) {
    raft::snapshot(bytes, mend);
}

/// Reads a log entry back from the values of the store it is kept in. `mend` gives them right checksums and places.
pub fn stored_values(values: &[&[u8]], mend: bool) {
    raft::stored_values(values, mend);
}

/// Takes a message of another controller in.
pub fn raft_message(kind: u8, bytes: &[u8]) {
    raft::message(kind, Bytes::copy_from_slice(bytes));
}

/// Takes a message of a broker in, as far as the request that would be decided.
pub fn broker_message(kind: u8, bytes: &[u8]) {
    crate::service::hostile::message(kind, Bytes::copy_from_slice(bytes));
}

/// A snapshot, and the values of a log entry, as they are written.
pub fn examples() -> (Vec<u8>, Vec<Vec<u8>>) {
    raft::examples()
}
