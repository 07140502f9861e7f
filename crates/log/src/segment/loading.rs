use std::ops::ControlFlow;

use raftsman_records::{BatchError, BatchHeader, NO_TIMESTAMP};
use raftsman_types::{Offset, WallTime};

use super::{FindError, LOOKUP_BLOCK_BYTES, MAX_PENDING_ENTRIES, Segment, WALK_BLOCK_BYTES};
use crate::atomic_file::remove_if_there;
use crate::error::StorageError;
use crate::fs::File;
use crate::index::{OffsetEntry, SparseIndex, TimeEntry, TransactionIndex};
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Scanned, WalkEnd, walk};

impl Segment {
    /// Loads a segment whose content is known to be good: takes the indexes as they are if the last
    /// entries fit the log, and walks only what lies behind them; rebuilds them otherwise. Returns the
    /// offset after its last batch too; a problem in the log itself is the caller's to judge.
    pub(crate) fn load(
        place: &Place,
        base_offset: Offset,
        size: u64,
        index_interval_bytes: u64,
        now: WallTime,
    ) -> Result<(Segment, WalkEnd, Offset), StorageError> {
        let mut segment = Segment::new(place, base_offset, size, now);
        match TransactionIndex::load(place, base_offset)? {
            Some(transactions) => segment.transactions = transactions,
            None => segment.doubt_transactions(place)?,
        }
        let indexes = (
            SparseIndex::<OffsetEntry>::load(place, base_offset)?,
            SparseIndex::<TimeEntry>::load(place, base_offset)?,
        );
        let (Some(offset_index), Some(time_index)) = indexes else {
            return segment.rebuild(place, Depth::Headers, index_interval_bytes, |_| ());
        };
        if size == 0 || (offset_index.last().is_some() && time_index.last().is_none()) {
            return segment.rebuild(place, Depth::Headers, index_interval_bytes, |_| ());
        }
        let path = segment.path(place);
        let file = segment.reader(place)?;
        let mut position = 0;
        if let (Some(last), Some(time)) = (offset_index.last(), time_index.last()) {
            position = u64::from(last.position);
            let expected = base_offset + i64::from(last.relative_offset);
            let fits = position < size
                && matches!(
                    BatchScanner::new(&*file, &path, position, size, LOOKUP_BLOCK_BYTES).header()?,
                    Scanned::Batch(header) if header.last_offset() == expected
                );
            if !fits {
                tracing::warn!(segment = %path.display(), "rebuilding an index that does not fit its segment");
                return segment.rebuild(place, Depth::Headers, index_interval_bytes, |_| ());
            }
            segment.max_timestamp = time.timestamp;
            segment.offset_of_max_timestamp = base_offset + i64::from(time.relative_offset);
        }
        if let Scanned::Batch(first) = BatchScanner::new(&*file, &path, 0, size, LOOKUP_BLOCK_BYTES).header()? {
            segment.first_timestamp = first.max_timestamp;
        }
        segment.offset_index = offset_index;
        segment.time_index = time_index;
        segment.index_is_new = false;
        let (end, next_offset) = segment.walk_from(place, position, Depth::Headers, index_interval_bytes, |_| ())?;
        if end.problem.is_none() && !segment.time_index_fits(place, &*file)? {
            tracing::warn!(segment = %path.display(), "rebuilding a time index that does not fit its segment");
            return segment.rebuild(place, Depth::Headers, index_interval_bytes, |_| ());
        }
        Ok((segment, end, next_offset))
    }

    /// Drops the index of aborted transactions: it is to be made anew from the batches.
    pub(crate) fn doubt_transactions(&mut self, place: &Place) -> Result<(), StorageError> {
        remove_if_there(&*place.fs, &TransactionIndex::path(place, self.base_offset))?;
        self.transactions = TransactionIndex::default();
        self.transactions_in_doubt = true;
        Ok(())
    }

    /// Whether the largest timestamp of the time index stands where it says.
    fn time_index_fits(&self, place: &Place, file: &dyn File) -> Result<bool, StorageError> {
        let Some(time) = self.time_index.last() else { return Ok(true) };
        let offset = self.base_offset + i64::from(time.relative_offset);
        match self.find(place, file, offset) {
            Ok(Some((_, header))) => Ok(header.last_offset() == offset && header.max_timestamp == time.timestamp),
            Ok(None) | Err(FindError::Damaged { .. }) => Ok(false),
            Err(FindError::Storage(error)) => Err(error),
        }
    }

    /// Makes both indexes anew from the log, showing each good batch's header to `visit`.
    pub(crate) fn rebuild(
        mut self,
        place: &Place,
        depth: Depth,
        index_interval_bytes: u64,
        visit: impl FnMut(&BatchHeader),
    ) -> Result<(Segment, WalkEnd, Offset), StorageError> {
        self.offset_index = SparseIndex::empty();
        self.time_index = SparseIndex::empty();
        self.max_timestamp = NO_TIMESTAMP;
        self.index_is_new = true;
        let (end, next_offset) = self.walk_from(place, 0, depth, index_interval_bytes, visit)?;
        Ok((self, end, next_offset))
    }

    /// A segment of which nothing but the file's length is known, to be rebuilt.
    pub(crate) fn unread(place: &Place, base_offset: Offset, size: u64, now: WallTime) -> Segment {
        Segment::new(place, base_offset, size, now)
    }

    pub(super) fn walk_from(
        &mut self,
        place: &Place,
        position: u64,
        depth: Depth,
        index_interval_bytes: u64,
        mut visit: impl FnMut(&BatchHeader),
    ) -> Result<(WalkEnd, Offset), StorageError> {
        let path = self.path(place);
        let file = self.reader(place)?;
        let mut scanner = BatchScanner::new(&*file, &path, position, self.size, WALK_BLOCK_BYTES);
        let base_offset = self.base_offset;
        let mut next_offset = base_offset;
        let mut too_far = false;
        self.bytes_since_index_entry = 0;
        let mut end = walk(&mut scanner, base_offset, depth, |position, header| {
            // More than an index entry can say: no leader writes such a segment.
            too_far = header.last_offset() - base_offset > i64::from(i32::MAX);
            if too_far {
                return Ok(ControlFlow::Break(()));
            }
            if self.offset_index.pending() >= MAX_PENDING_ENTRIES {
                self.write_pending(place)?;
            }
            self.note_batch(position, header, index_interval_bytes);
            visit(header);
            next_offset = header.next_offset();
            Ok(ControlFlow::Continue(()))
        })?;
        if too_far {
            let what = "it is too far from the segment's base offset";
            end.problem = Some(BatchError::Inconsistent { base_offset: next_offset, what });
        }
        Ok((end, next_offset))
    }
}
