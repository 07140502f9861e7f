use bytes::{Bytes, BytesMut};
use raftsman_records::BatchHeader;
use raftsman_types::Offset;

use super::Log;
use super::stored_batches::StoredBatches;
use crate::cold_read::ColdRead;
use crate::error::{IoContext, ReadError};
use crate::fs::read_full_at;
use crate::place::Place;
use crate::segment::{Found, Segment};

/// From here on a read is one of many that go through the log.
const READ_ON_FROM_BYTES: usize = 64 * 1024;

/// Whole batches read from a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadData {
    /// The batches in order; each chunk holds whole ones. The first may begin before the offset asked for.
    pub chunks: Vec<Bytes>,
    /// The offset after the last batch, where to read on; the offset asked for if there is none.
    pub next_offset: Offset,
}

impl ReadData {
    /// Bytes of all chunks.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// One read under way.
struct Reading {
    data: ReadData,
    remaining_bytes: usize,
    upto: Offset,
    at_least_one: bool,
    /// Nothing may be read at all.
    is_over: bool,
}

impl Reading {
    /// How many of `bytes`, which begin with a batch, to take: whole batches within the limits. The
    /// second value says whether the read ends there.
    fn take(&mut self, bytes: &Bytes) -> (usize, bool) {
        let mut taken = 0;
        while let Ok(header) = BatchHeader::parse(&bytes[taken..]) {
            let size = header.size_in_bytes();
            if taken + size > bytes.len() {
                break;
            }
            if header.next_offset() > self.upto {
                return (taken, true);
            }
            let is_first = self.data.is_empty() && taken == 0;
            if size > self.remaining_bytes && !(is_first && self.at_least_one) {
                return (taken, true);
            }
            self.remaining_bytes = self.remaining_bytes.saturating_sub(size);
            taken += size;
            self.data.next_offset = header.next_offset();
        }
        (taken, self.remaining_bytes == 0)
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.data.chunks.push(bytes);
        }
    }
}

