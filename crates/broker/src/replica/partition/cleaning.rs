use std::io::ErrorKind;
use std::sync::Arc;

use raftsman_log::{CleanedGroup, Compaction, CompactionError, CompactionLimits, LogError, Pace};

use super::{Partition, Standing};

/// A compaction of one replica. Between its steps others get to the log, and a crash finds what is there then.
pub(in crate::replica) struct CompactionRun {
    partition: Arc<Partition>,
    limits: CompactionLimits,
    stage: Stage,
}

/// What was done last.
enum Stage {
    Chosen,
    Begun(Box<Compaction>),
    /// The keys are read, and all groups so far are in their places.
    Swapped(Box<Compaction>),
    /// A group is written beside the log.
    Written(Box<Compaction>, CleanedGroup),
    /// From here on a crash lets it win over what it replaces.
    Announced(Box<Compaction>, CleanedGroup),
    /// The names that say so are on the disk.
    Synced(Box<Compaction>, CleanedGroup),
    Over,
}

impl CompactionRun {
    pub fn new(partition: Arc<Partition>, limits: CompactionLimits) -> CompactionRun {
        CompactionRun { partition, limits, stage: Stage::Chosen }
    }

    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Takes the next step; false once there is none. The log's lock is held only to begin, to announce and to swap.
    ///
    /// # Errors
    /// [`CompactionError`]: it is over, and what is worth telling was told.
    pub fn step(&mut self, pace: &dyn Pace) -> Result<bool, CompactionError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        self.stage = self.after(stage, pace).inspect_err(|error| self.partition.compaction_failed(error))?;
        Ok(!matches!(self.stage, Stage::Over))
    }

    fn after(&self, stage: Stage, pace: &dyn Pace) -> Result<Stage, CompactionError> {
        let partition = &self.partition;
        Ok(match stage {
            Stage::Chosen => {
                let begun = partition.begin_compaction(self.limits)?;
                begun.map_or(Stage::Over, |compaction| Stage::Begun(Box::new(compaction)))
            }
            Stage::Begun(mut compaction) => {
                compaction.read_keys(pace)?;
                Stage::Swapped(compaction)
            }
            Stage::Swapped(mut compaction) => match compaction.next_group(pace)? {
                Some(group) => Stage::Written(compaction, group),
                None => {
                    partition.compaction_finished(&compaction);
                    Stage::Over
                }
            },
            Stage::Written(compaction, group) => {
                partition.announce_swap(&group)?;
                Stage::Announced(compaction, group)
            }
            Stage::Announced(compaction, group) => {
                group.sync_names()?;
                Stage::Synced(compaction, group)
            }
            Stage::Synced(compaction, group) => {
                partition.swap(group)?;
                Stage::Swapped(compaction)
            }
            Stage::Over => Stage::Over,
        })
    }
}

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

    /// Begins a compaction of the log, but for what is not committed yet. `None` if there is nothing to compact.
    fn begin_compaction(&self, limits: CompactionLimits) -> Result<Option<Compaction>, CompactionError> {
        let mut state = self.state.lock();
        if state.standing != Standing::Online {
            return Err(CompactionError::Superseded);
        }
        let (high_watermark, now) = (state.high_watermark, self.core.wall_time());
        state.log.begin_compaction(high_watermark, limits, now).map_err(|error| self.of_log(error))
    }

    fn announce_swap(&self, group: &CleanedGroup) -> Result<(), CompactionError> {
        let mut state = self.state.lock();
        let announced =
            state.standing == Standing::Online && state.log.announce_swap(group).map_err(|error| self.of_log(error))?;
        if announced { Ok(()) } else { Err(CompactionError::Superseded) }
    }

    fn swap(self: &Arc<Self>, group: CleanedGroup) -> Result<(), CompactionError> {
        let mut state = self.state.lock();
        let now = self.core.wall_time();
        if state.standing == Standing::Online && state.log.swap(group, now).map_err(|error| self.of_log(error))? {
            state.swaps += 1;
            drop(state);
            // The names of the files in their places are to be synced, too.
            self.queue_flush();
            return Ok(());
        }
        Err(CompactionError::Superseded)
    }

    fn compaction_finished(self: &Arc<Self>, compaction: &Compaction) {
        self.state.lock().log.compaction_finished(compaction);
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
    }

    /// A compaction ended early: tells what is worth telling. The log is as good as before, or its directory offline.
    fn compaction_failed(&self, error: &CompactionError) {
        match error {
            CompactionError::Damaged { .. } => tracing::error!(partition = %self.name(), "{error}"),
            CompactionError::Storage(error) if error.is_out_of_files() => {
                self.directory.out_of_files(&self.core, error)
            }
            CompactionError::Storage(error) if error.is_out_of_space() => {
                tracing::warn!(partition = %self.name(), "is not compacted while the disk is full: {error}");
            }
            CompactionError::Storage(error) if error.is_damage() => {
                tracing::error!(partition = %self.name(), "is not compacted: {error}");
            }
            // The topic was deleted.
            CompactionError::Storage(error) if error.source.kind() == ErrorKind::NotFound => {}
            CompactionError::Storage(error) => self.directory.fail(&self.core, error),
            CompactionError::Stopped(_) | CompactionError::Superseded => {
                tracing::debug!(partition = %self.name(), "its compaction ended early");
            }
        }
    }

    /// A failed change of the log's own files: the directory is offline then, unless there was no room, or no file could be opened.
    /// The log is as it was then, and its compaction is tried again.
    fn of_log(&self, error: LogError) -> CompactionError {
        match error {
            LogError::Storage(error) if error.is_passing() => CompactionError::Storage(error),
            error => {
                self.directory.fail(&self.core, &error);
                CompactionError::Superseded
            }
        }
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
