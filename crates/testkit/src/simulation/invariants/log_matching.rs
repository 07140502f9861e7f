use std::collections::BTreeMap;

use raftsman_types::{Offset, TopicIdPartition};

use super::{BatchMark, Checked, Violation};

/// What was ever seen at an offset in a leader epoch: (last offset, checksum).
type Seen = BTreeMap<(TopicIdPartition, i64, i32), (i64, u32)>;

/// LogMatching: records of one offset and one leader epoch are the same on every replica, for ever.
#[derive(Debug, Default)]
pub(super) struct LogMatching {
    seen: Seen,
}

impl LogMatching {
    /// Below `compacted_upto` a log may have been compacted: batches have fewer records there, and other checksums.
    pub fn check(&mut self, node: i32, at: TopicIdPartition, batches: &[BatchMark], compacted_upto: Offset) -> Checked {
        for batch in batches {
            let now = (batch.last, batch.crc);
            let before = self.seen.entry((at, batch.base, batch.epoch)).or_insert(now);
            let is_same = if batch.base < compacted_upto { before.0 == now.0 } else { *before == now };
            if !is_same {
                let what = format!("{at}: broker {node} has {batch:?}, and {before:?} was seen there in that epoch");
                return Err(Violation::new("LogMatching", what));
            }
        }
        Ok(())
    }
}
