use std::fmt;

use raftsman_types::{LeaderEpoch, Offset};

/// One leader epoch and the first offset written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEntry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) start_offset: Offset,
}

impl fmt::Display for EpochEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.epoch, self.start_offset)
    }
}

/// Which leader epoch wrote which part of the log (KIP-101): what replicas compare to find where their
/// logs part. Epochs and start offsets both rise from entry to entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// A cache of these entries, or `None` if they do not rise.
    pub(crate) fn from_entries(entries: Vec<EpochEntry>) -> Option<EpochCache> {
        let rising = entries.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start_offset < w[1].start_offset);
        let sane = entries.first().is_none_or(|e| e.epoch.0 >= 0 && e.start_offset >= 0);
        (rising && sane).then_some(EpochCache { entries })
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// Whether `epoch` may start, or go on, at the log's end.
    pub(crate) fn accepts(&self, epoch: LeaderEpoch) -> bool {
        self.latest().is_none_or(|latest| epoch >= latest.epoch)
    }

    /// Notes that `epoch` starts at the log's end `start_offset`; nothing for an epoch that goes on. An
    /// epoch that wrote nothing gives its place to the next one. Returns whether an entry was made.
    ///
    /// The caller has checked [`EpochCache::accepts`].
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || self.latest().is_some_and(|latest| latest.epoch >= epoch) {
            return false;
        }
        self.truncate_from_end(start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Forgets epochs that start at or past `end_offset`. Returns whether there were any.
    pub(crate) fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Forgets epochs that end at or before `start_offset`; the one that covers it now starts there.
    /// Returns whether anything changed.
    pub(crate) fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let covering = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(last) = covering.checked_sub(1) else { return false };
        if last == 0 && self.entries[0].start_offset == start_offset {
            return false;
        }
        self.entries.drain(..last);
        self.entries[0].start_offset = start_offset;
        true
    }

    pub(crate) fn clear(&mut self) -> bool {
        let changed = !self.entries.is_empty();
        self.entries = Vec::new();
        changed
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries[after.checked_sub(1)?].epoch)
    }

    /// The oldest epoch that is known.
    pub(crate) fn oldest(&self) -> Option<LeaderEpoch> {
        self.entries.first().map(|entry| entry.epoch)
    }

    /// The largest epoch at or below `requested`, and where it ends (KIP-279). For an epoch older than
    /// all of them the requested one with the start of the log: that data is gone, and a replica that
    /// still has it must begin there.
    pub(crate) fn end_offset_for(
        &self,
        requested: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if requested.0 < 0 {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= requested);
        let end = self.entries.get(above).map(|next| next.start_offset);
        match above.checked_sub(1) {
            Some(floor) => Some((self.entries[floor].epoch, end.unwrap_or(log_end_offset))),
            None => end.map(|end| (requested, end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        let entries = entries.iter().map(|&(e, o)| EpochEntry { epoch: LeaderEpoch(e), start_offset: o }).collect();
        EpochCache::from_entries(entries).expect("rising entries")
    }

    #[test]
    fn answers_with_the_largest_epoch_at_or_below_the_one_asked() {
        let cache = cache(&[(2, 10), (4, 20), (7, 35)]);
        let ask = |epoch| cache.end_offset_for(LeaderEpoch(epoch), 50).map(|(e, o)| (e.0, o));
        assert_eq!(ask(-1), None);
        assert_eq!(ask(0), Some((0, 10)));
        assert_eq!(ask(2), Some((2, 20)));
        assert_eq!(ask(3), Some((2, 20)));
        assert_eq!(ask(4), Some((4, 35)));
        assert_eq!(ask(6), Some((4, 35)));
        assert_eq!(ask(7), Some((7, 50)));
        assert_eq!(ask(9), Some((7, 50)));
        assert_eq!(EpochCache::default().end_offset_for(LeaderEpoch(1), 50), None);
    }

    /// The case of KIP-279: after two quick leader changes one question is not enough. Each answer must
    /// take the follower to an older epoch or a lower offset until the logs agree.
    #[test]
    fn two_logs_that_parted_twice_find_their_common_point() {
        let leader = cache(&[(1, 0), (2, 10), (5, 14)]);
        let leader_end = 30;
        let mut follower = cache(&[(1, 0), (3, 12), (4, 16)]);
        let mut follower_end = 20;
        let mut questions = 0;
        loop {
            let last = follower.latest().expect("an epoch").epoch;
            let (epoch, end) = leader.end_offset_for(last, leader_end).expect("an answer");
            questions += 1;
            if epoch == last {
                follower_end = follower_end.min(end);
                break;
            }
            let (_, own_end) = follower.end_offset_for(epoch, follower_end).expect("an answer");
            follower_end = own_end.min(end).min(follower_end);
            follower.truncate_from_end(follower_end);
            assert!(questions < 5, "the loop must end");
        }
        // Epoch 1 is all they share, and it ended at 10 on the leader.
        assert_eq!((follower_end, follower.latest().expect("an epoch").epoch), (10, LeaderEpoch(1)));
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_its_place_away() {
        let mut cache = cache(&[(1, 0), (2, 10)]);
        assert!(cache.assign(LeaderEpoch(3), 10));
        assert_eq!(cache, self::cache(&[(1, 0), (3, 10)]));
        assert!(!cache.assign(LeaderEpoch(3), 12));
        assert!(!cache.accepts(LeaderEpoch(2)));
    }

    #[test]
    fn truncation_at_the_start_keeps_the_epoch_that_covers_it() {
        let mut cache = cache(&[(1, 0), (2, 10), (3, 20)]);
        assert!(cache.truncate_from_start(15));
        assert_eq!(cache, self::cache(&[(2, 15), (3, 20)]));
        assert!(!cache.truncate_from_start(15));
        assert!(!cache.truncate_from_start(3));
        assert!(cache.truncate_from_start(20));
        assert_eq!(cache, self::cache(&[(3, 20)]));
        assert_eq!(cache.epoch_of(19), None);
        assert_eq!(cache.epoch_of(20), Some(LeaderEpoch(3)));
    }
}
