use std::collections::BTreeMap;

use raftsman_types::TopicIdPartition;

use super::{BatchMark, Checked, Violation};

/// What was ever seen at an offset in a leader epoch: (last offset, checksum).
type Seen = BTreeMap<(TopicIdPartition, i64, i32), (i64, u32)>;

/// LogMatching: records of one offset and one leader epoch are the same on every replica, for ever.
#[derive(Debug, Default)]
pub(super) struct LogMatching {
    seen: Seen,
}

impl LogMatching {
    pub fn check(&mut self, node: i32, at: TopicIdPartition, batches: &[BatchMark]) -> Checked {
        for batch in batches {
            let now = (batch.last, batch.crc);
            let before = self.seen.entry((at, batch.base, batch.epoch)).or_insert(now);
            if *before != now {
                let what = format!("{at}: broker {node} has {batch:?}, and {before:?} was seen there in that epoch");
                return Err(Violation::new("LogMatching", what));
            }
        }
        Ok(())
    }
}
