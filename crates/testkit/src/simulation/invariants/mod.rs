//! What must hold after every step, one rule in each file. [`Observer`] sees what changed and asks them.

mod candidate_completeness;
mod compaction;
mod election_safety;
mod generation_fence;
mod group_rebuilt;
mod groups;
mod image_rules;
mod leader_completeness;
mod log_matching;
mod log_starts;
mod metadata_log_matching;
mod observer;
mod offsets_in_order;
mod quorum_superset;
mod sole_assignment;
mod truth;

pub(super) use groups::{LoggedCommit, OFFSETS_TOPIC};
pub(super) use observer::Observer;
pub(super) use truth::{PartitionTruth, Truth, known_by};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// How it was broken, and by whom.
    pub what: String,
}

impl Violation {
    pub(super) fn new(rule: &'static str, what: impl Into<String>) -> Violation {
        Violation { rule, what: what.into() }
    }
}

/// A rule holds, or does not.
pub(super) type Checked = Result<(), Violation>;

/// One batch of a replica's log, as far as rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchMark {
    pub base: i64,
    pub last: i64,
    pub epoch: i32,
    pub crc: u32,
}
