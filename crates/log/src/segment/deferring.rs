use std::sync::Arc;

use bytes::Bytes;
use raftsman_records::BatchHeader;
use raftsman_types::Offset;

use super::Segment;
use super::pending::{DueWrites, PendingWrites};
use crate::error::{IoContext, StorageError};
use crate::place::Place;
use crate::tail_cache::CacheBudget;

/// What a log may leave to its next flush to write.
#[derive(Debug, Clone)]
pub(crate) struct Deferral {
    /// Smaller appends are written at once, unless others wait before them.
    pub(crate) from_bytes: usize,
    /// The most that may wait in one segment.
    pub(crate) max_bytes: u64,
    /// The most that may wait in all logs that share it.
    pub(crate) budget: Option<Arc<CacheBudget>>,
}

impl Segment {
    /// Takes an append into what the next flush writes, if that is allowed.
    pub(super) fn defer(&mut self, bytes: &Bytes, headers: &[BatchHeader], deferral: Option<&Deferral>) -> bool {
        let (Some(deferral), Some(first)) = (deferral, headers.first()) else { return false };
        let waiting = self.pending.as_ref().map_or(0, PendingWrites::bytes);
        let too_small = waiting == 0 && bytes.len() < deferral.from_bytes;
        if too_small || waiting + bytes.len() as u64 > deferral.max_bytes {
            return false;
        }
        let size = self.size;
        let pending = self.pending.get_or_insert_with(|| PendingWrites::new(size, deferral.budget.clone()));
        pending.push(first.base_offset, bytes)
    }

    /// Writes what waits below `upto` and drops the rest: from here on the file is as the log says, up to there.
    pub(crate) fn settle(&mut self, place: &Place, upto: u64) -> Result<(), StorageError> {
        if let Some(pending) = &self.pending {
            let path = self.path(place);
            let file = self.file_to_write(place)?;
            pending.settle(&*file, upto, false).context("write", &path)?;
            self.pending = None;
        }
        Ok(())
    }

    /// Cuts the file off at `position`, below which all is written then. If there is no room for that the segment stays as it
    /// was.
    pub(super) fn cut_file(&mut self, place: &Place, position: u64) -> Result<(), StorageError> {
        let path = self.path(place);
        let file = self.file_to_write(place)?;
        match &self.pending {
            Some(pending) => pending.settle(&*file, position, true).context("cut", &path)?,
            None => file.set_length(position).context("cut", &path)?,
        }
        self.pending = None;
        Ok(())
    }

    /// What a flush that begins now has to write before it syncs.
    pub(crate) fn due_writes(&self) -> Option<DueWrites> {
        self.pending.as_ref().filter(|pending| !pending.is_empty()).map(PendingWrites::due)
    }

    /// A flush has synced the file up to `size`.
    pub(crate) fn synced(&mut self, size: u64) {
        self.synced_size = self.synced_size.max(size);
        if self.synced_size == self.size {
            self.file.synced();
        }
        if let Some(pending) = &mut self.pending {
            pending.written(size);
            // Kept otherwise: a flush may be under way that shares it.
            if pending.is_empty() && self.synced_size == self.size {
                self.pending = None;
            }
        }
    }

    /// The first offset that waits to be written.
    pub(crate) fn first_deferred_offset(&self) -> Option<Offset> {
        self.pending.as_ref().and_then(PendingWrites::first_offset)
    }
}
