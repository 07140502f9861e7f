use bytes::{Bytes, BytesMut};

/// An encoded message with its four-byte length in front, in pieces ready for a vectored write.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    chunks: Vec<Bytes>,
    length: usize,
}

impl Frame {
    pub(crate) fn new(chunks: Vec<Bytes>) -> Frame {
        let length = chunks.iter().map(Bytes::len).sum();
        Frame { chunks, length }
    }

    /// Length in bytes, the length prefix included.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing to write; never so for a frame from a [`Writer`](crate::Writer).
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces in order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The pieces in order, owned.
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// The frame in one piece; copies only when there is more than one.
    pub fn into_contiguous(mut self) -> Bytes {
        if self.chunks.len() < 2 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        whole.freeze()
    }
}
