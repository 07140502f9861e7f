//! Whether a leader may believe that it still leads.

use std::time::Duration;

use raftsman_types::MonotonicTime;

/// When this broker last heard of the controller.
///
/// A leader cut off from the controller may have been replaced without knowing. Its writes cannot be committed, but it
/// would go on taking them and serving old reads; so after one session it stops (stronger than Kafka, which lets its
/// clients hang on such a leader).
#[derive(Debug, Clone, Copy)]
pub struct ControllerContact {
    last: MonotonicTime,
    session_timeout: Duration,
}

impl ControllerContact {
    /// A contact made now.
    pub fn new(now: MonotonicTime, session_timeout: Duration) -> ControllerContact {
        ControllerContact { last: now, session_timeout }
    }

    /// The controller answered a heartbeat that was *sent* at `sent`: the session runs from there, not from the answer.
    pub fn heard(&mut self, sent: MonotonicTime) {
        self.last = self.last.max(sent);
    }

    /// Until when a leader may serve if nothing more is heard, inclusive.
    pub fn ends(&self) -> MonotonicTime {
        self.last + self.session_timeout
    }

    /// Whether a leader may serve.
    pub fn is_live(&self, now: MonotonicTime) -> bool {
        now.since(self.last) <= self.session_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_serves_for_one_session_after_the_last_heartbeat_it_sent() {
        let mut contact = ControllerContact::new(MonotonicTime::from_millis(100), Duration::from_millis(1000));
        assert_eq!(contact.ends(), MonotonicTime::from_millis(1100));
        assert!(contact.is_live(MonotonicTime::from_millis(1100)));
        assert!(!contact.is_live(MonotonicTime::from_millis(1101)));
        contact.heard(MonotonicTime::from_millis(900));
        contact.heard(MonotonicTime::from_millis(300)); // an old answer takes nothing back
        assert!(contact.is_live(MonotonicTime::from_millis(1900)));
        assert!(!contact.is_live(MonotonicTime::from_millis(1901)));
    }
}
