use std::ops::ControlFlow;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use raftsman_records::{BATCH_HEADER_BYTES, BatchError, BatchHeader, RecordBatch};
use raftsman_types::Offset;

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

    /// Moves past the batch of this header.
    pub(crate) fn skip(&mut self, header: &BatchHeader) {
        self.position += header.size_in_bytes() as u64;
    }

    /// `length` bytes from the position on (fewer only if the file is shorter than it was).
    fn bytes(&mut self, length: usize) -> Result<Bytes, StorageError> {
        let start = self.position - self.block_start;
        if start + length as u64 > self.block.len() as u64 {
            let wanted = (length.max(self.block_bytes) as u64).min(self.end - self.position);
            let mut block = BytesMut::zeroed(wanted as usize);
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
    /// Where the batches end that are good.
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

/// Visits the batches from the scanner's position on, in rising offsets from `expected` on, until the
/// end, the first bad one, or until `visit` says to stop (before the batch it was shown).
pub(crate) fn walk(
    scanner: &mut BatchScanner<'_>,
    expected: Offset,
    depth: Depth,
    mut visit: impl FnMut(u64, &BatchHeader) -> Result<ControlFlow<()>, StorageError>,
) -> Result<WalkEnd, StorageError> {
    let mut expected = expected;
    let bad = |position, problem| Ok(WalkEnd { position, problem: Some(problem) });
    loop {
        let position = scanner.position();
        let header = match scanner.header()? {
            Scanned::Batch(header) => header,
            Scanned::End => return Ok(WalkEnd { position, problem: None }),
            Scanned::Bad(problem) => return bad(position, problem),
        };
        let base_offset = header.base_offset;
        if base_offset < expected {
            return bad(position, BatchError::Inconsistent { base_offset, what: "its offset was used before" });
        }
        if depth == Depth::Crc
            && let Err(problem) = RecordBatch::parse(scanner.batch(&header)?).and_then(|batch| batch.check_crc())
        {
            return bad(position, problem);
        }
        if visit(position, &header)?.is_break() {
            return Ok(WalkEnd { position, problem: None });
        }
        expected = header.next_offset();
        scanner.skip(&header);
    }
}
