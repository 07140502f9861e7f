use std::fmt;
use std::hash::Hasher;

use super::time::SimTime;

/// What happened, as a number that no other course of events has, and as text where somebody wants to read it.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    hash: Fnv,
    events: u64,
    shows: bool,
}

/// FNV-1a: the same on every machine and in every release, which the standard library's does not promise.
#[derive(Debug, Clone)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Trace {
    /// A trace that prints each line if `shows`.
    pub fn new(shows: bool) -> Trace {
        Trace { hash: Fnv(0xcbf2_9ce4_8422_2325), events: 0, shows }
    }

    /// Notes that something happened at a moment: `what` names it, `details` makes it one of its kind.
    pub fn note(&mut self, now: SimTime, what: &str, details: &[i64]) {
        self.events += 1;
        self.hash.write_u64(now.0);
        self.hash.write(what.as_bytes());
        for detail in details {
            self.hash.write_i64(*detail);
        }
    }

    /// Takes bytes into the number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.hash.write(bytes);
    }

    /// Prints a line for people. Not part of the number.
    pub fn say(&self, now: SimTime, line: impl FnOnce() -> String) {
        if self.shows {
            println!("{:>12.6} {}", now.0 as f64 / 1e6, line());
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub fn events(&self) -> u64 {
        self.events
    }
}

impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
