use std::collections::BTreeSet;

use raftsman_protocol::Str;
use raftsman_types::MonotonicTime;

/// What a group waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The rebalance's join phase ends.
    Join,
    /// Members that were told their assignment is ready must have fetched it.
    Sync,
    /// A member must have been heard of.
    Session(Str),
    /// A member that was given its id must have joined with it.
    Pending(Str),
}

/// All deadlines of a shard in order. Each (group, timer) has at most one entry, which its owner remembers.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    entries: BTreeSet<(MonotonicTime, Str, Timer)>,
}

impl Deadlines {
    pub(crate) fn set(&mut self, at: MonotonicTime, group: &Str, timer: Timer) {
        self.entries.insert((at, group.clone(), timer));
    }

    pub(crate) fn cancel(&mut self, at: MonotonicTime, group: &Str, timer: Timer) {
        self.entries.remove(&(at, group.clone(), timer));
    }

    pub(crate) fn next(&self) -> Option<MonotonicTime> {
        self.entries.first().map(|(at, _, _)| *at)
    }

    /// Takes one entry that is due, the earliest first.
    pub(crate) fn pop_due(&mut self, now: MonotonicTime) -> Option<(MonotonicTime, Str, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first()
    }
}
