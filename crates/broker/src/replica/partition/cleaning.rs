use std::io::ErrorKind;
use std::sync::Arc;

use raftsman_log::{CleanedGroup, CompactionError, CompactionLimits, LogError, Pace};

use super::{Partition, Standing};

impl Partition {
    /// How dirty the log is, 0 to 1, if its topic's settings want it compacted now.
    pub fn compaction_due(&self) -> Option<f64> {
        if !self.settings.read().log.compact {
            return None;
        }
        let state = self.state.lock();
        if state.standing != Standing::Online {
            return None;
        }
        match state.log.compaction_due(state.high_watermark, self.core.wall_time()) {
            Ok(plan) => plan.map(|plan| plan.dirty_ratio()),
            Err(error) => {
                tracing::warn!(partition = %self.name(), "cannot tell whether it is to be compacted: {error}");
                None
            }
        }
    }

    /// Compacts the log, but for what is not committed yet. The lock is held only to begin and to swap what was written
    /// beside the log.
    ///
    /// # Errors
    /// [`CompactionError`]; the log is as good as before. Everything worth telling was told.
    pub fn compact(self: &Arc<Self>, limits: CompactionLimits, pace: &dyn Pace) -> Result<(), CompactionError> {
        let done = self.run_compaction(limits, pace);
        match &done {
            Ok(()) => {}
            Err(error @ CompactionError::Damaged { .. }) => tracing::error!(partition = %self.name(), "{error}"),
            Err(CompactionError::Storage(error)) => match error.source.kind() {
                // The topic was deleted.
                ErrorKind::NotFound => {}
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    tracing::warn!(partition = %self.name(), "is not compacted while the disk is full: {error}");
                }
                _ => self.directory.fail(&self.core, error),
            },
            Err(CompactionError::Stopped(_) | CompactionError::Superseded) => {
                tracing::debug!(partition = %self.name(), "its compaction ended early");
            }
        }
        done
    }

    fn run_compaction(self: &Arc<Self>, limits: CompactionLimits, pace: &dyn Pace) -> Result<(), CompactionError> {
        let begun = {
            let mut state = self.state.lock();
            if state.standing != Standing::Online {
                return Err(CompactionError::Superseded);
            }
            let (high_watermark, now) = (state.high_watermark, self.core.wall_time());
            state.log.begin_compaction(high_watermark, limits, now).map_err(|error| self.of_log(error))?
        };
        let Some(mut compaction) = begun else { return Ok(()) };
        compaction.read_keys(pace)?;
        while let Some(group) = compaction.next_group(pace)? {
            self.swap(group)?;
        }
        let mut state = self.state.lock();
        state.log.compaction_finished(&compaction);
        drop(state);
        self.queue_flush();
        let (plan, stats) = (compaction.plan(), compaction.stats());
        tracing::info!(
            partition = %self.name(),
            from = plan.first_dirty,
            upto = compaction.end(),
            keys = stats.keys,
            bytes_before = stats.bytes_before,
            bytes_after = stats.bytes_after,
            "compacted"
        );
        Ok(())
    }

    fn swap(self: &Arc<Self>, group: CleanedGroup) -> Result<(), CompactionError> {
        let announced = {
            let mut state = self.state.lock();
            state.standing == Standing::Online && state.log.announce_swap(&group).map_err(|error| self.of_log(error))?
        };
        if !announced {
            return Err(CompactionError::Superseded);
        }
        group.sync_names()?;
        let mut state = self.state.lock();
        let now = self.core.wall_time();
        if state.standing == Standing::Online && state.log.swap(group, now).map_err(|error| self.of_log(error))? {
            drop(state);
            // The names of the files in their places are to be synced, too.
            self.queue_flush();
            return Ok(());
        }
        Err(CompactionError::Superseded)
    }

    /// A failed change of the log's own files: the directory is offline then.
    fn of_log(&self, error: LogError) -> CompactionError {
        self.directory.fail(&self.core, &error);
        CompactionError::Superseded
    }

    /// Removes files whose segments were deleted long enough ago, without the log's lock.
    pub fn remove_deleted_files(&self) {
        let due = {
            let mut state = self.state.lock();
            state.log.take_due_deletions(self.core.wall_time())
        };
        let fs = self.directory.files.file_system();
        for path in due {
            match fs.remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), "cannot remove a deleted segment's file: {error}");
                }
                _ => {}
            }
        }
    }
}
