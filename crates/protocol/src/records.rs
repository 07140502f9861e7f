use bytes::{Bytes, BytesMut};

/// The bytes of a `records` field, as the chunks they came in: reading and writing them never copies.
#[derive(Debug, Clone, Default)]
pub struct Records {
    chunks: Vec<Bytes>,
    length: usize,
}

impl Records {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The chunks in order; none is empty.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The bytes in one piece; copies only when there is more than one chunk.
    pub fn into_contiguous(mut self) -> Bytes {
        if self.chunks.len() < 2 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        whole.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        if bytes.is_empty() {
            return Records::default();
        }
        Records::from(vec![bytes])
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(mut chunks: Vec<Bytes>) -> Records {
        chunks.retain(|chunk| !chunk.is_empty());
        let length = chunks.iter().map(Bytes::len).sum();
        Records { chunks, length }
    }
}

/// Equal bytes are equal records, however they are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.length == other.length && self.chunks.iter().flatten().eq(other.chunks.iter().flatten())
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_the_cuts() {
        let whole = Records::from(Bytes::from_static(b"abcd"));
        let cut = Records::from(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cd")]);
        assert_eq!(whole, cut);
        assert_eq!(cut.chunks().len(), 2);
        assert_eq!(cut.into_contiguous(), Bytes::from_static(b"abcd"));
        assert!(Records::default().is_empty());
    }
}
