use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The bytes that requests being received and answered may hold together, over all connections.
///
/// Who finds it spent stops reading until something is freed. One charge at a time may overdraw it: else many
/// connections, each with half a frame, could wait for each other forever.
pub struct ByteBudget {
    limit: usize,
    used: AtomicUsize,
    overdrawn: AtomicBool,
    freed: Arc<Notify>,
}

impl ByteBudget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Arc<ByteBudget> {
        Arc::new(ByteBudget {
            limit,
            used: AtomicUsize::new(0),
            overdrawn: AtomicBool::new(false),
            freed: Arc::default(),
        })
    }

    /// Whether there is no room left: charges wait, or the one that may overdraws.
    pub(crate) fn is_spent(&self) -> bool {
        self.overdrawn.load(Ordering::Relaxed) || self.used() >= self.limit
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A charge of nothing yet.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: self.clone(), bytes: 0, overdraws: false }
    }

    /// Woken whenever something is freed.
    pub(crate) fn freed(&self) -> &Arc<Notify> {
        &self.freed
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits).is_ok()
    }
}

/// A part of the budget, given back when dropped.
pub(crate) struct Charge {
    budget: Arc<ByteBudget>,
    bytes: usize,
    overdraws: bool,
}

impl Charge {
    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the charge `bytes` large; `false` (and nothing changed) if the budget has no room.
    pub(crate) fn try_resize(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            self.resize(bytes);
            return true;
        }
        let more = bytes - self.bytes;
        if !self.budget.take(more) {
            if !self.overdraws && self.budget.overdrawn.swap(true, Ordering::AcqRel) {
                return false;
            }
            self.overdraws = true;
            self.budget.used.fetch_add(more, Ordering::AcqRel);
        }
        self.bytes = bytes;
        true
    }

    /// Makes the charge `bytes` large whether there is room or not: for bytes that already exist.
    pub(crate) fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
            self.budget.freed.notify_waiters();
        }
        self.bytes = bytes;
    }

    /// Takes `bytes` of this charge into one of their own; what is lacking is charged anew.
    pub(crate) fn split(&mut self, bytes: usize) -> Charge {
        let moved = bytes.min(self.bytes);
        self.bytes -= moved;
        let mut part = Charge { budget: self.budget.clone(), bytes: moved, overdraws: false };
        part.resize(bytes);
        self.end_overdraft();
        part
    }

    fn end_overdraft(&mut self) {
        if std::mem::take(&mut self.overdraws) {
            self.budget.overdrawn.store(false, Ordering::Release);
            self.budget.freed.notify_waiters();
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.resize(0);
        self.end_overdraft();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_charge_at_a_time_may_overdraw() {
        let budget = ByteBudget::new(100);
        let (mut a, mut b, mut c) = (budget.charge(), budget.charge(), budget.charge());
        assert!(a.try_resize(90));
        assert!(b.try_resize(50), "the first over the limit goes on");
        assert!(!c.try_resize(20), "the second waits");
        assert!(b.try_resize(80), "who overdraws may finish");
        let frame = b.split(80);
        assert_eq!(budget.used(), 170);
        assert!(c.try_resize(20), "a complete frame overdraws no more");
        drop((a, b, c, frame));
        assert_eq!(budget.used(), 0);
        assert!(!budget.overdrawn.load(Ordering::Acquire));
    }

    #[test]
    fn splitting_more_than_was_charged_charges_the_rest() {
        let budget = ByteBudget::new(100);
        let mut buffer = budget.charge();
        assert!(buffer.try_resize(10));
        let frame = buffer.split(30);
        assert_eq!((buffer.bytes(), frame.bytes(), budget.used()), (0, 30, 30));
    }
}
