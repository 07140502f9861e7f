//! Do a follower's and a leader's logs agree, and if not, where must the follower's be cut?
//!
//! Two logs that both have a record of one epoch at one offset agree on everything below it: an epoch has one leader,
//! and a leader only appends. So the leader compares the *epoch and end* of the follower's log with its own
//! (KIP-279, KIP-595), and the follower cuts and asks again until the answer is [`Verdict::Agree`].

use raftsman_types::{LeaderEpoch, Offset};

/// A follower's log, as it says when it subscribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Its first offset, as a crash would leave it.
    pub start: Offset,
    /// The offset after its last record.
    pub end: Offset,
    /// The last epoch its log knows; [`LeaderEpoch::NONE`] if it knows none.
    pub last_epoch: LeaderEpoch,
}

/// What the leader's log knows about the follower's last epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderLog {
    /// The first offset.
    pub start: Offset,
    /// The offset after the last record.
    pub end: Offset,
    /// The largest epoch the leader's log knows that is at most the follower's last one, and where that epoch ends. `None` if
    /// all it knows are later: it has deleted what it had of the earlier ones.
    pub epoch_end: Option<(LeaderEpoch, Offset)>,
}

/// How the follower's log relates to the leader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The follower's log is the beginning of the leader's.
    Agree,
    /// It is not: the follower must cut to the end of `epoch`, at most at `end`, and ask again.
    Diverging {
        /// The last epoch that both may have.
        epoch: LeaderEpoch,
        /// Where that epoch ends in the leader's log.
        end: Offset,
    },
    /// Nothing of the follower's log is in the leader's, or nothing that the leader could compare: what is below the leader's log
    /// start may be what an earlier leader wrote and nobody else has. It must start at the leader's log start.
    OutOfRange,
}

/// Compares a follower's log end with the leader's log.
pub fn compare(follower: LogEnd, leader: LeaderLog) -> Verdict {
    if follower.end < leader.start {
        return Verdict::OutOfRange;
    }
    if follower.last_epoch == LeaderEpoch::NONE {
        // A log without any epoch holds no records: it was emptied at its end offset, or is new.
        return if follower.end <= leader.end { Verdict::Agree } else { Verdict::OutOfRange };
    }
    match leader.epoch_end {
        // Both have deleted all there was.
        None if follower.start == follower.end && follower.end == leader.start => Verdict::Agree,
        None => Verdict::OutOfRange,
        Some((epoch, end)) if epoch == follower.last_epoch && end >= follower.end => Verdict::Agree,
        Some((epoch, end)) => Verdict::Diverging { epoch, end },
    }
}

/// Where a follower cuts its log after *diverging {epoch, end}*.
///
/// `own` is the largest epoch of its log that is at most the leader's, with its end; `start` its log's first offset.
pub fn truncation_point(leader_end: Offset, own: Option<(LeaderEpoch, Offset)>, start: Offset) -> Offset {
    match own {
        Some((_, own_end)) => own_end.min(leader_end).max(start),
        None => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower(end: Offset, last_epoch: i32) -> LogEnd {
        LogEnd { start: 0, end, last_epoch: LeaderEpoch(last_epoch) }
    }

    fn leader(start: Offset, end: Offset, epoch_end: Option<(i32, Offset)>) -> LeaderLog {
        LeaderLog { start, end, epoch_end: epoch_end.map(|(epoch, end)| (LeaderEpoch(epoch), end)) }
    }

    fn diverging(epoch: i32, end: Offset) -> Verdict {
        Verdict::Diverging { epoch: LeaderEpoch(epoch), end }
    }

    #[test]
    fn logs_are_compared_by_epoch_and_end() {
        for (name, log, with, expected) in [
            ("both empty", follower(0, -1), leader(0, 0, None), Verdict::Agree),
            ("a new follower", follower(0, -1), leader(0, 9, None), Verdict::Agree),
            (
                "a new follower, and the leader has deleted its beginning",
                follower(0, -1),
                leader(5, 9, None),
                Verdict::OutOfRange,
            ),
            ("same end", follower(9, 3), leader(0, 9, Some((3, 9))), Verdict::Agree),
            ("behind in the same epoch", follower(4, 3), leader(0, 9, Some((3, 9))), Verdict::Agree),
            ("ahead in the same epoch", follower(12, 3), leader(0, 9, Some((3, 9))), diverging(3, 9)),
            ("past the end of an old epoch", follower(8, 3), leader(0, 20, Some((3, 6))), diverging(3, 6)),
            ("an epoch the leader never had", follower(8, 4), leader(0, 20, Some((2, 6))), diverging(2, 6)),
            ("that epoch, and below its end", follower(5, 4), leader(0, 20, Some((2, 6))), diverging(2, 6)),
            ("older than all the leader has kept", follower(8, 1), leader(8, 20, None), Verdict::OutOfRange),
            ("and emptied there", LogEnd { start: 8, ..follower(8, 1) }, leader(8, 20, None), Verdict::Agree),
            ("and emptied elsewhere", LogEnd { start: 9, ..follower(9, 1) }, leader(8, 20, None), Verdict::OutOfRange),
            ("the leader lost its log", follower(8, 1), leader(0, 0, None), Verdict::OutOfRange),
            ("emptied beyond the leader's end", follower(30, -1), leader(0, 20, None), Verdict::OutOfRange),
        ] {
            assert_eq!(compare(log, with), expected, "{name}");
        }
    }

    #[test]
    fn a_follower_cuts_at_the_lower_of_the_two_ends() {
        let own = |epoch, end| Some((LeaderEpoch(epoch), end));
        for (name, leader_end, own, start, expected) in [
            ("the leader's epoch ends first", 6, own(3, 9), 0, 6),
            ("its own epoch ends first", 9, own(2, 4), 0, 4),
            ("no epoch in common", 9, None, 2, 2),
            ("never below its own start", 3, own(2, 4), 5, 5),
        ] {
            assert_eq!(truncation_point(leader_end, own, start), expected, "{name}");
        }
    }
}
