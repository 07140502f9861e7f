//! Compacts the logs of topics that ask for it: threads of their own, which take the log whose turn it is.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use raftsman_log::{CompactionError, CompactionLimits, Pace, Stopped};

use super::cleaner_turns::{CleanerTurns, Turn};
use super::manager::Inner;
use super::partition::{CompactionRun, Partition};
use crate::config::CleanerConfig;

/// The longest a thread waits without looking whether it is to end.
const THROTTLE_WAIT_MAX: Duration = Duration::from_millis(500);
/// What is throttled is measured over so long.
const THROTTLE_WINDOW: Duration = Duration::from_secs(1);
/// A scan or a copy needs some room, however small `log.cleaner.io.buffer.size` is.
const IO_BUFFER_BYTES_MIN: usize = 4 << 10;

/// What the cleaner's threads share.
pub(super) struct Cleaner {
    config: CleanerConfig,
    limits: CompactionLimits,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    turns: CleanerTurns,
    window_began: Instant,
    moved_bytes: u64,
    stop: bool,
}

impl Cleaner {
    pub fn new(config: CleanerConfig, hash_key: [u8; 16]) -> Cleaner {
        let threads = config.threads.max(1);
        Cleaner {
            limits: CompactionLimits {
                dedupe_buffer_bytes: config.dedupe_buffer_bytes / threads,
                load_factor: config.load_factor,
                io_buffer_bytes: (config.io_buffer_bytes / threads).max(IO_BUFFER_BYTES_MIN),
                hash_key,
            },
            config,
            state: Mutex::new(State {
                turns: CleanerTurns::default(),
                window_began: Instant::now(),
                moved_bytes: 0,
                stop: false,
            }),
            wake: Condvar::new(),
        }
    }

    /// How many threads there should be.
    pub fn threads(&self) -> usize {
        if self.config.enabled { self.config.threads } else { 0 }
    }

    /// Ends the threads, and what they are at.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    /// Cleans the log whose turn it is. False if there is none, or time has to pass.
    fn clean_one(&self, inner: &Inner) -> bool {
        let Some(mut run) = self.choose(inner) else { return false };
        let outcome = loop {
            match run.step(self) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.ended(&run, &outcome)
    }

    /// A compaction that [`choose`](Cleaner::choose) gave is over. Says whether another may be chosen at once.
    pub fn ended(&self, run: &CompactionRun, outcome: &Result<(), CompactionError>) -> bool {
        self.state.lock().turns.end(run.partition().at, outcome)
    }

    /// A compaction of the log whose turn it is, and that nobody else compacts.
    pub fn choose(&self, inner: &Inner) -> Option<CompactionRun> {
        let mut first: Option<(Turn, Arc<Partition>)> = None;
        for partition in inner.replicas() {
            if self.state.lock().turns.is_passed_over(partition.at) {
                continue;
            }
            let Some(dirty_ratio) = partition.compaction_due() else { continue };
            let turn = self.state.lock().turns.turn(partition.at, dirty_ratio);
            if first.as_ref().is_none_or(|(other, _)| turn.is_before(*other)) {
                first = Some((turn, partition));
            }
        }
        let (_, partition) = first?;
        // Another thread may have chosen it, too; it is busy then.
        let is_free = self.state.lock().turns.begin(partition.at);
        is_free.then(|| CompactionRun::new(partition, self.limits))
    }

    /// Waits until it is time to look again; false if the thread is to end.
    fn rest(&self) -> bool {
        let mut state = self.state.lock();
        if !state.stop {
            self.wake.wait_for(&mut state, self.config.backoff);
        }
        !state.stop
    }
}

impl Pace for Cleaner {
    fn moved(&self, bytes: u64) -> Result<(), Stopped> {
        let mut state = self.state.lock();
        state.moved_bytes += bytes;
        loop {
            if state.stop {
                return Err(Stopped);
            }
            let elapsed = state.window_began.elapsed();
            let due = state.moved_bytes as f64 / self.config.io_max_bytes_per_second.max(1.0);
            if due <= elapsed.as_secs_f64() {
                if elapsed >= THROTTLE_WINDOW {
                    state.window_began = Instant::now();
                    state.moved_bytes = 0;
                }
                return Ok(());
            }
            let wait = Duration::from_secs_f64((due - elapsed.as_secs_f64()).min(THROTTLE_WAIT_MAX.as_secs_f64()));
            self.wake.wait_for(&mut state, wait);
        }
    }
}

/// Cleans until the cleaner is stopped or the replicas are gone.
pub(super) fn drive(cleaner: &Cleaner, inner: &Weak<Inner>) {
    loop {
        let Some(replicas) = inner.upgrade() else { return };
        let cleaned = cleaner.clean_one(&replicas);
        drop(replicas);
        if cleaned {
            if cleaner.state.lock().stop {
                return;
            }
        } else if !cleaner.rest() {
            return;
        }
    }
}
