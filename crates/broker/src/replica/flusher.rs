//! Group commit: one thread for each log directory flushes what is dirty, all of it together, again and again.

use std::fs::File;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use raftsman_log::FlushTicket;

use super::core::Core;
use super::directory::Directory;
use super::partition::Partition;

/// Up to so many dirty logs are synced file by file; above, one `syncfs` is faster (500 files: 4 ms instead of 400).
const SINGLE_SYNCS_MAX: usize = 8;

/// Partitions of a directory whose logs have something to flush.
#[derive(Default)]
pub(super) struct FlushQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    dirty: Vec<Arc<Partition>>,
    sleeping: bool,
    stop: bool,
}

impl FlushQueue {
    pub fn push(&self, partition: Arc<Partition>) {
        let mut state = self.state.lock();
        state.dirty.push(partition);
        let wake = state.sleeping;
        state.sleeping = false;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Ends the thread after what is queued now.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_one();
    }

    fn next(&self) -> Option<Vec<Arc<Partition>>> {
        let mut state = self.state.lock();
        loop {
            if !state.dirty.is_empty() {
                return Some(std::mem::take(&mut state.dirty));
            }
            if state.stop {
                return None;
            }
            state.sleeping = true;
            self.wake.wait(&mut state);
        }
    }
}

/// Flushes until the queue is stopped.
pub(super) fn drive(core: &Core, directory: &Arc<Directory>) {
    let mut handle = None;
    while let Some(dirty) = directory.flushes.next() {
        if directory.is_offline() {
            continue;
        }
        let tickets: Vec<(Arc<Partition>, FlushTicket)> = dirty
            .into_iter()
            .filter_map(|partition| partition.begin_flush().map(|ticket| (partition, ticket)))
            .collect();
        if let Err(error) = flush(directory, &mut handle, tickets) {
            directory.fail(core, &format_args!("a flush failed: {error}"));
        }
    }
}

fn flush(
    directory: &Directory,
    handle: &mut Option<File>,
    tickets: Vec<(Arc<Partition>, FlushTicket)>,
) -> io::Result<()> {
    if tickets.len() > SINGLE_SYNCS_MAX {
        if handle.is_none() {
            *handle = directory.handle();
        }
        if let Some(file) = handle {
            rustix::fs::syncfs(&*file)?;
            for (partition, ticket) in tickets {
                partition.flushed(ticket);
            }
            return Ok(());
        }
    }
    for (partition, ticket) in tickets {
        ticket.sync()?;
        partition.flushed(ticket);
    }
    Ok(())
}
