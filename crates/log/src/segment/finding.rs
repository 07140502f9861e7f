use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use raftsman_records::{BatchError, BatchHeader};
use raftsman_types::Offset;

use super::{LOOKUP_BLOCK_BYTES, Segment, WALK_BLOCK_BYTES};
use crate::error::StorageError;
use crate::fs::File;
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Scanned, walk};

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
        let entry = self.offset_index.floor(place, self.base_offset, offset - self.base_offset)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)).min(self.size))
    }

    /// The last entry of the time index at or below `timestamp`, as an offset.
    pub(crate) fn floor_offset_for_timestamp(&self, place: &Place, timestamp: i64) -> Result<Offset, StorageError> {
        let entry = self.time_index.floor(place, self.base_offset, timestamp)?;
        Ok(self.base_offset + entry.map_or(0, |entry| i64::from(entry.relative_offset)))
    }

    /// The header and position of the first batch that ends at or past `offset`.
    pub(crate) fn find(
        &self,
        place: &Place,
        file: &dyn File,
        offset: Offset,
    ) -> Result<Option<(u64, BatchHeader)>, FindError> {
        let path = self.path(place);
        let from = self.floor_position(place, offset)?;
        let found = self.find_from(file, &path, from, offset);
        // The batch an entry points at ends at or before what the entry was looked up for.
        let misled = match &found {
            Ok(Some((position, header))) => *position == from && header.last_offset() > offset,
            Ok(None) => false,
            Err(FindError::Damaged { position, .. }) => *position == from,
            Err(FindError::Storage(_)) => return found,
        };
        if from > 0 && misled {
            tracing::warn!(segment = %path.display(), offset, "an index entry is wrong; looking from the segment's start");
            return self.find_from(file, &path, 0, offset);
        }
        found
    }

    fn find_from(
        &self,
        file: &dyn File,
        path: &Path,
        from: u64,
        offset: Offset,
    ) -> Result<Option<(u64, BatchHeader)>, FindError> {
        let mut scanner = BatchScanner::new(file, path, from, self.size, LOOKUP_BLOCK_BYTES);
        loop {
            match scanner.header()? {
                Scanned::Batch(header) if header.last_offset() >= offset => {
                    return Ok(Some((scanner.position(), header)));
                }
                Scanned::Batch(header) => scanner.skip(&header),
                Scanned::End => return Ok(None),
                Scanned::Bad(source) => {
                    return Err(FindError::Damaged { path: path.to_owned(), position: scanner.position(), source });
                }
            }
        }
    }

    /// A scanner over the segment from `position` on, for looking at few batches.
    pub(crate) fn scanner<'a>(&self, file: &'a dyn File, path: &'a Path, position: u64) -> BatchScanner<'a> {
        BatchScanner::new(file, path, position, self.size, LOOKUP_BLOCK_BYTES)
    }

    /// Shows every batch's header to `visit`.
    pub(crate) fn visit_headers(&self, place: &Place, mut visit: impl FnMut(&BatchHeader)) -> Result<(), StorageError> {
        let path = self.path(place);
        let file = self.reader(place)?;
        let mut scanner = BatchScanner::new(&*file, &path, 0, self.size, WALK_BLOCK_BYTES);
        walk(&mut scanner, self.base_offset, Depth::Headers, |_, header| {
            visit(header);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }
}
