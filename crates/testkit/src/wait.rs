use std::time::{Duration, Instant};

/// Waits until `condition` holds, looking every few milliseconds.
///
/// # Panics
/// When it does not hold within `at_most`; `what` says in the message what was waited for.
pub fn wait_until(what: &str, at_most: Duration, mut condition: impl FnMut() -> bool) {
    wait_until_some(what, at_most, || condition().then_some(()));
}

/// Waits until `look` finds something, and gives it back.
///
/// # Panics
/// When nothing is found within `at_most`; `what` says in the message what was waited for.
pub fn wait_until_some<T>(what: &str, at_most: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < at_most, "waited {at_most:?} in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
