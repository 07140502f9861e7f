use std::fmt;

/// One fixed-size entry of an index file; entries rise by their key.
pub(crate) trait IndexEntry: Copy + fmt::Debug + PartialEq {
    const BYTES: usize;
    /// The file's ending.
    const SUFFIX: &'static str;
    fn key(&self) -> i64;
    fn encode(&self, out: &mut Vec<u8>);
    /// `bytes` are exactly `BYTES`.
    fn decode(bytes: &[u8]) -> Self;
}

/// The last offset of a batch, and where the batch starts in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Counted from the segment's base offset.
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
}

impl IndexEntry for OffsetEntry {
    const BYTES: usize = 8;
    const SUFFIX: &'static str = "index";

    fn key(&self) -> i64 {
        i64::from(self.relative_offset)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> OffsetEntry {
        OffsetEntry { relative_offset: u32_at(bytes, 0), position: u32_at(bytes, 4) }
    }
}

/// The largest timestamp up to some point of the segment, and the last offset of the batch it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    /// Counted from the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;
    const SUFFIX: &'static str = "timeindex";

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        let high = i64::from(u32_at(bytes, 0));
        TimeEntry { timestamp: (high << 32) | i64::from(u32_at(bytes, 4)), relative_offset: u32_at(bytes, 8) }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}
