//! Committed offsets. Shape A: each function here reads the state and answers, or decides records; none changes it.

mod commit;
mod delete;
mod expire;
mod fetch;

pub(crate) use commit::{decide_commit, refused_commit};
pub(crate) use delete::{decide_delete_group, decide_delete_topics};
pub(crate) use expire::{Retention, decide_expiry};
pub(crate) use fetch::{fetch, refused_fetch};

use crate::Record;

/// What was decided: records to write and the answer to give once they are committed.
#[derive(Debug)]
pub(crate) struct Outcome<R> {
    pub records: Vec<Record>,
    pub reply: R,
}
