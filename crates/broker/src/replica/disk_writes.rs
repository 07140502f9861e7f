use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use raftsman_types::MonotonicTime;

/// More threads than write to one directory at once. What finds no slot is not watched; the others are.
const SLOTS: usize = 64;
const FREE: u64 = 0;

/// The writes under way on a directory's disk, and since when.
///
/// Each takes a slot without a lock: appends of a microsecond note themselves here.
#[derive(Debug)]
pub(super) struct DiskWrites {
    /// The millisecond of each write's beginning, plus one.
    slots: [AtomicU64; SLOTS],
    /// Where the next looks for a slot first.
    next: AtomicUsize,
    stuck: AtomicBool,
}

/// A write under way; over when this is dropped.
pub(super) struct WriteUnderWay<'a> {
    writes: &'a DiskWrites,
    slot: Option<usize>,
}

impl DiskWrites {
    /// None.
    pub fn new() -> DiskWrites {
        DiskWrites {
            slots: [const { AtomicU64::new(FREE) }; SLOTS],
            next: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
        }
    }

    /// One begins.
    pub fn begin(&self, now: MonotonicTime) -> WriteUnderWay<'_> {
        let first = self.next.load(Ordering::Relaxed);
        let slots = (0..SLOTS).map(|at| (first + at) % SLOTS);
        let since = now.as_millis() + 1;
        let takes =
            |at: &usize| self.slots[*at].compare_exchange(FREE, since, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let slot = slots.into_iter().find(takes);
        if let Some(slot) = slot
            && slot != first
        {
            // Whoever holds the first one may hold it for long.
            self.next.store(slot, Ordering::Relaxed);
        }
        WriteUnderWay { writes: self, slot }
    }

    /// When the oldest under way began.
    pub fn oldest(&self) -> Option<MonotonicTime> {
        let begun = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|since| *since != FREE);
        begun.min().map(|since| MonotonicTime::from_millis(since - 1))
    }

    /// Whether one has been found to be under way for too long.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Whether it is, by who has looked.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }
}

impl Drop for WriteUnderWay<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.writes.slots[slot].store(FREE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_write_is_known_until_it_is_over() {
        let writes = DiskWrites::new();
        assert_eq!(writes.oldest(), None);
        let first = writes.begin(MonotonicTime::from_millis(0));
        let second = writes.begin(MonotonicTime::from_millis(5));
        assert_eq!(writes.oldest(), Some(MonotonicTime::from_millis(0)));
        drop(first);
        assert_eq!(writes.oldest(), Some(MonotonicTime::from_millis(5)));
        drop(second);
        assert_eq!(writes.oldest(), None);
    }

    #[test]
    fn there_may_be_more_writes_than_are_watched() {
        let writes = DiskWrites::new();
        let many: Vec<WriteUnderWay<'_>> =
            (0..2 * SLOTS as u64).map(|ms| writes.begin(MonotonicTime::from_millis(ms))).collect();
        assert_eq!(writes.oldest(), Some(MonotonicTime::from_millis(0)));
        drop(many);
        assert_eq!(writes.oldest(), None);
    }
}
