use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftsman_client::{Acked, History, Outcome};

use super::recovery::Recovery;
use super::report::grouped;

/// What the producer, the consumer and the story know at this moment.
#[derive(Debug)]
pub struct Progress {
    /// When the producer began.
    pub started: Instant,
    /// What is being waited for, in a few words.
    pub phase: String,
    /// What was handed to the producer and what became of it.
    pub history: History,
    /// Records that the producer gave up.
    pub given_up: usize,
    /// Why, for the first of them.
    pub first_failure: Option<String>,
    /// Records that the consumer got.
    pub read: usize,
    /// What ended the consumer, if anything.
    pub reader_failure: Option<String>,
    /// The kill that is being watched.
    pub recovery: Option<Recovery>,
}

/// The progress that all tasks of a demo share. Never locked across an await.
#[derive(Debug, Clone)]
pub struct SharedProgress {
    inner: Arc<Mutex<Progress>>,
}

impl SharedProgress {
    /// Nothing done yet.
    pub fn new(started: Instant) -> SharedProgress {
        let progress = Progress {
            started,
            phase: String::new(),
            history: History::default(),
            given_up: 0,
            first_failure: None,
            read: 0,
            reader_failure: None,
            recovery: None,
        };
        SharedProgress { inner: Arc::new(Mutex::new(progress)) }
    }

    /// The progress, to look at or change. A task that panicked with it left nothing half done worth minding.
    pub fn lock(&self) -> MutexGuard<'_, Progress> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// A record was acknowledged that was sent at `sent`.
    pub fn ack(&mut self, name: &str, acked: Acked, sent: Instant, now: Instant) {
        self.history.settle(name, Outcome::Acked(acked.offset));
        if let Some(recovery) = &mut self.recovery {
            recovery.acked(acked.partition, sent, now);
        }
    }

    /// Records sent whose fate is not known yet.
    pub fn outstanding(&self) -> usize {
        self.history.sent() - self.history.len() - self.given_up
    }

    /// One line for a person who watches.
    pub fn line(&self, now: Instant) -> String {
        let seconds = now.saturating_duration_since(self.started).max(Duration::ZERO).as_secs_f64();
        let (sent, acked, read) = (grouped(self.history.sent()), grouped(self.history.len()), grouped(self.read));
        let mut line = format!("{seconds:>6.1} s  sent {sent}  acked {acked}  read {read}");
        if let Some(recovery) = &self.recovery {
            let (waiting, affected) = (recovery.waiting().len(), recovery.affected());
            line += &format!("  acking again: {} of {affected} partitions", affected - waiting);
        }
        if !self.phase.is_empty() {
            line += "  ";
            line += &self.phase;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_everything_is() {
        let start = Instant::now();
        let shared = SharedProgress::new(start);
        let mut progress = shared.lock();
        progress.read = 1;
        for number in 0..1_500 {
            progress.history.send(0, number.to_string());
        }
        let acked = Acked { partition: 0, offset: None };
        progress.ack("0", acked, start, start);
        let now = start + Duration::from_millis(12_340);
        assert_eq!(progress.line(now), "  12.3 s  sent 1,500  acked 1  read 1");
        assert_eq!(progress.outstanding(), 1_499);

        progress.recovery = Some(Recovery::new(start, &[0, 1, 2]));
        progress.ack("1", acked, start, start);
        progress.phase = "node 2 is dead".to_owned();
        let expected = "  12.3 s  sent 1,500  acked 2  read 1  acking again: 1 of 3 partitions  node 2 is dead";
        assert_eq!(progress.line(now), expected);
    }
}
