use std::sync::Arc;

use raftsman_types::Offset;

use super::Log;
use crate::error::LogError;
use crate::segment::Deferral;
use crate::tail_cache::CacheBudget;

/// The most that may wait in one log; what comes then is written at once, with all that waits.
const DEFERRED_BYTES_MAX: u64 = 8 << 20;

impl Log {
    /// Whether appends from here on may be left to the next flush to write: many at once, on a thread that may block, for
    /// half of what each costs alone. Only where nobody takes a batch for written before it is flushed; it is read as if it
    /// were there. Off when a log is opened.
    ///
    /// It concerns appends of `LogConfig::defer_from_bytes` and more, and those that come behind such a one. What waits
    /// already when this is switched off is written with the next append, or by [`Log::write_out`].
    pub fn defer_writes(&mut self, allowed: bool) {
        self.defers_writes = allowed;
    }

    /// Shares the memory of appends that wait to be written with the other logs of the broker. Without any left, or with
    /// 8 MiB of one log waiting, they are written at once.
    pub fn set_deferral_budget(&mut self, budget: Arc<CacheBudget>) {
        self.deferral_budget = Some(budget);
    }

    /// Everything below this offset has been written, and outlives the process.
    pub fn written_offset(&self) -> Offset {
        self.segments.last().and_then(|active| active.first_deferred_offset()).unwrap_or(self.log_end_offset)
    }

    /// Writes what waits for the next flush.
    ///
    /// # Errors
    /// Storage; unless there was no room, the log is then offline.
    pub fn write_out(&mut self) -> Result<(), LogError> {
        self.check_online()?;
        let active = self.segments.last_mut().expect("a log always has a segment");
        let written = active.settle(&self.place, active.size);
        self.latch_unless_passing(written)?;
        Ok(())
    }

    pub(super) fn deferral(&self) -> Option<Deferral> {
        self.defers_writes.then(|| Deferral {
            from_bytes: self.config.defer_from_bytes,
            max_bytes: DEFERRED_BYTES_MAX,
            budget: self.deferral_budget.clone(),
        })
    }
}
