mod deferring;
mod finding;
mod loading;
mod pending;

pub(crate) use deferring::Deferral;
pub(crate) use finding::{FindError, Found};
pub(crate) use pending::DueWrites;
use pending::PendingWrites;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_records::{BatchHeader, NO_TIMESTAMP, crc32c};
use raftsman_types::{Offset, WallTime};

use crate::atomic_file::remove_if_there;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, OpenMode, write_pieces_or_cut};
use crate::index::{IndexEntry, OffsetEntry, SparseIndex, TimeEntry, TransactionIndex};
use crate::open_files::SegmentFile;
use crate::place::Place;
use crate::scanner::{Depth, Known};

/// Index entries kept in memory before they are written; one entry stands for 4 KiB of log.
const MAX_PENDING_ENTRIES: usize = 512;
/// How much a walk over a whole segment reads at once.
const WALK_BLOCK_BYTES: usize = 256 * 1024;
/// How much a look for one batch reads at once: about what lies between two index entries.
pub(crate) const LOOKUP_BLOCK_BYTES: usize = 8 * 1024;

/// One file of a log and its two indexes.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    /// Bytes of whole batches, of which the last ones may not be written yet.
    pub(crate) size: u64,
    /// How many of them are known to be on disk.
    pub(crate) synced_size: u64,
    /// What a flush is to write, if there is anything.
    pending: Option<PendingWrites>,
    /// Mostly open while there is something to flush, or the segment is written to or read.
    file: SegmentFile,
    offset_index: SparseIndex<OffsetEntry>,
    time_index: SparseIndex<TimeEntry>,
    pub(crate) transactions: TransactionIndex,
    /// Whether the aborted transactions are to be found from the batches when the log opens.
    pub(crate) transactions_in_doubt: bool,
    /// Whether all of its batches were looked at just now, and none is a producer's.
    pub(crate) is_without_producers: bool,
    bytes_since_index_entry: u64,
    /// The largest timestamp, or -1.
    pub(crate) max_timestamp: i64,
    /// Last offset of the batch it is in.
    pub(crate) offset_of_max_timestamp: Offset,
    /// The first batch's timestamp, or -1: what `segment.ms` counts from.
    first_timestamp: i64,
    created: WallTime,
    /// What sets this log's share of `segment.jitter.ms` apart from others'.
    jitter_seed: u32,
    /// Whether the index files may still be those of an earlier life.
    index_is_new: bool,
}

impl Segment {
    fn new(place: &Place, base_offset: Offset, size: u64, created: WallTime) -> Segment {
        Segment {
            base_offset,
            size,
            synced_size: size,
            pending: None,
            file: SegmentFile::default(),
            offset_index: SparseIndex::empty(),
            time_index: SparseIndex::empty(),
            transactions: TransactionIndex::default(),
            transactions_in_doubt: false,
            is_without_producers: false,
            bytes_since_index_entry: 0,
            max_timestamp: NO_TIMESTAMP,
            offset_of_max_timestamp: base_offset,
            first_timestamp: NO_TIMESTAMP,
            created,
            jitter_seed: crc32c(place.directory.as_os_str().as_encoded_bytes()),
            index_is_new: true,
        }
    }

    /// Makes an empty segment's file. The directory is to be synced by the caller, or the next flush.
    pub(crate) fn create(
        place: &Place,
        base_offset: Offset,
        now: WallTime,
        config: &crate::LogConfig,
    ) -> Result<Segment, StorageError> {
        let segment = Segment::new(place, base_offset, 0, now);
        let path = segment.path(place);
        let file = segment.file.get(&*place.fs, || path.clone(), OpenMode::Truncate)?;
        if config.preallocate
            && let Err(error) = file.preallocate(config.segment_bytes).context("set room aside for", &path)
        {
            if !error.is_out_of_space() {
                return Err(error);
            }
            // Better a segment that takes its room as it grows than none; what was set aside is given back.
            tracing::debug!(%error, "a segment begins without its room");
            file.set_length(0).context("cut", &path).map_err(StorageError::half_way)?;
        }
        Ok(segment)
    }

