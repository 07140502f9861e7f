use std::path::Path;

use bytes::Bytes;
use raftsman_records::{BATCH_HEADER_BYTES, BatchError, BatchHeader, RecordBatch};
use raftsman_types::Offset;

use crate::epoch_cache::EpochCache;
use crate::error::{IoContext, ReadError, StorageError};
use crate::fs::{File, read_full_at};

/// Holds batches read from a segment against all that is known of them: their CRC; and for offset and leader epoch, which lie
/// outside of it, the batches around them and the epochs of the log.
pub(super) struct StoredBatches<'a> {
    pub(super) file: &'a dyn File,
    pub(super) path: &'a Path,
    pub(super) epochs: &'a EpochCache,
    /// The segment's bytes.
    pub(super) size: u64,
    /// Where the segment ends, exclusive.
    pub(super) end: Offset,
    /// The lowest offset the next batch may begin at.
    pub(super) expected: Offset,
    /// Whether the next batch, if it begins there, is sure to.
    pub(super) is_placed: bool,
}

impl StoredBatches<'_> {
    /// How many bytes of a block that was read at `position`, and begins with a batch, are good batches; and what is wrong
    /// behind them, unless the block just ends.
    pub(super) fn check(&mut self, block: &Bytes, position: u64) -> Result<(usize, Option<ReadError>), StorageError> {
        let mut good = 0;
        while block.len() - good >= BATCH_HEADER_BYTES {
            let at = position + good as u64;
            let header = match BatchHeader::parse(&block[good..]) {
                Ok(header) => header,
                Err(source) => return Ok((good, Some(self.damaged(at, source)))),
            };
            let behind = at + header.size_in_bytes() as u64;
            if behind > self.size {
                let available = (self.size - at) as usize;
                let source = BatchError::Truncated { needed: header.size_in_bytes(), available };
                return Ok((good, Some(self.damaged(at, source))));
            }
            let Some(bytes) = block.get(good..good + header.size_in_bytes()) else { break };
            let batch = RecordBatch::parse(block.slice_ref(bytes)).and_then(|batch| batch.check_crc());
            if let Err(source) = batch.and_then(|()| self.check_place(&header)) {
                return Ok((good, Some(self.damaged(at, source))));
            }
            let is_placed = self.is_placed && header.base_offset == self.expected;
            if !is_placed && header.next_offset() > self.next_base(block, good + header.size_in_bytes(), behind)? {
                let what = "it is behind a gap and reaches past the batch behind it";
                let source = BatchError::Inconsistent { base_offset: header.base_offset, what };
                return Ok((good, Some(self.damaged(at, source))));
            }
            good += header.size_in_bytes();
            (self.expected, self.is_placed) = (header.next_offset(), true);
        }
        Ok((good, None))
    }

    fn check_place(&self, header: &BatchHeader) -> Result<(), BatchError> {
        let base_offset = header.base_offset;
        let inconsistent = |what| Err(BatchError::Inconsistent { base_offset, what });
        if !header.has_sane_offsets() || base_offset < self.expected {
            return inconsistent("its offset is not what its place says");
        }
        let epoch = self.epochs.epoch_of(header.last_offset());
        if epoch.is_some_and(|epoch| epoch != header.partition_leader_epoch) {
            return inconsistent("its leader epoch is not the one that leader-epoch-checkpoint has there");
        }
        Ok(())
    }

    /// Where the next batch begins, or the next segment.
    fn next_base(&self, block: &Bytes, in_block: usize, position: u64) -> Result<Offset, StorageError> {
        if position >= self.size {
            return Ok(self.end);
        }
        let mut base = [0; 8];
        match block.get(in_block..in_block + base.len()) {
            Some(bytes) => base.copy_from_slice(bytes),
            None => {
                read_full_at(self.file, &mut base, position).context("read", self.path)?;
            }
        }
        Ok(Offset::from_be_bytes(base))
    }

    fn damaged(&self, position: u64, source: BatchError) -> ReadError {
        ReadError::Damaged { path: self.path.to_owned(), position, source }
    }
}
