use std::time::Duration;

use tokio::time::Instant;

use crate::{ClientError, ClientOptions};

/// The pauses between the tries of one call, and when it gives up.
#[derive(Debug)]
pub(crate) struct Retry {
    started: Instant,
    deadline: Instant,
    next: Duration,
    longest: Duration,
}

impl Retry {
    /// Tries for as long as `timeout`.
    pub fn new(options: &ClientOptions, timeout: Duration) -> Retry {
        let started = Instant::now();
        let (next, longest) = (options.retry_backoff, options.retry_backoff_max);
        Retry { started, deadline: started + timeout, next, longest }
    }

    /// When the call gives up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits before the next try, twice as long each time.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] with `why` once the time is up.
    pub async fn pause(&mut self, why: impl FnOnce() -> String) -> Result<(), ClientError> {
        if self.is_over() {
            let ms = self.started.elapsed().as_millis();
            return Err(ClientError::TimedOut { ms, what: why() });
        }
        tokio::time::sleep_until((Instant::now() + self.next).min(self.deadline)).await;
        self.next = (self.next * 2).min(self.longest);
        Ok(())
    }
}
