use std::sync::{Arc, OnceLock};

use raftsman_types::{Offset, WallTime};

use super::Log;
use super::partition_files::{snapshot_path, write_snapshot};
use crate::error::{IoContext, LogError, StorageError};
use crate::flush::{FlushTicket, TicketEpochs, TicketFile};
use crate::segment::Segment;

impl Log {
    /// Whether everything in the log is durable, with all that is known of it. What a recovery took away may still come back
    /// after a power cut, and is taken away again then.
    pub fn is_flushed(&self) -> bool {
        self.flushed_offset >= self.log_end_offset
            && self.epoch_version <= self.epoch_version_durable
            && self.unsynced_side_files.is_empty()
    }

    /// What has to be synced to make the whole log durable, or nothing if it is, or if the log is
    /// offline. Cheap; the work is in [`FlushTicket::sync`].
    pub fn begin_flush(&mut self) -> Option<FlushTicket> {
        if self.offline.is_some() {
            return None;
        }
        let snapshot = self.write_put_off_snapshot();
        let names = (self.names_changed > self.names_synced).then_some(self.names_changed);
        let epochs_changed = self.epoch_version > self.epoch_version_durable;
        let nothing_to_do = self.is_flushed() && names.is_none() && !self.is_new;
        if snapshot.is_ok() && nothing_to_do {
            return None;
        }
        // What cannot be written, or opened, cannot be made durable, which is what a failed sync says, too, or passes. Whoever waits
        // for the flush is told by its ticket.
        let (files, outcome) = match snapshot.and_then(|()| self.files_to_flush()) {
            Ok(files) => (files, OnceLock::new()),
            Err(error) => (Vec::new(), OnceLock::from(Err(error))),
        };
        let epochs = epochs_changed.then(|| TicketEpochs {
            version: self.epoch_version,
            entries: self.epochs.entries().to_vec(),
            file: Arc::clone(&self.epoch_file),
        });
        Some(FlushTicket {
            place: self.place.clone(),
            upto: self.log_end_offset,
            generation: self.generation,
            files,
            side_files: self.unsynced_side_files.clone(),
            names,
            is_new: self.is_new,
            epochs,
            outcome,
        })
    }

    fn files_to_flush(&self) -> Result<Vec<TicketFile>, StorageError> {
        let dirty = self.segments.iter().filter(|segment| segment.is_dirty());
        let ticket_file = |segment: &Segment| {
            let writes = segment.due_writes();
            let file = match &writes {
                Some(_) => segment.file_to_write(&self.place)?,
                None => segment.file(&self.place)?,
            };
            let path = segment.path(&self.place);
            Ok(TicketFile { base_offset: segment.base_offset, size: segment.size, path, file, writes })
        };
        dirty.map(ticket_file).collect()
    }

    /// Takes in the outcome of a ticket's sync and returns the flushed offset. A ticket from before a
    /// truncation, or one that was never synced, changes nothing; the next flush covers its work.
    ///
    /// # Errors
    /// The sync's, which takes the log offline for good: after a failed sync nobody knows what is on
    /// disk, and a second one that succeeds proves nothing. Where it found no room or no file to write or sync with, the log is as
    /// before, and what it was for is left to the next one.
    pub fn complete_flush(&mut self, ticket: FlushTicket) -> Result<Offset, LogError> {
        self.check_online()?;
        let Some(outcome) = ticket.outcome.into_inner() else { return Ok(self.flushed_offset) };
        self.latch_unless_passing(outcome)?;
        if ticket.generation != self.generation {
            // What it synced may have been cut and written anew since; the next ticket syncs that.
            return Ok(self.flushed_offset);
        }
        for synced in &ticket.files {
            if let Ok(i) = self.segments.binary_search_by_key(&synced.base_offset, |segment| segment.base_offset) {
                let is_sealed = i + 1 < self.segments.len();
                let segment = &mut self.segments[i];
                segment.synced(synced.size);
                if is_sealed && !segment.is_dirty() {
                    segment.close_file();
                }
            }
        }
        self.unsynced_side_files.retain(|path| !ticket.side_files.contains(path));
        self.is_new &= !ticket.is_new;
        if let Some(names) = ticket.names {
            self.names_synced = self.names_synced.max(names);
        }
        if let Some(epochs) = &ticket.epochs {
            self.epoch_version_durable = self.epoch_version_durable.max(epochs.version);
        }
        self.flushed_offset = self.flushed_offset.max(ticket.upto);
        assert!(self.flushed_offset <= self.log_end_offset, "nothing past the log's end can be flushed");
        Ok(self.flushed_offset)
    }

