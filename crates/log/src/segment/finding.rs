use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use raftsman_records::{BatchError, BatchHeader, RecordBatch};
use raftsman_types::Offset;

use super::{LOOKUP_BLOCK_BYTES, Segment, WALK_BLOCK_BYTES};
use crate::error::StorageError;
use crate::fs::File;
use crate::index::TimeEntry;
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Known, Scanned, walk};

/// A batch that was looked for.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
    /// Whether what is in front of it, or an index entry, says that its offset is what it was. Else a gap is in front.
    pub(crate) is_placed: bool,
}

/// Why a batch could not be found.
#[derive(Debug)]
pub(crate) enum FindError {
    Damaged { path: PathBuf, position: u64, source: BatchError },
    Storage(StorageError),
}

impl From<StorageError> for FindError {
    fn from(error: StorageError) -> FindError {
        FindError::Storage(error)
    }
}

impl Segment {
    /// Where to start looking for `offset`: at or before its batch.
    pub(crate) fn floor_position(&self, place: &Place, offset: Offset) -> Result<u64, StorageError> {
        Ok(self.floor(place, offset)?.map_or(0, |(position, _)| position))
    }

    /// The index entry at or below `offset`: where its batch begins, and that batch's last offset.
    fn floor(&self, place: &Place, offset: Offset) -> Result<Option<(u64, Offset)>, StorageError> {
        let entry = self.offset_index.floor(place, self.base_offset, offset - self.base_offset)?;
        let found = entry.map(|entry| (u64::from(entry.position), self.base_offset + i64::from(entry.relative_offset)));
        Ok(found.filter(|(position, _)| *position < self.size))
    }

    /// The index entry at or above `offset`, as [`Segment::floor`].
    fn ceiling(&self, place: &Place, offset: Offset) -> Result<Option<(u64, Offset)>, StorageError> {
        let entry = self.offset_index.ceiling(place, self.base_offset, offset - self.base_offset)?;
        let found = entry.map(|entry| (u64::from(entry.position), self.base_offset + i64::from(entry.relative_offset)));
        Ok(found.filter(|(position, _)| *position < self.size))
    }

    /// Checks a batch that was found for `offset` behind a gap: compaction leaves such, but batches from farther behind may
    /// have come to where others were. The index then says otherwise, and somewhere behind them the order breaks. Where all is
    /// in order to the segment's end the index is what is wrong.
    pub(crate) fn check_gap(
        &self,
        place: &Place,
        file: &dyn File,
        found: &Found,
        offset: Offset,
    ) -> Result<(), FindError> {
        let Some((indexed, last_offset)) = self.ceiling(place, offset)? else { return Ok(()) };
        let header = &found.header;
        let fits = match indexed.cmp(&found.position) {
            Ordering::Less => false,
            Ordering::Equal => header.last_offset() == last_offset,
            Ordering::Greater => header.last_offset() < last_offset,
        };
        if fits {
            return Ok(());
        }
        let path = self.path(place);
        let mut scanner = BatchScanner::new(file, &path, found.position, self.size, WALK_BLOCK_BYTES);
        let known = Known::from(header.base_offset);
        let walked = walk(&mut scanner, known, Depth::Headers, |_, _| Ok(ControlFlow::Continue(())))?;
        let Some(_) = walked.problem else { return Ok(()) };
        let what = "it is behind a gap where the index has another batch";
        let source = BatchError::Inconsistent { base_offset: header.base_offset, what };
        Err(FindError::Damaged { path, position: found.position, source })
    }

    /// An offset from which on no record at or past `timestamp` can be missed. An entry of the time index counts only if its
    /// batch is what it says.
    pub(crate) fn floor_offset_for_timestamp(
        &self,
        place: &Place,
        file: &dyn File,
        timestamp: i64,
    ) -> Result<Offset, StorageError> {
        let Some(entry) = self.time_index.floor(place, self.base_offset, timestamp)? else {
            return Ok(self.base_offset);
        };
        if self.time_entry_fits(place, file, &entry)? {
            return Ok(self.base_offset + i64::from(entry.relative_offset));
        }
        tracing::warn!(segment = %self.path(place).display(), timestamp, "a time index entry is wrong; looking from the segment's start");
        Ok(self.base_offset)
    }

    /// Whether the batch of a time index entry is there and has its timestamp.
    pub(super) fn time_entry_fits(
        &self,
        place: &Place,
        file: &dyn File,
        entry: &TimeEntry,
    ) -> Result<bool, StorageError> {
        let offset = self.base_offset + i64::from(entry.relative_offset);
        match self.find(place, file, offset) {
            Ok(Some(found)) => {
                Ok(found.header.last_offset() == offset && found.header.max_timestamp == entry.timestamp)
            }
            Ok(None) | Err(FindError::Damaged { .. }) => Ok(false),
            Err(FindError::Storage(error)) => Err(error),
        }
    }

