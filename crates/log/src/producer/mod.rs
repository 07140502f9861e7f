//! What a log remembers of idempotent and transactional producers (KIP-98): the last five batches of
//! each, to tell a repeat from a gap, and where its open transaction began.

mod entry;
mod snapshot;
mod state;
mod unreplicated;

pub(crate) use snapshot::{Snapshot, TransactionSeal, decode_snapshot, encode_snapshot};
pub use snapshot::{SnapshotEntry, snapshot_entries};
pub(crate) use state::{CompletedTransaction, LastRecord, ProducerState, SequenceCheck};
pub(crate) use unreplicated::UnreplicatedTransactions;
