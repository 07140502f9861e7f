use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use raftsman_records::{
    BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, BatchError, BatchHeader, RecordBatch, is_legacy_message,
};
use raftsman_types::{LeaderEpoch, Offset};

use crate::epoch_cache::EpochCache;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, read_full_at};

/// Walks the batches of a segment file from some position. Reads in blocks and skips over bodies that
/// lie outside of the block, so that headers alone are cheap where batches are large.
pub(crate) struct BatchScanner<'a> {
    file: &'a dyn File,
    path: &'a Path,
    /// The file's bytes; nothing past them is read or allocated for.
    end: u64,
    block_bytes: usize,
    position: u64,
    block: Bytes,
    block_start: u64,
}

/// What the scanner found at its position.
pub(crate) enum Scanned<T> {
    Batch(T),
    /// The end of the file, exactly.
    End,
    /// Bytes that are no whole batch.
    Bad(BatchError),
}

impl<'a> BatchScanner<'a> {
    pub(crate) fn new(
        file: &'a dyn File,
        path: &'a Path,
        position: u64,
        end: u64,
        block_bytes: usize,
    ) -> BatchScanner<'a> {
        BatchScanner { file, path, end, block_bytes, position, block: Bytes::new(), block_start: position }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The header at the position; does not move on.
    pub(crate) fn header(&mut self) -> Result<Scanned<BatchHeader>, StorageError> {
        let remaining = (self.end - self.position) as usize;
        if remaining == 0 {
            return Ok(Scanned::End);
        }
        let bytes = self.bytes(BATCH_HEADER_BYTES.min(remaining))?;
        let header = match BatchHeader::parse(&bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Scanned::Bad(error)),
        };
        if header.size_in_bytes() > remaining {
            return Ok(Scanned::Bad(BatchError::Truncated { needed: header.size_in_bytes(), available: remaining }));
        }
        if !header.has_sane_offsets() {
            let what = "its offsets cannot be";
            return Ok(Scanned::Bad(BatchError::Inconsistent { base_offset: header.base_offset, what }));
        }
        Ok(Scanned::Batch(header))
    }

    /// The whole batch at the position, whose header has been looked at; does not move on.
    pub(crate) fn batch(&mut self, header: &BatchHeader) -> Result<Bytes, StorageError> {
        self.bytes(header.size_in_bytes())
    }

    /// Whether a whole message of format 0 or 1 is at the position, with its CRC.
    pub(crate) fn is_at_legacy_message(&mut self) -> Result<bool, StorageError> {
        let remaining = (self.end - self.position) as usize;
        let prefix = self.bytes(BATCH_PREFIX_BYTES.min(remaining))?;
        let Some(length) = prefix.get(8..).and_then(|length| <[u8; 4]>::try_from(length).ok()) else {
            return Ok(false);
        };
        let size = BATCH_PREFIX_BYTES + i32::from_be_bytes(length).max(0) as usize;
        Ok(size <= remaining && is_legacy_message(&self.bytes(size)?))
    }

    /// Moves past the batch of this header.
    pub(crate) fn skip(&mut self, header: &BatchHeader) {
        self.position += header.size_in_bytes() as u64;
    }

    /// `length` bytes from the position on (fewer only if the file is shorter than it was).
    fn bytes(&mut self, length: usize) -> Result<Bytes, StorageError> {
        let start = self.position - self.block_start;
        if start + length as u64 > self.block.len() as u64 {
            let wanted = (length.max(self.block_bytes) as u64).min(self.end - self.position);
            // The last block's memory, unless somebody still holds a piece of it: only what was not in it is zeroed.
            let mut block = std::mem::take(&mut self.block).try_into_mut().unwrap_or_default();
            block.resize(wanted as usize, 0);
            let read = read_full_at(self.file, &mut block, self.position).context("read", self.path)?;
            block.truncate(read);
            self.block = block.freeze();
            self.block_start = self.position;
        }
        let start = (self.position - self.block_start) as usize;
        Ok(self.block.slice(start..(start + length).min(self.block.len())))
    }
}

