use std::ops::ControlFlow;

use raftsman_records::{BATCH_HEADER_BYTES, BatchError, BatchHeader, NO_TIMESTAMP};
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::{LOOKUP_BLOCK_BYTES, MAX_PENDING_ENTRIES, Segment, WALK_BLOCK_BYTES};
use crate::atomic_file::remove_if_there;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, OpenMode};
use crate::index::{OffsetEntry, SparseIndex, TimeEntry, TransactionIndex};
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Known, Scanned, WalkEnd, walk};

impl Segment {
    /// Loads a segment whose content is known to be good: takes the indexes as they are if the last
    /// entries fit the log, and walks only what lies behind them; rebuilds them otherwise. Returns the
    /// offset after its last batch too; a problem in the log itself is the caller's to judge.
    pub(crate) fn load(
        place: &Place,
        base_offset: Offset,
        size: u64,
        known: Known<'_>,
        index_interval_bytes: u64,
        now: WallTime,
    ) -> Result<(Segment, WalkEnd, Offset), StorageError> {
        let is_sealed = known.end_is_certain;
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
            return segment.rebuild(place, known, Depth::Headers, index_interval_bytes, |_| ());
        };
        if size == 0 || (offset_index.last().is_some() && time_index.last().is_none()) {
            return segment.rebuild(place, known, Depth::Headers, index_interval_bytes, |_| ());
        }
        let path = segment.path(place);
        let file = segment.reader(place)?;
        let mut position = 0;
        let mut known_from_here = known;
        if let (Some(last), Some(time)) = (offset_index.last(), time_index.last()) {
            position = u64::from(last.position);
            let expected = base_offset + i64::from(last.relative_offset);
            let fits = position < size
                && matches!(
                    BatchScanner::new(&*file, &path, position, size, LOOKUP_BLOCK_BYTES).header()?,
                    // No batch at or before an entry has a larger timestamp than the newest entry says.
                    Scanned::Batch(header)
                        if header.last_offset() == expected
                            && (header.record_count == 0 || header.max_timestamp <= time.timestamp)
                );
            if !fits {
                tracing::warn!(segment = %path.display(), "rebuilding an index that does not fit its segment");
                return segment.rebuild(place, known, Depth::Headers, index_interval_bytes, |_| ());
            }
            known_from_here.first_offset = None;
            segment.max_timestamp = time.timestamp;
            segment.offset_of_max_timestamp = base_offset + i64::from(time.relative_offset);
        }
        let mut at_start = BatchScanner::new(&*file, &path, 0, size, LOOKUP_BLOCK_BYTES);
        match at_start.header()? {
            Scanned::Batch(first) => segment.first_timestamp = first.max_timestamp,
            // Kafka went over to v2 in the middle of a segment: what lies behind the last index entry would not tell.
            Scanned::Bad(problem @ BatchError::LegacyMagic(_)) if at_start.is_at_legacy_message()? => {
                return Ok((segment, WalkEnd { position: 0, problem: Some(problem) }, base_offset));
            }
            Scanned::Bad(_) | Scanned::End => {}
        }
        segment.offset_index = offset_index;
        segment.time_index = time_index;
        segment.index_is_new = false;
        let indexed_timestamp = segment.time_index.last().map(|time| time.timestamp);
        let (end, next_offset) =
            segment.walk_from(place, position, known_from_here, Depth::Headers, index_interval_bytes, |_| ())?;
        // The time index of a segment that is complete ends with its largest timestamp.
        let is_stale = is_sealed && indexed_timestamp.is_some_and(|indexed| segment.max_timestamp > indexed);
        if end.problem.is_none() && (is_stale || !segment.newest_time_entry_fits(place, &*file)?) {
            tracing::warn!(segment = %path.display(), "rebuilding a time index that does not fit its segment");
            return segment.rebuild(place, known, Depth::Headers, index_interval_bytes, |_| ());
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

    fn newest_time_entry_fits(&self, place: &Place, file: &dyn File) -> Result<bool, StorageError> {
        self.time_index.last().map_or(Ok(true), |time| self.time_entry_fits(place, file, time))
    }

    /// Makes both indexes anew from the log, showing each good batch's header to `visit`.
    pub(crate) fn rebuild(
        mut self,
        place: &Place,
        known: Known<'_>,
        depth: Depth,
        index_interval_bytes: u64,
        visit: impl FnMut(&BatchHeader),
    ) -> Result<(Segment, WalkEnd, Offset), StorageError> {
        self.offset_index = SparseIndex::empty();
        self.time_index = SparseIndex::empty();
        self.max_timestamp = NO_TIMESTAMP;
        self.index_is_new = true;
        let (end, next_offset) = self.walk_from(place, 0, known, depth, index_interval_bytes, visit)?;
        Ok((self, end, next_offset))
    }

    /// The leader epoch of the first batch of a segment's file, if one is there.
    pub(crate) fn first_epoch(place: &Place, base_offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        let path = Segment::log_path(place, base_offset);
        let file = place.fs.open(&path, OpenMode::Read).context("open", &path)?;
        let length = file.length().context("read", &path)?;
        Ok(match BatchScanner::new(&*file, &path, 0, length, BATCH_HEADER_BYTES).header()? {
            Scanned::Batch(header) => Some(header.partition_leader_epoch),
            Scanned::End | Scanned::Bad(_) => None,
        })
    }

    /// A segment of which nothing but the file's length is known, to be rebuilt.
    pub(crate) fn unread(place: &Place, base_offset: Offset, size: u64, now: WallTime) -> Segment {
        Segment::new(place, base_offset, size, now)
    }

    pub(super) fn walk_from(
        &mut self,
        place: &Place,
        position: u64,
        known: Known<'_>,
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
        let mut end = walk(&mut scanner, known, depth, |position, header| {
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
