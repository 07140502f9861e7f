//! Up to where a partition is committed.

use raftsman_types::Offset;

/// How far the high watermark may go, judged from the replicas that count.
///
/// `members` gives, for every replica of the maximal ISR (and those about to join it), up to where its log counts, or
/// `None` if that is not known in this leader's epoch and the replica's present broker epoch. One unknown member holds
/// the watermark: a replica that may be elected has to have everything below it.
pub fn candidate(members: impl IntoIterator<Item = Option<Offset>>) -> Option<Offset> {
    members.into_iter().try_fold(Offset::MAX, |least, offset| Some(least.min(offset?))).filter(|&o| o < Offset::MAX)
}

/// Where the high watermark goes from `current`.
///
/// It stays where it is while fewer replicas are in sync than required (KIP-966), and until a new leader's epoch start
/// is reached: below that the leader does not know what its predecessors committed.
pub fn advance(current: Offset, candidate: Option<Offset>, epoch_start: Offset, enough_in_sync: bool) -> Offset {
    match candidate {
        Some(to) if enough_in_sync && to > current && to >= epoch_start => to,
        _ => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_counted_offset_is_the_candidate() {
        assert_eq!(candidate([Some(7), Some(5), Some(9)]), Some(5));
        assert_eq!(candidate([Some(7), None, Some(9)]), None);
        assert_eq!(candidate([]), None);
    }

    #[test]
    fn the_watermark_only_rises_with_enough_replicas_and_past_the_epoch_start() {
        for (name, current, candidate, epoch_start, enough, expected) in [
            ("rises", 5, Some(8), 0, true, 8),
            ("never falls", 5, Some(3), 0, true, 5),
            ("an unknown member holds it", 5, None, 0, true, 5),
            ("too few in sync", 5, Some(8), 0, false, 5),
            ("a new leader's epoch start is not reached", 5, Some(8), 9, true, 5),
            ("reached exactly", 5, Some(9), 9, true, 9),
        ] {
            assert_eq!(advance(current, candidate, epoch_start, enough), expected, "{name}");
        }
    }
}