    /// The first batch that ends at or past `offset`.
    pub(crate) fn find(&self, place: &Place, file: &dyn File, offset: Offset) -> Result<Option<Found>, FindError> {
        let path = self.path(place);
        let floor = self.floor(place, offset)?;
        let found = self.find_from(file, &path, floor, offset);
        let Some((from, _)) = floor else { return found };
        // The batch an entry points at ends at or before what the entry was looked up for.
        let misled = match &found {
            Ok(Some(found)) => found.position == from && found.header.last_offset() > offset,
            Ok(None) => true,
            Err(FindError::Damaged { position, .. }) => *position == from,
            Err(FindError::Storage(_)) => return found,
        };
        if misled {
            tracing::warn!(segment = %path.display(), offset, "an index entry is wrong; looking from the segment's start");
            return self.find_from(file, &path, None, offset);
        }
        found
    }

    /// The offset after the last batch in front of a position; where the segment begins if there is none.
    pub(crate) fn end_before(&self, place: &Place, file: &dyn File, position: u64) -> Result<Offset, FindError> {
        let path = self.path(place);
        let mut scanner = BatchScanner::new(file, &path, 0, position, LOOKUP_BLOCK_BYTES);
        let mut end = self.base_offset;
        while let Scanned::Batch(header) = scanner.header()? {
            end = header.next_offset();
            scanner.skip(&header);
        }
        Ok(end)
    }

    /// Checks the last batch below `offset`: when nothing is found at `offset` itself, that batch may have held it.
    pub(crate) fn check_batch_below(&self, place: &Place, file: &dyn File, offset: Offset) -> Result<(), FindError> {
        let path = self.path(place);
        let from = self.floor(place, offset)?.map_or(0, |(position, _)| position);
        let mut scanner = BatchScanner::new(file, &path, from, self.size, LOOKUP_BLOCK_BYTES);
        while let Scanned::Batch(header) = scanner.header()? {
            if header.last_offset() >= offset {
                break;
            }
            let position = scanner.position();
            let bytes = scanner.batch(&header)?;
            scanner.skip(&header);
            let is_last = !matches!(scanner.header()?, Scanned::Batch(next) if next.last_offset() < offset);
            if is_last && let Err(source) = RecordBatch::parse(bytes).and_then(|batch| batch.check_crc()) {
                return Err(FindError::Damaged { path, position, source });
            }
        }
        Ok(())
    }

    /// Looks from an index entry's batch on, or from the segment's first. Offsets rise: where they do not, one is not what
    /// was written.
    fn find_from(
        &self,
        file: &dyn File,
        path: &Path,
        floor: Option<(u64, Offset)>,
        offset: Offset,
    ) -> Result<Option<Found>, FindError> {
        let from = floor.map_or(0, |(position, _)| position);
        let damaged = |position, source| Err(FindError::Damaged { path: path.to_owned(), position, source });
        let mut scanner = BatchScanner::new(file, path, from, self.size, LOOKUP_BLOCK_BYTES);
        let (mut expected, mut last) = (self.base_offset, None);
        loop {
            let position = scanner.position();
            let header = match scanner.header()? {
                Scanned::Batch(header) => header,
                Scanned::End => return Ok(None),
                Scanned::Bad(source) => return damaged(position, source),
            };
            let is_placed = match (last, floor) {
                (None, Some((_, last_offset))) => header.last_offset() == last_offset,
                _ => header.base_offset == expected,
            };
            if header.base_offset < expected || (last.is_none() && floor.is_some() && !is_placed) {
                let suspect = match last {
                    Some((unplaced, false)) => unplaced,
                    _ => position,
                };
                let what = "its offset is not what its place says";
                return damaged(suspect, BatchError::Inconsistent { base_offset: header.base_offset, what });
            }
            if header.last_offset() >= offset {
                return Ok(Some(Found { position, header, is_placed }));
            }
            (expected, last) = (header.next_offset(), Some((position, is_placed)));
            scanner.skip(&header);
        }
    }

    /// Shows every batch's header to `visit`; says whether the batches are whole and in order.
    pub(crate) fn visit_headers(
        &self,
        place: &Place,
        mut visit: impl FnMut(&BatchHeader),
    ) -> Result<bool, StorageError> {
        let path = self.path(place);
        let file = self.reader(place)?;
        let mut scanner = BatchScanner::new(&*file, &path, 0, self.size, WALK_BLOCK_BYTES);
        let walked = walk(&mut scanner, Known::from(self.base_offset), Depth::Headers, |_, header| {
            visit(header);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(walked.problem.is_none())
    }
}
