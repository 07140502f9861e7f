use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// `max.connection.creation.rate`: connections accepted in a second, over all listeners. Up to a second's worth may come
/// at once.
pub(crate) struct CreationRate {
    per_second: u32,
    /// When the next connection is due that follows those accepted already.
    next: Mutex<Instant>,
}

impl CreationRate {
    pub(crate) fn new(per_second: u32) -> CreationRate {
        CreationRate { per_second, next: Mutex::new(Instant::now()) }
    }

    /// Waits until one more may be accepted, and counts it. With a rate of 0 nobody is.
    pub(crate) async fn turn(&self) {
        if self.per_second == 0 {
            std::future::pending::<()>().await;
        }
        let due = self.book(Instant::now());
        tokio::time::sleep_until(due).await;
    }

    fn book(&self, now: Instant) -> Instant {
        let apart = Duration::from_secs(1) / self.per_second;
        let mut next = self.next.lock();
        // What was not used in the last second is used now.
        let earliest = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let due = (*next).max(earliest);
        *next = due + apart;
        due.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_they_come_apart() {
        let start = Instant::now() + Duration::from_secs(10);
        let rate = CreationRate { per_second: 10, next: Mutex::new(start - Duration::from_secs(10)) };
        let due: Vec<u128> = (0..14).map(|_| (rate.book(start) - start).as_millis()).collect();
        assert_eq!(due[..11], [0; 11]);
        assert_eq!(due[11..], [100, 200, 300]);
        // After a pause the allowance is a second's again, not more.
        let later = start + Duration::from_secs(60);
        let due: Vec<u128> = (0..12).map(|_| (rate.book(later) - later).as_millis()).collect();
        assert_eq!((due[10], due[11]), (0, 100));
    }
}
