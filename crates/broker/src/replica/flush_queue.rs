use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use raftsman_types::MonotonicTime;

/// From the beginning of one group commit to that of the next where no ack waits for it. Consumers do, for the high watermark:
/// a record that comes alone is flushed at once. Without the pause a stream of single records has every few of them flushed.
const UNHURRIED_PACE: Duration = Duration::from_millis(2);

/// How soon something is to be flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlushUrgency {
    /// At once: an ack may wait for it.
    Hurried,
    /// At once too, but not within 2 ms of the beginning of the last group commit.
    Unhurried,
}

/// What has something to flush in a directory: its partitions. One thread takes it, again and again.
pub(super) struct FlushQueue<T> {
    state: Mutex<State<T>>,
    /// Whether anything that is queued is hurried. Changed only with the state locked; apart from it so that who is queued
    /// already need not lock to know.
    hurried: AtomicBool,
    wake: Condvar,
}

struct State<T> {
    dirty: Vec<T>,
    /// The thread waits for something to flush.
    sleeping: bool,
    /// It waits until what there is to flush is due.
    pausing: bool,
    stop: bool,
    /// When the last group commit began.
    last_began: Option<MonotonicTime>,
}

impl<T> Default for FlushQueue<T> {
    fn default() -> FlushQueue<T> {
        let state = State { dirty: Vec::new(), sleeping: false, pausing: false, stop: false, last_began: None };
        FlushQueue { state: Mutex::new(state), hurried: AtomicBool::new(false), wake: Condvar::new() }
    }
}

impl<T> FlushQueue<T> {
    pub fn push(&self, dirty: T, urgency: FlushUrgency) {
        let mut state = self.state.lock();
        if state.stop {
            return;
        }
        state.dirty.push(dirty);
        self.wake_for(state, urgency);
    }

    /// Something that is queued already is wanted at once. It may have been taken just now: then the next group commit begins
    /// a little early.
    pub fn hurry(&self) {
        if !self.hurried.load(Ordering::Acquire) {
            self.wake_for(self.state.lock(), FlushUrgency::Hurried);
        }
    }

    fn wake_for(&self, mut state: MutexGuard<'_, State<T>>, urgency: FlushUrgency) {
        if urgency == FlushUrgency::Hurried {
            self.hurried.store(true, Ordering::Release);
        }
        // Who pauses wakes by itself for what is not hurried.
        let wake = state.sleeping || (state.pausing && urgency == FlushUrgency::Hurried);
        if wake {
            (state.sleeping, state.pausing) = (false, false);
        }
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Ends the thread after what is queued now.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_one();
    }

    /// Takes what is dirty now.
    pub fn take(&self) -> Vec<T> {
        self.take_from(&mut self.state.lock())
    }

    fn take_from(&self, state: &mut State<T>) -> Vec<T> {
        self.hurried.store(false, Ordering::Release);
        std::mem::take(&mut state.dirty)
    }

    /// Waits until something is due, and takes all there is; `None` once the queue is stopped and empty.
    pub fn next(&self, now: impl Fn() -> MonotonicTime) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        loop {
            if state.dirty.is_empty() {
                if state.stop {
                    return None;
                }
                state.sleeping = true;
                self.wake.wait(&mut state);
                continue;
            }
            let begins = now();
            let pause = match state.last_began {
                Some(last) if !state.stop && !self.hurried.load(Ordering::Acquire) => {
                    UNHURRIED_PACE.saturating_sub(begins.since(last))
                }
                _ => Duration::ZERO,
            };
            if pause.is_zero() {
                state.last_began = Some(begins);
                return Some(self.take_from(&mut state));
            }
            state.pausing = true;
            self.wake.wait_for(&mut state, pause);
            state.pausing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn what_is_not_hurried_waits_for_its_time_or_for_something_that_is() {
        let queue = Arc::new(FlushQueue::default());
        let (taken, due) = mpsc::channel();
        let taking = Arc::clone(&queue);
        // By a clock that stands still nothing's time ever comes.
        std::thread::spawn(move || {
            while let Some(all) = taking.next(|| MonotonicTime::from_millis(1)) {
                taken.send(all).unwrap();
            }
        });
        queue.push(1, FlushUrgency::Unhurried);
        assert_eq!(due.recv().unwrap(), [1], "the first comes after a long rest");
        queue.push(2, FlushUrgency::Unhurried);
        queue.push(3, FlushUrgency::Unhurried);
        queue.push(4, FlushUrgency::Hurried);
        assert_eq!(due.recv().unwrap(), [2, 3, 4], "they go along with what is hurried, and not before");
        queue.push(5, FlushUrgency::Unhurried);
        queue.hurry();
        assert_eq!(due.recv().unwrap(), [5]);
        queue.push(6, FlushUrgency::Unhurried);
        queue.stop();
        assert_eq!(due.recv().unwrap(), [6], "a stop does not wait either");
        assert!(due.recv().is_err(), "the thread has ended");
    }

    #[test]
    fn what_is_not_hurried_is_taken_when_its_time_has_come() {
        let queue = FlushQueue::default();
        let began = MonotonicTime::from_millis(10);
        queue.push(1, FlushUrgency::Hurried);
        assert_eq!(queue.next(|| began).unwrap(), [1]);
        queue.push(2, FlushUrgency::Unhurried);
        let clock = AtomicBool::new(false);
        let later = || if clock.swap(true, Ordering::Relaxed) { began + UNHURRIED_PACE } else { began };
        assert_eq!(queue.next(later).unwrap(), [2]);
        assert!(clock.load(Ordering::Relaxed), "it was asked again after a pause");
    }
}