/// How a walk over batches ended.
#[derive(Debug)]
pub(crate) struct WalkEnd {
    /// Where the batches end that are good: before batches that were shown already, if a later one proves them wrong.
    pub(crate) position: u64,
    /// What stands there instead of a good batch, if that is not the end of the file.
    pub(crate) problem: Option<BatchError>,
}

/// What to check of each batch on a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The header: of batches known to be good.
    Headers,
    /// The header and the CRC.
    Crc,
}

/// What is known of the batches of a walk beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Where the first one begins, if nothing was compacted away; `None` if it need not be told from a wrong one.
    pub(crate) first_offset: Option<Offset>,
    /// Where the last one ends, at most.
    pub(crate) end: Offset,
    /// Whether that is certain. Else it is believed to reach further if there are traces of compaction.
    pub(crate) end_is_certain: bool,
    /// The leader epoch of the batch behind the last one, if there is one.
    pub(crate) next_epoch: Option<LeaderEpoch>,
    /// The epochs the log is said to have.
    pub(crate) epochs: Option<&'a EpochCache>,
}

impl Known<'_> {
    /// Nothing but where they begin.
    pub(crate) fn from(first_offset: Offset) -> Known<'static> {
        Known {
            first_offset: Some(first_offset),
            end: Offset::MAX,
            end_is_certain: false,
            next_epoch: None,
            epochs: None,
        }
    }
}

const USED_BEFORE: &str = "its offset was used before";
const NEXT_IS_LOWER: &str = "the batch behind it has a lower offset";
const EPOCH_FELL: &str = "its leader epoch is lower than the one before";
const EPOCH_TOO_HIGH: &str = "the batches behind it have a lower leader epoch";
const EPOCH_UNKNOWN: &str = "the log never had its leader epoch";
const TOO_HIGH: &str = "it is behind a gap and reaches past where the log ends";

/// Offsets and epochs lie outside a batch's CRC. The batches around one tell whether they can be: offsets rise, epochs do not
/// fall, and what comes behind a gap, such as compaction leaves, ends before the next batch begins.
#[derive(Debug)]
struct Order<'a> {
    known: Known<'a>,
    expected: Option<Offset>,
    /// The last batch, if a gap is in front of it.
    behind_gap: Option<(u64, Offset)>,
    /// The leader epoch of the last batches, and the first of those.
    epoch: Option<(LeaderEpoch, u64, Offset)>,
    /// How many batches have an epoch that the log is not said to have had there, and the last of them.
    unknown_epochs: usize,
    unknown_epoch: Option<(u64, Offset)>,
    shows_compaction: bool,
}

/// A batch that cannot be, by its position.
type Wrong = (u64, BatchError);

