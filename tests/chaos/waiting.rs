//! Waiting that fails with a message instead of a panic: a campaign goes on after a run that failed.

use std::time::{Duration, Instant};

/// Waits until `condition` holds.
///
/// # Errors
/// It does not hold within `at_most`.
pub fn until(what: &str, at_most: Duration, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    until_some(what, at_most, || condition().then_some(()))
}

/// Waits until `look` finds something.
///
/// # Errors
/// Nothing is found within `at_most`.
pub fn until_some<T>(what: &str, at_most: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if start.elapsed() > at_most {
            return Err(format!("waited {at_most:?} in vain for {what}"));
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Lets a fault last: the length is part of the fault, not a guess at how long something takes.
pub fn last(duration: Duration) {
    let end = Instant::now() + duration;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
