use raftsman_types::{Offset, WallTime};

use super::Log;
use super::partition_files::remove_snapshot;
use crate::compaction::CleanedFiles;
use crate::error::{LogError, StorageError};

/// What retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedSegments {
    /// How many segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Log {
    /// Removes the oldest segments past `retention.ms` or `retention.bytes`, none that reaches past
    /// `upto` (the high watermark). If even the newest one is too old it is rolled, and goes too. The
    /// caller checkpoints the new log start offset.
    ///
    /// # Errors
    /// Storage. Unless there was no room, the log is then offline; else it begins where it should, and the files that could
    /// not be removed go the next time.
    pub fn delete_old_segments(&mut self, upto: Offset, now: WallTime) -> Result<DeletedSegments, LogError> {
        self.check_online()?;
        let deleted = self.delete_due(upto, now);
        Ok(self.latch_unless_passing(deleted)?)
    }

    /// Begins a new segment if the newest one holds records older than `segment.ms`. Returns whether.
    ///
    /// # Errors
    /// Storage. Unless there was no room, the log is then offline; else the newest segment stays that, and records are still
    /// deleted.
    pub fn roll_if_due(&mut self, now: WallTime) -> Result<bool, LogError> {
        self.check_online()?;
        let config = std::sync::Arc::clone(&self.config);
        let active = self.active();
        if !active.has_span(now.0, active.lifetime_ms(&config), now) {
            return Ok(false);
        }
        let rolled = self.roll(self.log_end_offset, now);
        self.latch_unless_passing(rolled)?;
        Ok(true)
    }

    fn delete_due(&mut self, upto: Offset, now: WallTime) -> Result<DeletedSegments, StorageError> {
        // Those for which there was no room to be removed before.
        self.remove_segments_below_start(now)?;
        let mut due = self.count_due(upto, now)?;
        if due == self.segments.len() {
            match self.roll(self.log_end_offset, now) {
                // A full disk is no reason to keep what would make room, nor is one file too many.
                Err(error) if error.is_passing() => due -= 1,
                rolled => rolled?,
            }
        }
        let mut deleted = DeletedSegments::default();
        if due > 0 {
            let new_start = self.segments.get(due).map_or(self.log_end_offset, |next| next.base_offset);
            deleted.bytes = self.segments[..due].iter().map(|segment| segment.size).sum();
            deleted.segments = due;
            self.log_start_offset = self.log_start_offset.max(new_start);
            if self.epochs.truncate_from_start(self.log_start_offset) {
                self.epoch_version += 1;
            }
            self.remove_segments_below_start(now)?;
        }
        Ok(deleted)
    }

    /// How many of the oldest segments are to go.
    fn count_due(&self, upto: Offset, now: WallTime) -> Result<usize, StorageError> {
        let (retention_ms, retention_bytes) = (self.config.retention_ms, self.config.retention_bytes);
        let mut size = self.size_in_bytes();
        let mut due = 0;
        for (i, segment) in self.segments.iter().enumerate() {
            let next_base = self.segments.get(i + 1).map_or(self.log_end_offset, |next| next.base_offset);
            let is_active = i + 1 == self.segments.len();
            if next_base > upto || (is_active && segment.size == 0) {
                break;
            }
            let too_old = retention_ms >= 0 && now.0.saturating_sub(segment.newest(&self.place)?) > retention_ms;
            // Kafka keeps at least the bytes asked for: a segment goes only if the rest is still enough.
            let too_much = retention_bytes >= 0 && size - segment.size >= retention_bytes as u64 && !is_active;
            if !too_old && !too_much {
                break;
            }
            size -= segment.size;
            due += 1;
        }
        Ok(due)
    }

    /// Removes the segments, all but the newest, that lie wholly below the log's start. Where there is no room for that they
    /// stay, and this may be called again.
    pub(super) fn remove_segments_below_start(&mut self, now: WallTime) -> Result<(), StorageError> {
        while self.segments.len() > 1 && self.segments[1].base_offset <= self.log_start_offset {
            let base_offset = self.segments[0].base_offset;
            let renamed = CleanedFiles { place: &self.place, base_offset }.rename("", ".deleted")?;
            self.retired(renamed.into_paths(), now);
            self.segments.remove(0);
            self.forget_snapshot(base_offset)?;
        }
        Ok(())
    }

    /// Removes a snapshot that nobody needs any more. On a full disk it may stay: what it says is still so, and it goes when
    /// the log is opened.
    pub(super) fn forget_snapshot(&self, offset: Offset) -> Result<(), StorageError> {
        match remove_snapshot(&self.place, offset) {
            Err(error) if error.is_out_of_space() => {
                tracing::warn!(%error, "a snapshot that is of no use stays behind");
                Ok(())
            }
            removed => removed,
        }
    }
}