impl Log {
    /// Reads whole batches from the one that holds `from` on, at most `max_bytes` of them and none that
    /// reaches `upto` or past it. With `at_least_one` the first batch comes even if it alone is larger.
    /// What was appended lately comes from memory; what comes from the disk is checked, so that nobody is given what was
    /// not written.
    ///
    /// # Errors
    /// `OutOfRange` when `from` lies outside the log (its end is inside), `Damaged` where the batch at `from` is not what was
    /// written (what lies in front of it is read), or storage.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        at_least_one: bool,
    ) -> Result<ReadData, ReadError> {
        self.check_online()?;
        self.read_whatever_happened(from, max_bytes, upto, at_least_one)
    }

    /// As [`Log::read`], on a thread that may not wait for a disk. If something is not in memory nothing is read, and what it is
    /// comes back: it can be brought there on another thread, without the log, for the same read to be tried again.
    ///
    /// # Errors
    /// As for [`Log::read`].
    pub fn read_without_waiting(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        at_least_one: bool,
    ) -> Result<Result<ReadData, ColdRead>, ReadError> {
        self.check_online()?;
        let mut reading = self.begin_read(from, max_bytes, upto, at_least_one)?;
        if reading.is_over || self.read_cached(from, &mut reading) {
            return Ok(Ok(reading.data));
        }
        let (place, lack) = self.place.in_memory();
        let outcome = self.read_segments(&place, from, &mut reading);
        // What came of a read that lacked something says nothing.
        match lack.get() {
            Some(cold) => Ok(Err(cold.clone())),
            None => outcome.map(|()| Ok(reading.data)),
        }
    }

    /// Reads what the log holds even if it is offline: for those who check what must hold, not for serving it.
    ///
    /// # Errors
    /// As for [`Log::read`].
    pub fn inspect(&self, from: Offset, max_bytes: usize) -> Result<ReadData, ReadError> {
        self.read_whatever_happened(from, max_bytes, self.log_end_offset, true)
    }

    fn read_whatever_happened(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        at_least_one: bool,
    ) -> Result<ReadData, ReadError> {
        let mut reading = self.begin_read(from, max_bytes, upto, at_least_one)?;
        if !reading.is_over && !self.read_cached(from, &mut reading) {
            self.read_segments(&self.place, from, &mut reading)?;
        }
        Ok(reading.data)
    }

    fn begin_read(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        at_least_one: bool,
    ) -> Result<Reading, ReadError> {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if from < start || from > end {
            return Err(ReadError::OutOfRange { offset: from, start, end });
        }
        let data = ReadData { chunks: Vec::new(), next_offset: from };
        let upto = upto.min(end);
        let is_over = from >= upto || (max_bytes == 0 && !at_least_one);
        Ok(Reading { data, remaining_bytes: max_bytes, upto, at_least_one, is_over })
    }

    /// Reads from the tail cache; false if `from` is not in it.
    fn read_cached(&self, from: Offset, reading: &mut Reading) -> bool {
        let Some(appends) = self.tail.appends_from(from) else { return false };
        for (base_offset, _, bytes) in appends {
            let mut bytes = bytes.clone();
            if base_offset < from {
                bytes = bytes.slice(bytes_before(&bytes, from)..);
            }
            let (taken, done) = reading.take(&bytes);
            reading.push(bytes.slice(..taken));
            if done {
                break;
            }
        }
        true
    }

    fn read_segments(&self, place: &Place, from: Offset, reading: &mut Reading) -> Result<(), ReadError> {
        let first = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for (i, segment) in self.segments.iter().enumerate().skip(first) {
            let end = self.segments.get(i + 1).map_or(self.log_end_offset, |next| next.base_offset);
            match self.read_segment(place, segment, end, from, reading) {
                Ok(false) => {}
                // What is good in front of the damage is read first.
                Err(ReadError::Damaged { .. }) if !reading.data.is_empty() => break,
                outcome => return outcome.map(|_| ()),
            }
        }
        Ok(())
    }

    /// Reads from one segment, which ends at `end`; true if the read ends there.
    fn read_segment(
        &self,
        place: &Place,
        segment: &Segment,
        end: Offset,
        from: Offset,
        reading: &mut Reading,
    ) -> Result<bool, ReadError> {
        if segment.size == 0 {
            return Ok(false);
        }
        let file = segment.reader(place)?;
        let found = segment.find(place, &*file, from)?;
        if from < end && found.as_ref().is_none_or(|found| found.header.base_offset > from) {
            segment.check_batch_below(place, &*file, from)?;
        }
        let Some(found) = found else { return Ok(false) };
        if !found.is_placed {
            segment.check_gap(place, &*file, &found, from)?;
        }
        let Found { mut position, header, is_placed } = found;
        // One that reaches past the segment is not what was written, and is looked at more closely.
        if header.next_offset() > reading.upto && header.next_offset() <= end && is_placed {
            return Ok(true);
        }
        let mut wanted = reading.remaining_bytes;
        if reading.data.is_empty() && reading.at_least_one {
            wanted = wanted.max(header.size_in_bytes());
        }
        let path = segment.path(place);
        let mut check = StoredBatches {
            file: &*file,
            path: &path,
            epochs: &self.epochs,
            size: segment.size,
            end,
            expected: header.base_offset,
            is_placed,
        };
        while position < segment.size {
            let length = (segment.size - position).min(wanted as u64) as usize;
            let mut block = BytesMut::zeroed(length);
            let read = read_full_at(&*file, &mut block, position).context("read", &path)?;
            block.truncate(read);
            let block = block.freeze();
            if length >= READ_ON_FROM_BYTES {
                // Comes from the disk while these are checked and sent: the next read most likely goes on there.
                let behind = position + length as u64;
                file.will_need(behind, (length as u64).min(segment.size - behind));
            }
            let (good, problem) = check.check(&block, position)?;
            let (taken, done) = reading.take(&block.slice(..good));
            reading.push(block.slice(..taken));
            position += taken as u64;
            wanted = reading.remaining_bytes;
            if let Some(problem) = problem.filter(|_| taken == good && !done) {
                return Err(problem);
            }
            // A part of a batch at the end means that it does not fit what may still be read.
            if done || taken < block.len() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Bytes of the batches in `bytes` that end before `offset`.
fn bytes_before(bytes: &Bytes, offset: Offset) -> usize {
    let mut skipped = 0;
    while let Ok(header) = BatchHeader::parse(&bytes[skipped..]) {
        if header.last_offset() >= offset {
            break;
        }
        skipped += header.size_in_bytes();
    }
    skipped
}
