use std::path::PathBuf;
use std::sync::Arc;

use raftsman_records::{BatchHeader, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset};

use super::Log;
use crate::cold_read::ColdRead;
use crate::error::{IoContext, ReadError};
use crate::fs::File;
use crate::place::Place;
use crate::scanner::{BatchScanner, Scanned};
use crate::segment::{LOOKUP_BLOCK_BYTES, Segment};

/// A segment as ListOffsets of before Kafka 0.10.1 knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentTime {
    /// Its first offset, or the log's start if that lies within.
    pub start: Offset,
    /// When its file was last written, ms since 1970.
    pub modified_ms: i64,
    /// Whether it holds no batch.
    pub is_empty: bool,
}

impl Log {
    /// When each segment was last written to, the oldest first.
    ///
    /// # Errors
    /// Storage.
    pub fn segment_times(&self) -> Result<Vec<SegmentTime>, ReadError> {
        self.check_online()?;
        let time_of = |segment: &Segment| {
            let path = segment.path(&self.place);
            let modified = self.place.fs.modified(&path).context("read the time of", &path)?;
            let start = segment.base_offset.max(self.log_start_offset);
            Ok(SegmentTime { start, modified_ms: modified.0, is_empty: segment.size == 0 })
        };
        self.segments.iter().map(time_of).collect()
    }

    /// The first record whose timestamp is at least `timestamp`: offset, timestamp, leader epoch.
    ///
    /// # Errors
    /// Damage or storage.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(Offset, i64, LeaderEpoch)>, ReadError> {
        self.check_online()?;
        let mut after = None;
        while let Some(lookup) = self.begin_lookup(&self.place, timestamp, after)? {
            if let Some(found) = lookup.find()? {
                return Ok(Some(found));
            }
            after = Some(lookup.segment);
        }
        Ok(None)
    }

    /// The largest timestamp in the log and the first record that has it.
    ///
    /// # Errors
    /// Damage or storage.
    pub fn max_timestamp(&self) -> Result<Option<(Offset, i64)>, ReadError> {
        self.check_online()?;
        let Some(largest) = self.largest_timestamp() else { return Ok(None) };
        Ok(self.offset_for_timestamp(largest)?.map(|(offset, timestamp, _)| (offset, timestamp)))
    }

    /// The largest timestamp in the log, ms since 1970.
    pub fn largest_timestamp(&self) -> Option<i64> {
        let largest = self.segments.iter().filter(|segment| segment.size > 0).map(|s| s.max_timestamp).max();
        largest.filter(|timestamp| *timestamp >= 0)
    }

    /// Begins a lookup as [`Log::offset_for_timestamp`] does it, for a caller who goes through the batches without the log: of the
    /// first segment that has such a timestamp. `None` if none has. What is not in memory of what leads to the batches comes back
    /// instead, as [`Log::read_without_waiting`] gives it.
    ///
    /// # Errors
    /// Damage or storage.
    pub fn timestamp_lookup_without_waiting(
        &self,
        timestamp: i64,
    ) -> Result<Result<Option<TimestampLookup>, ColdRead>, ReadError> {
        self.check_online()?;
        let (place, lack) = self.place.in_memory();
        let outcome = self.begin_lookup(&place, timestamp, None);
        // What came of a read that lacked something says nothing.
        match lack.get() {
            Some(cold) => Ok(Err(cold.clone())),
            None => outcome.map(Ok),
        }
    }

    /// Whether what a lookup found, or stumbled over, counts: nothing was cut off since it began.
    pub fn stands(&self, lookup: &TimestampLookup) -> bool {
        self.generation == lookup.generation
    }

    fn begin_lookup(
        &self,
        place: &Place,
        timestamp: i64,
        after: Option<Offset>,
    ) -> Result<Option<TimestampLookup>, ReadError> {
        let later = self.segments.iter().filter(|segment| after.is_none_or(|after| segment.base_offset > after));
        for segment in later.filter(|segment| segment.size > 0 && segment.max_timestamp >= timestamp) {
            let file = segment.reader(place)?;
            // Strictly before: records of the same timestamp may stand in front of the index's batch.
            let from = segment.floor_offset_for_timestamp(place, &*file, timestamp.saturating_sub(1))?;
            let Some(found) = segment.find(place, &*file, from.max(self.log_start_offset))? else { continue };
            return Ok(Some(TimestampLookup {
                file: segment.reader(&self.place)?,
                path: segment.path(&self.place),
                segment: segment.base_offset,
                position: found.position,
                size: segment.size,
                log_start_offset: self.log_start_offset,
                generation: self.generation,
                timestamp,
            }));
        }
        Ok(None)
    }
}

/// Batches of one segment among which the first record of a time is looked for, as they were when the lookup began.
#[derive(Debug)]
pub struct TimestampLookup {
    file: Arc<dyn File>,
    path: PathBuf,
    /// Base offset of the segment.
    segment: Offset,
    position: u64,
    size: u64,
    log_start_offset: Offset,
    generation: u64,
    timestamp: i64,
}

impl TimestampLookup {
    /// The first record there whose timestamp is large enough: offset, timestamp, leader epoch. There is none if the only such ones
    /// were deleted; then a later segment may have one. Reads and unpacks batches, and
    /// waits for the disk; the log may go on meanwhile ([`Log::stands`] tells whether it did so without a cut).
    ///
    /// # Errors
    /// Damage or storage.
    pub fn find(&self) -> Result<Option<(Offset, i64, LeaderEpoch)>, ReadError> {
        let path = &self.path;
        let mut scanner = BatchScanner::new(&*self.file, path, self.position, self.size, LOOKUP_BLOCK_BYTES);
        loop {
            let header: BatchHeader = match scanner.header()? {
                Scanned::Batch(header) => header,
                Scanned::End => return Ok(None),
                Scanned::Bad(source) => {
                    return Err(ReadError::Damaged { path: path.clone(), position: scanner.position(), source });
                }
            };
            let position = scanner.position();
            let damaged = |source| ReadError::Damaged { path: path.clone(), position, source };
            // Of those that are passed over, too: a timestamp that is not what was written answers wrongly.
            let batch = RecordBatch::parse(scanner.batch(&header)?).map_err(damaged)?;
            batch.check_crc().map_err(damaged)?;
            if header.max_timestamp >= self.timestamp {
                for record in batch.records() {
                    let record = record.map_err(damaged)?;
                    if record.timestamp >= self.timestamp && record.offset >= self.log_start_offset {
                        return Ok(Some((record.offset, record.timestamp, header.partition_leader_epoch)));
                    }
                }
            }
            scanner.skip(&header);
        }
    }
}
