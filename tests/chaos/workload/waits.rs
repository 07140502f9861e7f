use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::waiting::until;

/// How long each thing took that clients asked for, by lane (a partition, or a client). Clones share it.
#[derive(Debug, Clone)]
pub struct Waits {
    lanes: usize,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The latest beginning of something that has ended well, by lane.
    latest: BTreeMap<usize, Instant>,
    /// Everything that ended well: its lane, its beginning and its end.
    ended: Vec<(usize, Instant, Instant)>,
}

impl Waits {
    /// Of so many lanes, numbered from 0.
    pub fn of(lanes: usize) -> Waits {
        Waits { lanes, inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something ended well just now.
    pub fn done(&self, lane: usize, begun: Instant) {
        self.done_at(lane, begun, Instant::now());
    }

    /// Something ended well.
    pub fn done_at(&self, lane: usize, begun: Instant, ended: Instant) {
        let mut inner = self.lock();
        let latest = inner.latest.entry(lane).or_insert(begun);
        *latest = begun.max(*latest);
        inner.ended.push((lane, begun, ended));
    }

    /// The longest that anything took which was not over at `since`.
    pub fn longest_since(&self, since: Instant) -> Duration {
        let all: Vec<usize> = (0..self.lanes).collect();
        self.longest_in(&all, since)
    }

    /// The longest in each lane, in milliseconds.
    pub fn by_lane_since(&self, since: Instant) -> Vec<u128> {
        (0..self.lanes).map(|lane| self.longest_in(&[lane], since).as_millis()).collect()
    }

    /// The longest that anything in these lanes took which was not over at `since`.
    pub fn longest_in(&self, lanes: &[usize], since: Instant) -> Duration {
        let inner = self.lock();
        let late = inner.ended.iter().filter(|(lane, _, ended)| *ended > since && lanes.contains(lane));
        late.map(|(_, begun, ended)| *ended - *begun).max().unwrap_or_default()
    }

    /// Waits until something that was begun after this call has ended well in every lane.
    ///
    /// # Errors
    /// A lane stands still for `at_most`.
    pub fn wait_for_every_lane(&self, at_most: Duration) -> Result<(), String> {
        let now = Instant::now();
        let is_past = |lane: usize| self.lock().latest.get(&lane).is_some_and(|latest| *latest > now);
        until("every client to go on", at_most, || (0..self.lanes).all(is_past)).map_err(|error| {
            let behind: Vec<usize> = (0..self.lanes).filter(|lane| !is_past(*lane)).collect();
            format!("{error}; {behind:?} of {} stand still", self.lanes)
        })
    }
}
