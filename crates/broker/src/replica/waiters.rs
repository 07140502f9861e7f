use std::collections::VecDeque;
use std::sync::Arc;

use raftsman_types::Offset;
use tokio::sync::{Notify, oneshot};

use super::AppendError;

/// What a request that waits for a commit is told.
pub(super) type CommitOutcome = Result<(), AppendError>;

/// Requests that wait until the high watermark passes an offset. Each is answered exactly once.
///
/// Bounded by the requests under way: a request that stops waiting drops its receiver and is swept out.
#[derive(Default)]
pub(super) struct CommitWaiters {
    waiting: VecDeque<(Offset, oneshot::Sender<CommitOutcome>)>,
    sweep_at: usize,
}

impl CommitWaiters {
    /// A place in line for the commit of `last_offset`.
    pub fn wait(&mut self, last_offset: Offset) -> oneshot::Receiver<CommitOutcome> {
        if self.waiting.len() >= self.sweep_at.max(64) {
            self.waiting.retain(|(_, waiter)| !waiter.is_closed());
            self.sweep_at = self.waiting.len() * 2;
        }
        let (sender, receiver) = oneshot::channel();
        // Offsets mostly rise; a repeated batch waits for an old one.
        let position = self.waiting.iter().rposition(|(offset, _)| *offset <= last_offset).map_or(0, |i| i + 1);
        self.waiting.insert(position, (last_offset, sender));
        receiver
    }

    /// Everything below `high_watermark` is committed.
    pub fn committed(&mut self, high_watermark: Offset) {
        while let Some((offset, _)) = self.waiting.front()
            && *offset < high_watermark
        {
            if let Some((_, waiter)) = self.waiting.pop_front() {
                // Nobody listens any more if the request's deadline has passed.
                let _ = waiter.send(Ok(()));
            }
        }
    }

    /// Nobody will be told of a commit here any more.
    pub fn fail(&mut self, error: &AppendError) {
        for (_, waiter) in self.waiting.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
    }
}

/// Fetches that wait for a partition's next commit. A waiter stays until its owner goes.
#[derive(Default)]
pub(super) struct ReadWaiters {
    waiting: Vec<(u64, Arc<Notify>)>,
}

impl ReadWaiters {
    pub fn add(&mut self, id: u64, signal: &Arc<Notify>) {
        self.waiting.push((id, Arc::clone(signal)));
    }

    pub fn remove(&mut self, id: u64) {
        self.waiting.retain(|(waiter, _)| *waiter != id);
    }

    /// More can be read, or the partition's leader is another one: look again.
    pub fn wake(&self) {
        for (_, signal) in &self.waiting {
            // Keeps a permit for a waiter that is just reading and will wait right after.
            signal.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_answers_exactly_those_below_it() {
        let mut waiters = CommitWaiters::default();
        let mut at_9 = waiters.wait(9);
        let mut at_4 = waiters.wait(4);
        let mut at_5 = waiters.wait(5);
        waiters.committed(5);
        assert_eq!(at_4.try_recv().unwrap(), Ok(()));
        assert!(at_5.try_recv().is_err(), "offset 5 is committed when the watermark is past it");
        waiters.committed(6);
        assert_eq!(at_5.try_recv().unwrap(), Ok(()));
        waiters.fail(&AppendError::NotLeaderOrFollower);
        assert_eq!(at_9.try_recv().unwrap(), Err(AppendError::NotLeaderOrFollower));
    }

    #[test]
    fn requests_that_gave_up_are_swept_out() {
        let mut waiters = CommitWaiters::default();
        for offset in 0..10_000 {
            drop(waiters.wait(offset));
        }
        assert!(waiters.waiting.len() < 200, "{}", waiters.waiting.len());
    }
}
