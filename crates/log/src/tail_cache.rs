use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use raftsman_types::Offset;

/// What all logs of a broker may hold together: in their tail caches, or of appends that wait to be written.
#[derive(Debug)]
pub struct CacheBudget {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl CacheBudget {
    /// A budget of so many bytes.
    pub fn new(limit_bytes: usize) -> CacheBudget {
        CacheBudget { limit_bytes, used_bytes: AtomicUsize::new(0) }
    }

    /// Bytes charged now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn try_charge(&self, bytes: usize) -> bool {
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes)
            })
            .is_ok()
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The newest appends of one log, as stored: an unbroken run that ends at the log's end, or nothing.
#[derive(Debug, Default)]
pub(crate) struct TailCache {
    appends: VecDeque<CachedAppend>,
    bytes: usize,
    budget: Option<Arc<CacheBudget>>,
}

#[derive(Debug)]
struct CachedAppend {
    base_offset: Offset,
    next_offset: Offset,
    bytes: Bytes,
}

impl TailCache {
    pub(crate) fn set_budget(&mut self, budget: Arc<CacheBudget>) {
        self.clear();
        self.budget = Some(budget);
    }

    /// Takes in what was just appended. If there is no room even without the older appends, the cache
    /// is left empty: a gap would be a lie.
    pub(crate) fn push(&mut self, base_offset: Offset, next_offset: Offset, bytes: Bytes, limit_bytes: usize) {
        if self.appends.back().is_some_and(|last| last.next_offset > base_offset) {
            self.clear();
        }
        while !self.appends.is_empty() && self.bytes + bytes.len() > limit_bytes {
            self.pop_front();
        }
        if bytes.len() > limit_bytes {
            return;
        }
        while !self.charge(bytes.len()) {
            if self.appends.is_empty() {
                return;
            }
            self.pop_front();
        }
        self.bytes += bytes.len();
        self.appends.push_back(CachedAppend { base_offset, next_offset, bytes });
    }

    /// The appends that hold `from` and what follows, if `from` is cached.
    pub(crate) fn appends_from(&self, from: Offset) -> Option<impl Iterator<Item = (Offset, Offset, &Bytes)>> {
        if self.appends.front()?.base_offset > from || self.appends.back()?.next_offset <= from {
            return None;
        }
        let first = self.appends.partition_point(|append| append.next_offset <= from);
        Some(self.appends.range(first..).map(|append| (append.base_offset, append.next_offset, &append.bytes)))
    }

    /// Forgets what ends past `end_offset`, which is the log's end now; everything, if an append of
    /// several batches was cut apart.
    pub(crate) fn truncate(&mut self, end_offset: Offset) {
        while self.appends.back().is_some_and(|last| last.next_offset > end_offset) {
            if let Some(last) = self.appends.pop_back() {
                self.release(last.bytes.len());
            }
        }
        if self.appends.back().is_some_and(|last| last.next_offset < end_offset) {
            self.clear();
        }
    }

    /// Forgets everything if it has anything below `offset`.
    pub(crate) fn forget_below(&mut self, offset: Offset) {
        if self.appends.front().is_some_and(|first| first.base_offset < offset) {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.release(self.bytes);
        self.appends = VecDeque::new();
    }

    fn pop_front(&mut self) {
        if let Some(first) = self.appends.pop_front() {
            self.release(first.bytes.len());
        }
    }

    fn charge(&self, bytes: usize) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.try_charge(bytes))
    }

    fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(budget) = &self.budget {
            budget.release(bytes);
        }
    }
}

impl Drop for TailCache {
    fn drop(&mut self) {
        self.clear();
    }
}