impl<'a> Order<'a> {
    fn new(known: Known<'a>) -> Order<'a> {
        Order {
            known,
            expected: known.first_offset,
            behind_gap: None,
            epoch: None,
            unknown_epochs: 0,
            unknown_epoch: None,
            shows_compaction: false,
        }
    }

    /// Takes in the batch at `position`; or says which one cannot be, that one or one before.
    fn check(&mut self, position: u64, header: &BatchHeader) -> Result<(), Wrong> {
        let base_offset = header.base_offset;
        if self.expected.is_some_and(|expected| base_offset < expected) {
            return Err(match self.behind_gap {
                Some((suspect, offset)) => (suspect, wrong(offset, NEXT_IS_LOWER)),
                None => (position, wrong(base_offset, USED_BEFORE)),
            });
        }
        let has_gap = self.expected.is_some_and(|expected| base_offset > expected);
        if has_gap && self.known.end_is_certain && base_offset >= self.known.end {
            return Err((position, wrong(base_offset, TOO_HIGH)));
        }
        let epoch = header.partition_leader_epoch;
        if self.epoch.is_some_and(|(last, ..)| epoch < last) {
            return Err(self.epoch_too_high().unwrap_or((position, wrong(base_offset, EPOCH_FELL))));
        }
        if self.epoch.is_none_or(|(last, ..)| epoch > last) {
            self.epoch = Some((epoch, position, base_offset));
        }
        self.unknown_epoch = None;
        let said = self.known.epochs.and_then(|epochs| epochs.epoch_of(header.last_offset()));
        if said.is_some_and(|said| said != epoch) {
            self.unknown_epochs += 1;
            self.unknown_epoch = Some((position, base_offset));
        }
        let is_thinned = i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1;
        self.shows_compaction |= self.behind_gap.is_some() || is_thinned;
        self.behind_gap = has_gap.then_some((position, base_offset));
        self.expected = Some(header.next_offset());
        Ok(())
    }

    /// The first batch of an epoch that cannot be, for batches behind it have a lower one and the log is not said to have had it.
    fn epoch_too_high(&self) -> Option<Wrong> {
        let (last, suspect, offset) = self.epoch?;
        let is_known = self.known.epochs.is_none_or(|epochs| epochs.epoch_of(offset) == Some(last));
        (!is_known).then(|| (suspect, wrong(offset, EPOCH_TOO_HIGH)))
    }

    /// Says whether the batches may end here, where there is this `problem` or the end of the file.
    fn end(&self, position: u64, problem: Option<BatchError>) -> WalkEnd {
        let too_high = self.expected.is_some_and(|expected| expected > self.known.end);
        match self.behind_gap {
            Some((suspect, offset)) if too_high && (self.known.end_is_certain || !self.shows_compaction) => {
                return WalkEnd { position: suspect, problem: Some(wrong(offset, TOO_HIGH)) };
            }
            _ => {}
        }
        let next_is_lower = self.epoch.zip(self.known.next_epoch).is_some_and(|((last, ..), next)| next < last);
        if let Some((suspect, problem)) = self.epoch_too_high().filter(|_| next_is_lower) {
            return WalkEnd { position: suspect, problem: Some(problem) };
        }
        // No batch is written before the file of the epochs has its epoch. Where more than one says otherwise, it is the
        // file that is not what it was.
        match self.unknown_epoch {
            Some((suspect, offset)) if self.unknown_epochs == 1 && !self.known.end_is_certain => {
                WalkEnd { position: suspect, problem: Some(wrong(offset, EPOCH_UNKNOWN)) }
            }
            _ => WalkEnd { position, problem },
        }
    }
}

fn wrong(base_offset: Offset, what: &'static str) -> BatchError {
    BatchError::Inconsistent { base_offset, what }
}

/// Visits the batches from the scanner's position on until the end, the first bad one, or until `visit` says to stop
/// (before the batch it was shown).
pub(crate) fn walk(
    scanner: &mut BatchScanner<'_>,
    known: Known<'_>,
    depth: Depth,
    mut visit: impl FnMut(u64, &BatchHeader) -> Result<ControlFlow<()>, StorageError>,
) -> Result<WalkEnd, StorageError> {
    let mut order = Order::new(known);
    loop {
        let position = scanner.position();
        let header = match scanner.header()? {
            Scanned::Batch(header) => header,
            Scanned::End => return Ok(order.end(position, None)),
            Scanned::Bad(problem) => return Ok(order.end(position, Some(problem))),
        };
        if depth == Depth::Crc
            && let Err(problem) = RecordBatch::parse(scanner.batch(&header)?).and_then(|batch| batch.check_crc())
        {
            return Ok(order.end(position, Some(problem)));
        }
        if let Err((position, problem)) = order.check(position, &header) {
            return Ok(WalkEnd { position, problem: Some(problem) });
        }
        if visit(position, &header)?.is_break() {
            return Ok(WalkEnd { position, problem: None });
        }
        scanner.skip(&header);
    }
}
