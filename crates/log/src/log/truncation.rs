use raftsman_types::{Offset, WallTime};

use super::Log;
use super::partition_files::{Caps, list_snapshots, remove_snapshot, write_caps_unsynced};
use super::swap_recovery::remove_unfinished_swaps;
use crate::error::{LogError, ReadError, StorageError};
use crate::segment::Segment;

impl Log {
    /// Cuts the log so that nothing at or past `offset` is left, and forgets epochs that start there
    /// even if there was nothing to cut. A batch that holds `offset` goes as a whole. Returns the new
    /// log end offset. Everything is on disk when this returns, but for the epochs if there was no room, or no file, for them: the
    /// next flush writes them then, and until it has, a power cut makes the cut of the epochs (not the records') be asked for again.
    ///
    /// # Errors
    /// Storage. Unless there was no room, or no more files may be opened, the log is then offline; else it is as it was: try again
    /// when there is some.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<Offset, LogError> {
        self.check_online()?;
        self.place.secure_files()?;
        if offset < self.log_start_offset {
            self.reset_to(offset.max(0))?;
            return Ok(self.log_end_offset);
        }
        let mut cut_at = offset;
        if offset < self.log_end_offset {
            let cut = self.cut(offset);
            self.latch_unless_passing(cut)?;
            let producers = list_snapshots(&self.place)
                .and_then(|snapshots| self.restore_producers(snapshots, self.last_flush))
                .map_err(StorageError::half_way);
            self.latch(producers)?;
            cut_at = self.log_end_offset;
        }
        // After a cut within a batch that is below `offset`.
        if self.epochs.truncate_from_end(offset.min(cut_at)) {
            self.epoch_version += 1;
        }
        self.write_epochs_or_later()?;
        Ok(self.log_end_offset)
    }

    /// Drops everything and starts anew, empty, at `start_offset`: for a replica whose leader no longer
    /// has what would continue its log. Everything is on disk when this returns, but for the epochs as after
    /// [`Log::truncate_to`].
    ///
    /// # Errors
    /// As for [`Log::truncate_to`].
    pub fn reset_to(&mut self, start_offset: Offset) -> Result<(), LogError> {
        self.check_online()?;
        self.place.secure_files()?;
        let reset = self.drop_everything(start_offset);
        self.latch_unless_passing(reset)?;
        self.write_epochs_or_later()?;
        if self.is_new {
            match self.flush(self.last_flush) {
                // It needs room for the epochs alone, and files to sync, and is done with the first records.
                Err(error) if error.is_passing() => {}
                flushed => {
                    flushed?;
                }
            }
        }
        Ok(())
    }

    /// Writes the epochs down after a cut. Those that are gone do no harm in the file: what is appended from here on writes it
    /// first, and what a power cut brings back of them is compared with the leader's, and cut, again.
    fn write_epochs_or_later(&mut self) -> Result<(), StorageError> {
        match self.write_epochs() {
            Err(error) if error.is_passing() => {
                tracing::warn!(log = %self.place.directory.display(), %error, "its leader epochs are not written down yet");
                Ok(())
            }
            written => written,
        }
    }

    /// Right after the log was opened: moves its start up to what `log-start-offset-checkpoint` says. Not if the log was
    /// cut below that, or made, since that file was written, as a note tells: the file may speak of an
    /// earlier partition of the name, or of records that came in other batches.
    ///
    /// # Errors
    /// As for [`Log::advance_log_start_offset`].
    pub fn restore_log_start_offset(&mut self, checkpointed: Offset, now: WallTime) -> Result<(), LogError> {
        match self.heeds_checkpointed_start(checkpointed) {
            true => self.advance_log_start_offset(checkpointed.min(self.log_end_offset), now),
            false => Ok(()),
        }
    }

    /// Moves the log's start up to `offset` (DeleteRecords, or the leader's start for a follower) and removes segments
    /// wholly below it; later, with those that are too old, if a full disk does not allow even that. Never down. The caller
    /// checkpoints it.
    ///
    /// # Errors
    /// `OffsetOutOfRange` past the log's end, or storage.
    pub fn advance_log_start_offset(&mut self, offset: Offset, now: WallTime) -> Result<(), LogError> {
        self.check_online()?;
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        if offset > start {
            self.log_start_offset = offset;
            if self.epochs.truncate_from_start(offset) {
                self.epoch_version += 1;
            }
            let removed = self.remove_segments_below_start(now);
            match self.latch_unless_passing(removed) {
                Err(error) if error.is_out_of_space() => {
                    tracing::warn!(log = %self.place.directory.display(), %error, "its deleted segments are removed later");
                }
                removed => removed?,
            }
        }
        Ok(())
    }

    fn cut(&mut self, offset: Offset) -> Result<(), StorageError> {
        let place = self.place.clone();
        let i = self.segments.partition_point(|segment| segment.base_offset <= offset) - 1;
        let segment = &self.segments[i];
        let file = segment.reader(&place)?;
        let found = segment.find(&place, &*file, offset).map_err(|error| unreadable(error.into(), segment, &place))?;
        let position = found.as_ref().map_or(segment.size, |found| found.position);
        let new_end = match found.map(|found| found.header.base_offset) {
            Some(base_offset) if base_offset <= offset => base_offset,
            // In a gap that compaction left. What stays ends in front of it: nobody could tell a later end from the files.
            _ => segment
                .end_before(&place, &*file, position)
                .map_err(|error| unreadable(error.into(), segment, &place))?
                .min(offset),
        };
        self.forget_past(new_end, new_end)?;
        let removed_any = self.remove_newest(i + 1)?;
        let interval = self.config.index_interval_bytes;
        let cut = self.active().truncate(&place, position, new_end, interval);
        cut.map_err(|error| if removed_any { error.half_way() } else { error })?;
        self.log_end_offset = new_end;
        self.flushed_offset = self.flushed_offset.min(new_end);
        self.forget_compaction_past(new_end);
        // Only if the log starts within the batch that went.
        self.log_start_offset = self.log_start_offset.min(new_end);
        self.tail.truncate(new_end);
        Ok(())
    }

    /// Removes the newest segments but for `kept` of them, one after the other; whether there were any. Without room for the first
    /// of them nothing has changed.
    fn remove_newest(&mut self, kept: usize) -> Result<bool, StorageError> {
        let mut removed_any = false;
        while let Some(newest) = self.segments.last().filter(|_| self.segments.len() > kept) {
            newest.remove_files(&self.place).map_err(|error| if removed_any { error.half_way() } else { error })?;
            // It is gone: what is appended to it from here on would be, too.
            self.place.sync_directory().map_err(StorageError::half_way)?;
            removed_any = true;
            self.segments.pop();
        }
        Ok(removed_any)
    }

    fn forget_compaction_past(&mut self, new_end: Offset) {
        self.checkpointed_recovery_point = self.checkpointed_recovery_point.min(new_end);
        self.compacted_upto = self.compacted_upto.min(new_end);
    }

    /// Everything on disk that speaks of offsets past `new_end`, but the batches: gone before they are,
    /// so that no crash leaves a claim without its ground. A log start is still believed up to `log_start`. Where there is no
    /// room for the note nothing is forgotten; what was forgotten when the cut itself comes to nothing is missed by nobody.
    fn forget_past(&mut self, new_end: Offset, log_start: Offset) -> Result<(), StorageError> {
        self.generation += 1;
        if new_end < self.flushed_offset || new_end < self.log_start_offset {
            self.cap(new_end.max(0), log_start.max(0))?;
        }
        let mut any = false;
        for snapshot in list_snapshots(&self.place)?.into_iter().filter(|snapshot| *snapshot > new_end) {
            remove_snapshot(&self.place, snapshot)?;
            any = true;
        }
        self.put_off_snapshot.take_if(|(offset, _)| *offset > new_end);
        any |= remove_unfinished_swaps(&self.place)?;
        if any { self.place.sync_directory() } else { Ok(()) }
    }

    /// Leaves a note of how far the checkpoint files are to be believed; never further than one before said.
    fn cap(&mut self, recovery_point: Offset, log_start: Offset) -> Result<(), StorageError> {
        let log_start = self.caps.map_or(log_start, |earlier| earlier.log_start.min(log_start));
        let caps = Caps { recovery_point, log_start };
        write_caps_unsynced(&self.place, caps)?;
        // It is there, and to be removed again, even if it cannot be made durable for want of a file.
        self.caps = Some(caps);
        self.place.sync_directory()
    }

    fn drop_everything(&mut self, start_offset: Offset) -> Result<(), StorageError> {
        // The newest go first: what a crash leaves is the log's older part, and starts where it did.
        self.forget_past(-1, self.log_start_offset)?;
        self.remove_newest(0)?;
        self.begin_anew_at(start_offset).map_err(StorageError::half_way)
    }

    /// The second half of a reset: of the segments there is none any more.
    fn begin_anew_at(&mut self, start_offset: Offset) -> Result<(), StorageError> {
        let place = self.place.clone();
        if start_offset < self.log_start_offset {
            // From here on it could only hide what the new log gets.
            place.sync_directory()?;
            self.cap(0, start_offset)?;
        }
        self.segments.push(Segment::create(&place, start_offset, self.last_flush, &self.config)?);
        place.sync_directory()?;
        self.names_synced = self.names_changed;
        self.log_start_offset = start_offset;
        self.log_end_offset = start_offset;
        self.flushed_offset = start_offset;
        self.forget_compaction_past(0);
        self.tail.clear();
        self.producers.clear();
        self.first_open_transaction = None;
        self.unreplicated_transactions = Default::default();
        if self.epochs.clear() {
            self.epoch_version += 1;
        }
        Ok(())
    }
}

fn unreadable(error: ReadError, segment: &Segment, place: &crate::place::Place) -> StorageError {
    match error {
        ReadError::Storage(error) => error,
        other => StorageError::new("find where to cut", &segment.path(place), std::io::Error::other(other)),
    }
}
