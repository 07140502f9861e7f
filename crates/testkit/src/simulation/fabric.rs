use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::event::Event;
use super::network::Network;
use super::schedule::Schedule;
use super::time::{Present, SimTime};
use super::trace::Trace;

/// What every part of a simulation shares: the time, the one generator, what is to come, the network.
#[derive(Debug)]
pub(super) struct Fabric {
    pub present: Present,
    pub rng: StdRng,
    pub network: Network,
    pub trace: Trace,
    schedule: Schedule<Event>,
    next_number: u64,
}

impl Fabric {
    pub fn new(seed: u64, trace: Trace) -> Fabric {
        Fabric {
            present: Present::default(),
            rng: StdRng::seed_from_u64(seed),
            network: Network::default(),
            trace,
            schedule: Schedule::default(),
            next_number: 1,
        }
    }

    pub fn now(&self) -> SimTime {
        self.present.now()
    }

    /// A number nobody else has.
    pub fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub fn at(&mut self, at: SimTime, event: Event) {
        self.schedule.at(at, event);
    }

    pub fn after(&mut self, wait: Duration, event: Event) {
        let at = self.now() + wait;
        self.schedule.at(at, event);
    }

    /// The next event; time has come to it.
    pub fn next(&mut self) -> Option<Event> {
        let (at, event) = self.schedule.pop()?;
        self.present.advance(at.max(self.now()));
        Some(event)
    }

    /// A number from `low` on, below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { self.rng.random_range(low..high) }
    }

    /// A duration in milliseconds from `low` on, below `high`, to the microsecond.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low * 1000, high * 1000))
    }

    pub fn one_in(&mut self, chance: u32) -> bool {
        self.rng.random_range(0..chance.max(1)) == 0
    }

    /// One of some things; `None` if there are none.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.rng.random_range(0..from.len())) }
    }

    pub fn random_bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
