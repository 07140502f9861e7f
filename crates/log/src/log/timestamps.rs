use raftsman_records::{BatchHeader, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset};

use super::Log;
use crate::error::{IoContext, ReadError};
use crate::fs::File;
use crate::segment::Segment;

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
        for segment in self.segments.iter().filter(|segment| segment.size > 0 && segment.max_timestamp >= timestamp) {
            // Strictly before: records of the same timestamp may stand in front of the index's batch.
            let file = segment.reader(&self.place)?;
            let from = segment.floor_offset_for_timestamp(&self.place, &*file, timestamp.saturating_sub(1))?;
            if let Some(found) = self.find_timestamp(segment, &*file, from.max(self.log_start_offset), timestamp)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The largest timestamp in the log and the first record that has it.
    ///
    /// # Errors
    /// Damage or storage.
    pub fn max_timestamp(&self) -> Result<Option<(Offset, i64)>, ReadError> {
        self.check_online()?;
        let largest = self.segments.iter().filter(|segment| segment.size > 0).map(|s| s.max_timestamp).max();
        let Some(largest) = largest.filter(|timestamp| *timestamp >= 0) else { return Ok(None) };
        Ok(self.offset_for_timestamp(largest)?.map(|(offset, timestamp, _)| (offset, timestamp)))
    }

    /// Looks through one segment from `from` on.
    fn find_timestamp(
        &self,
        segment: &Segment,
        file: &dyn File,
        from: Offset,
        timestamp: i64,
    ) -> Result<Option<(Offset, i64, LeaderEpoch)>, ReadError> {
        let path = segment.path(&self.place);
        let Some(found) = segment.find(&self.place, file, from)? else { return Ok(None) };
        let mut scanner = segment.scanner(file, &path, found.position);
        loop {
            let header: BatchHeader = match scanner.header()? {
                crate::scanner::Scanned::Batch(header) => header,
                crate::scanner::Scanned::End => return Ok(None),
                crate::scanner::Scanned::Bad(source) => {
                    return Err(ReadError::Damaged { path: path.clone(), position: scanner.position(), source });
                }
            };
            let position = scanner.position();
            let damaged = |source| ReadError::Damaged { path: path.clone(), position, source };
            // Of those that are passed over, too: a timestamp that is not what was written answers wrongly.
            let batch = RecordBatch::parse(scanner.batch(&header)?).map_err(damaged)?;
            batch.check_crc().map_err(damaged)?;
            if header.max_timestamp >= timestamp {
                for record in batch.records() {
                    let record = record.map_err(damaged)?;
                    if record.timestamp >= timestamp && record.offset >= self.log_start_offset {
                        return Ok(Some((record.offset, record.timestamp, header.partition_leader_epoch)));
                    }
                }
            }
            scanner.skip(&header);
        }
    }
}