    /// Takes a batch at `position` into the indexes, Kafka's way: an entry for it if enough bytes came
    /// since the last one.
    pub(crate) fn note_batch(&mut self, position: u64, header: &BatchHeader, index_interval_bytes: u64) {
        if position == 0 {
            self.first_timestamp = header.max_timestamp;
        }
        // A batch that compaction emptied has no record to be found by its timestamp.
        if header.record_count > 0 && header.max_timestamp > self.max_timestamp {
            self.max_timestamp = header.max_timestamp;
            self.offset_of_max_timestamp = header.last_offset();
        }
        if self.bytes_since_index_entry > index_interval_bytes {
            let relative_offset = (header.last_offset() - self.base_offset) as u32;
            self.offset_index.push(OffsetEntry { relative_offset, position: position as u32 });
            self.push_time_entry();
            self.bytes_since_index_entry = 0;
        }
        self.bytes_since_index_entry += header.size_in_bytes() as u64;
    }

    fn push_time_entry(&mut self) {
        if self.max_timestamp != NO_TIMESTAMP {
            let relative_offset = (self.offset_of_max_timestamp - self.base_offset) as u32;
            self.time_index.push(TimeEntry { timestamp: self.max_timestamp, relative_offset });
        }
    }

    fn write_pending(&mut self, place: &Place) -> Result<(), StorageError> {
        self.offset_index.write_pending(place, self.base_offset)?;
        self.time_index.write_pending(place, self.base_offset)?;
        self.transactions.write_pending(place, self.base_offset)
    }