    /// Whether too many logs that share a bound of open files have something to flush: see [`crate::OpenFiles::wants_flush`].
    pub fn wants_files_flushed(&self) -> bool {
        self.place.fs.open_files().is_some_and(|files| files.wants_flush())
    }

    /// Flushes now, in this thread.
    ///
    /// # Errors
    /// As for [`Log::complete_flush`].
    pub fn flush(&mut self, now: WallTime) -> Result<Offset, LogError> {
        self.check_online()?;
        self.last_flush = now;
        match self.begin_flush() {
            Some(ticket) => {
                // The outcome is kept in the ticket, which hands it over just below.
                let _kept = ticket.sync();
                self.complete_flush(ticket)
            }
            None => {
                self.check_online()?;
                Ok(self.flushed_offset)
            }
        }
    }

    /// Whether `flush.messages` or `flush.ms` ask for a flush now. (Acknowledging flushed batches only
    /// asks for more; that is the broker's to know.) Counts `flush.ms` from the last time it said yes.
    pub fn flush_is_due(&mut self, now: WallTime) -> bool {
        let unflushed = (self.log_end_offset - self.flushed_offset).max(0) as u64;
        if unflushed == 0 {
            self.last_flush = now;
            return false;
        }
        let waited = now.0.saturating_sub(self.last_flush.0);
        let due = unflushed >= self.config.flush_messages || waited >= self.config.flush_ms;
        if due {
            self.last_flush = now;
        }
        due
    }

    /// Flushes everything, writes out the indexes and a producer snapshot, and closes all files. A log
    /// closed without an error needs no recovery; it may still be read and written after.
    ///
    /// # Errors
    /// Storage. The directory must not be marked clean then.
    pub fn close(&mut self, now: WallTime) -> Result<(), LogError> {
        self.begin_close()?;
        self.flush(now)?;
        self.release_files();
        Ok(())
    }

    /// The first half of closing a log, for closing many with one sync of their volume: writes out the
    /// indexes and a producer snapshot. What follows is a flush: `begin_flush`, a sync of the ticket if
    /// there is one, `complete_flush`, `release_files`.
    ///
    /// # Errors
    /// Storage. Unless there was no room, or no more files may be opened, the log is then offline.
    pub fn begin_close(&mut self) -> Result<(), LogError> {
        self.check_online()?;
        let written = self.write_out_for_close();
        self.latch_unless_passing(written)?;
        Ok(())
    }

    fn write_out_for_close(&mut self) -> Result<(), StorageError> {
        let place = self.place.clone();
        if self.active().has_unwritten_indexes() {
            self.active().close_indexes(&place)?;
            let paths = self.active().index_paths(&place);
            self.unsynced_side_files.extend(paths);
            self.names_changed += 1;
        }
        let path = snapshot_path(&place, self.log_end_offset);
        // One that is there is as good: a truncation removes those that lie past it.
        if self.log_end_offset > self.log_start_offset && !place.fs.exists(&path).context("look at", &path)? {
            let base_offset = self.active().base_offset;
            let seal = self.active().transactions.seal(&place, base_offset)?;
            write_snapshot(&place, self.log_end_offset, &self.producers, seal)?;
            self.unsynced_side_files.push(path);
            self.names_changed += 1;
        }
        Ok(())
    }
}
