use std::collections::VecDeque;

use raftsman_types::Offset;

use super::CompletedTransaction;

/// Transactions whose marker is in the log, but was not below the high watermark yet when it was last told: what was decided
/// of them may still be cut off, and be decided otherwise.
#[derive(Debug, Default)]
pub(crate) struct UnreplicatedTransactions {
    /// First offset, and offset of the marker; by rising markers.
    completed: VecDeque<(Offset, Offset)>,
}

impl UnreplicatedTransactions {
    pub(crate) fn push(&mut self, completed: CompletedTransaction) {
        self.completed.push_back((completed.first_offset, completed.last_offset));
    }

    /// First offset of the oldest one whose marker is at or above a high watermark.
    pub(crate) fn first_offset(&self, high_watermark: Offset) -> Option<Offset> {
        let undecided = self.completed.iter().rev().take_while(|(_, marker)| *marker >= high_watermark);
        undecided.map(|(first, _)| *first).min()
    }

    /// Forgets those whose marker is below a high watermark.
    pub(crate) fn replicated(&mut self, high_watermark: Offset) {
        while self.completed.front().is_some_and(|(_, marker)| *marker < high_watermark) {
            self.completed.pop_front();
        }
    }

    /// Forgets those whose marker is at or past an offset.
    pub(crate) fn truncate(&mut self, offset: Offset) {
        while self.completed.back().is_some_and(|(_, marker)| *marker >= offset) {
            self.completed.pop_back();
        }
    }
}
