//! Sparse indexes of a segment: some offsets and some timestamps, each with where to look. They only
//! ever save work: whatever is missing or in doubt is found, or rebuilt, from the batches.

mod entry;
mod sparse;
mod transactions;

pub(crate) use entry::{IndexEntry, OffsetEntry, TimeEntry};
pub(crate) use sparse::SparseIndex;
pub(crate) use transactions::TransactionIndex;
pub use transactions::{AbortedTransaction, RawAbortedTransaction, raw_aborted_transactions};