    /// Takes whole batches, whose offsets and epochs stand, behind the others: one write, or none yet if they go to
    /// `pending`. After an error nothing of them is there, unless cutting it off again failed.
    pub(crate) fn append(
        &mut self,
        place: &Place,
        bytes: &Bytes,
        headers: &[BatchHeader],
        index_interval_bytes: u64,
        deferral: Option<&Deferral>,
    ) -> Result<(), StorageError> {
        if self.offset_index.pending() >= MAX_PENDING_ENTRIES {
            self.write_pending(place)?;
        }
        if !self.defer(bytes, headers, deferral) {
            self.settle(place, self.size)?;
            let file = self.file_to_write(place)?;
            write_pieces_or_cut(&*file, std::slice::from_ref(bytes), self.size)
                .map_err(|error| StorageError::new("write", &self.path(place), error))?;
        }
        let mut position = self.size;
        for header in headers {
            self.note_batch(position, header, index_interval_bytes);
            position += header.size_in_bytes() as u64;
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Whether a batch of this size and timestamp, ending at `last_offset`, must go to a new segment.
    pub(crate) fn is_full_for(
        &self,
        bytes: u64,
        max_timestamp: i64,
        last_offset: Offset,
        limits: &crate::LogConfig,
        now: WallTime,
    ) -> bool {
        if self.size == 0 {
            return last_offset - self.base_offset > i64::from(i32::MAX);
        }
        let full = |entries: usize, bytes: usize| entries >= (limits.segment_index_bytes / bytes as u64) as usize;
        self.size + bytes > limits.segment_bytes.min(i32::MAX as u64)
            || self.has_span(max_timestamp, self.lifetime_ms(limits), now)
            || full(self.offset_index.len(), OffsetEntry::BYTES)
            // The last entry is made when the segment is sealed.
            || full(self.time_index.len() + 1, TimeEntry::BYTES)
            || last_offset - self.base_offset > i64::from(i32::MAX)
    }

    /// `segment.ms`, less this segment's share of `segment.jitter.ms`: logs that began together need not all roll at
    /// once. The share comes from the log's name and the first offset, so it needs no source of randomness.
    pub(crate) fn lifetime_ms(&self, limits: &crate::LogConfig) -> i64 {
        let range = limits.segment_jitter_ms.min(limits.segment_ms);
        if range <= 0 {
            return limits.segment_ms;
        }
        let mixed = (self.base_offset as u64 ^ u64::from(self.jitter_seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        limits.segment_ms - ((mixed >> 1) % range as u64) as i64
    }

    /// Whether the segment's first record is older than `segment_ms`, by the records' time if they have
    /// any and else by the broker's.
    pub(crate) fn has_span(&self, timestamp: i64, segment_ms: i64, now: WallTime) -> bool {
        let age = match self.first_timestamp {
            NO_TIMESTAMP => now.0.saturating_sub(self.created.0),
            first => timestamp.saturating_sub(first),
        };
        self.size > 0 && age > segment_ms
    }

    /// Gives back the room that was set aside and not used.
    pub(crate) fn release_room(&self, place: &Place) -> Result<(), StorageError> {
        let path = self.path(place);
        let file = place.fs.open(&path, OpenMode::ReadWrite).context("open", &path)?;
        file.set_length(self.size).context("cut", &path)
    }

    /// Writes out and closes the indexes of a segment that gets no more batches.
    pub(crate) fn seal(&mut self, place: &Place, sync: bool) -> Result<(), StorageError> {
        self.push_time_entry();
        self.offset_index.seal(place, self.base_offset, sync)?;
        self.time_index.seal(place, self.base_offset, sync)?;
        self.transactions.write_pending(place, self.base_offset)?;
        self.index_is_new = false;
        Ok(())
    }

    /// The contents of the index files of a segment that is written aside and gets no more batches; `None` for a file
    /// that need not be.
    pub(crate) fn take_index_contents(&mut self) -> [Option<Vec<u8>>; 3] {
        self.push_time_entry();
        self.index_is_new = false;
        let transactions = (!self.transactions.is_empty()).then(|| self.transactions.encode_pending());
        self.transactions.pending_are_written();
        [Some(self.offset_index.take_content()), Some(self.time_index.take_content()), transactions]
    }

    /// Bytes of the larger of the two indexes.
    pub(crate) fn index_bytes(&self) -> u64 {
        (self.offset_index.len() * OffsetEntry::BYTES).max(self.time_index.len() * TimeEntry::BYTES) as u64
    }

    /// When its first batch was written, ms since 1970; -1 if that is not known.
    pub(crate) fn first_timestamp(&self) -> i64 {
        self.first_timestamp
    }

    /// Whether batches or records lie no longer as closely as they were written: traces of compaction, which explain a
    /// gap behind the segment.
    pub(crate) fn shows_compaction(&self, place: &Place) -> Result<bool, StorageError> {
        let (mut expected, mut shows) = (self.base_offset, false);
        self.visit_headers(place, |header| {
            let is_whole = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
            shows |= header.base_offset != expected || !is_whole;
            expected = header.next_offset();
        })?;
        Ok(shows)
    }

    /// Whether the index files lack something that is known here.
    pub(crate) fn has_unwritten_indexes(&self) -> bool {
        self.index_is_new
            || self.offset_index.pending() > 0
            || self.time_index.pending() > 0
            || self.transactions.pending() > 0
    }

    /// Writes out the indexes of a segment that may get more batches in a next life. Without entries
    /// there need be no files: small logs are many.
    pub(crate) fn close_indexes(&mut self, place: &Place) -> Result<(), StorageError> {
        if self.offset_index.len() > 0 {
            self.offset_index.seal(place, self.base_offset, false)?;
            self.time_index.seal(place, self.base_offset, false)?;
        } else {
            let [offset_index, time_index, _] = self.index_paths(place);
            for path in [offset_index, time_index] {
                remove_if_there(&*place.fs, &path)?;
            }
        }
        self.transactions.write_pending(place, self.base_offset)?;
        self.index_is_new = false;
        Ok(())
    }

    /// Cuts off everything from `position`, which is where the batch of `offset` starts, and syncs. Where there is no room
    /// even for that, the segment is as it was.
    pub(crate) fn truncate(
        &mut self,
        place: &Place,
        position: u64,
        offset: Offset,
        index_interval_bytes: u64,
    ) -> Result<(), StorageError> {
        self.cut_file(place, position)?;
        self.forget_from(place, position, offset, index_interval_bytes).map_err(StorageError::half_way)
    }

    /// Syncs a file that was cut, and goes back to what was known there.
    fn forget_from(
        &mut self,
        place: &Place,
        position: u64,
        offset: Offset,
        index_interval_bytes: u64,
    ) -> Result<(), StorageError> {
        let path = self.path(place);
        self.file_to_write(place)?.sync_data().context("sync", &path)?;
        self.file.synced();
        self.size = position;
        self.synced_size = position;
        let base_offset = self.base_offset;
        self.transactions.truncate(place, base_offset, offset)?;
        let keep = |relative: u32| base_offset + i64::from(relative) < offset;
        self.offset_index.truncate(place, base_offset, |entry| keep(entry.relative_offset))?;
        self.time_index.truncate(place, base_offset, |entry| keep(entry.relative_offset))?;
        self.max_timestamp = NO_TIMESTAMP;
        self.first_timestamp = if position == 0 { NO_TIMESTAMP } else { self.first_timestamp };
        if let Some(time) = self.time_index.last() {
            self.max_timestamp = time.timestamp;
            self.offset_of_max_timestamp = base_offset + i64::from(time.relative_offset);
        }
        // The time index may now end before the offset index does (its entry pointed past the cut), so
        // the walk starts where the last timestamp it still has is.
        let from = match self.time_index.last() {
            Some(time) => self.floor_position(place, base_offset + i64::from(time.relative_offset))?,
            None => 0,
        };
        self.offset_index.truncate(place, base_offset, |entry| u64::from(entry.position) <= from)?;
        let known = Known { first_offset: None, ..Known::from(base_offset) };
        self.walk_from(place, from, known, Depth::Headers, index_interval_bytes, |_| ())?;
        Ok(())
    }

    /// Cuts off what a recovery found to be no batch; the indexes have been built without it.
    pub(crate) fn cut_tail(&mut self, place: &Place, position: u64) -> Result<(), StorageError> {
        let path = self.path(place);
        let file = self.file_to_write(place)?;
        file.set_length(position).context("cut", &path)?;
        file.sync_data().context("sync", &path)?;
        self.file.synced();
        self.size = position;
        Ok(())
    }

    /// The file, opened now if need be.
    pub(crate) fn file(&self, place: &Place) -> Result<Arc<dyn File>, StorageError> {
        self.file.get(&*place.fs, || self.path(place), OpenMode::ReadWrite)
    }

    /// The same, for something that is to be flushed.
    pub(crate) fn file_to_write(&self, place: &Place) -> Result<Arc<dyn File>, StorageError> {
        let file = self.file(place)?;
        // Noted before it is true: nobody closes it while it is held here.
        self.file.written();
        Ok(file)
    }

    /// The file for one read, with what is still to be written.
    pub(crate) fn reader(&self, place: &Place) -> Result<Arc<dyn File>, StorageError> {
        let file = place.reader(self.file.get(&*place.fs, || self.path(place), OpenMode::Read)?);
        Ok(match &self.pending {
            Some(pending) if !pending.is_empty() => pending.view(file),
            _ => file,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.is_open()
    }

    pub(crate) fn close_file(&mut self) {
        self.file.close();
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.synced_size < self.size
    }

    pub(crate) fn path(&self, place: &Place) -> PathBuf {
        Segment::log_path(place, self.base_offset)
    }

    pub(crate) fn log_path(place: &Place, base_offset: Offset) -> PathBuf {
        place.directory.join(format!("{base_offset:020}.log"))
    }

    pub(crate) fn index_paths(&self, place: &Place) -> [PathBuf; 3] {
        [
            SparseIndex::<OffsetEntry>::path(place, self.base_offset),
            SparseIndex::<TimeEntry>::path(place, self.base_offset),
            TransactionIndex::path(place, self.base_offset),
        ]
    }

    /// When the newest record was written: by its own timestamp, or the file's if records have none.
    pub(crate) fn newest(&self, place: &Place) -> Result<i64, StorageError> {
        if self.max_timestamp != NO_TIMESTAMP {
            return Ok(self.max_timestamp);
        }
        let path = self.path(place);
        match place.fs.modified(&path) {
            Ok(modified) => Ok(modified.0),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.created.0),
            Err(error) => Err(StorageError::new("read the time of", &path, error)),
        }
    }

    /// Removes the segment's files and makes that durable, so that segments vanish in order.
    pub(crate) fn remove(&self, place: &Place) -> Result<(), StorageError> {
        self.remove_files(place)?;
        place.sync_directory()
    }

    /// Removes the segment's files; the directory is to be synced. Where there is no room even for that, the segment is as it was.
    pub(crate) fn remove_files(&self, place: &Place) -> Result<(), StorageError> {
        let path = self.path(place);
        remove_if_there(&*place.fs, &path)?;
        for path in self.index_paths(place) {
            remove_if_there(&*place.fs, &path).map_err(StorageError::half_way)?;
        }
        Ok(())
    }
}
