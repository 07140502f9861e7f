use bytes::{Buf, Bytes};

use crate::batch::RecordBatch;
use crate::error::BatchError;

/// Cuts a run of batches (a fetch response's, a segment's) into its batches, copying nothing.
///
/// With `allow_partial` a batch that is cut off at the end just ends the walk, which is what a fetch
/// response at its byte limit looks like; otherwise it is an error.
pub fn split_batches(bytes: Bytes, allow_partial: bool) -> BatchIter {
    BatchIter { rest: bytes, allow_partial }
}

/// Walks batches; made by [`split_batches`]. An error is the last item.
#[derive(Debug)]
pub struct BatchIter {
    rest: Bytes,
    allow_partial: bool,
}

impl Iterator for BatchIter {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Result<RecordBatch, BatchError>> {
        if self.rest.is_empty() {
            return None;
        }
        match RecordBatch::parse(self.rest.clone()) {
            Ok(batch) => {
                self.rest.advance(batch.size_in_bytes());
                Some(Ok(batch))
            }
            Err(error) => {
                self.rest.clear();
                let partial = matches!(error, BatchError::Truncated { .. });
                if partial && self.allow_partial { None } else { Some(Err(error)) }
            }
        }
    }
}
