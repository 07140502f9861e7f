//! Group commit: one thread for each log directory flushes what is dirty, all of it together, again and again.

use std::sync::Arc;

use raftsman_log::FlushTicket;

use super::core::Core;
use super::directory::Directory;
use super::partition::Partition;

/// One group commit: what a directory's dirty logs had written when it began.
pub(super) struct FlushRound {
    core: Arc<Core>,
    directory: Arc<Directory>,
    tickets: Vec<(Arc<Partition>, FlushTicket)>,
}

impl FlushRound {
    /// Takes in what these logs have written until now.
    pub fn begin(core: &Arc<Core>, directory: &Arc<Directory>, dirty: Vec<Arc<Partition>>) -> FlushRound {
        let begin = |partition: Arc<Partition>| partition.begin_flush().map(|ticket| (partition, ticket));
        let tickets = dirty.into_iter().filter_map(begin).collect();
        directory.disk.began(core.now());
        FlushRound { core: Arc::clone(core), directory: Arc::clone(directory), tickets }
    }

    /// Syncs it and tells each log once it is done.
    pub fn complete(self) {
        let disk = &self.directory.disk;
        let all: Vec<&FlushTicket> = self.tickets.iter().map(|(_, ticket)| ticket).collect();
        self.directory.files.begin_syncs(&all);
        disk.got_on(self.core.now());
        for (partition, ticket) in self.tickets {
            note(ticket.sync());
            disk.got_on(self.core.now());
            partition.flushed(ticket);
        }
        disk.ended(self.core.now());
    }
}

/// Flushes until the queue is stopped.
pub(super) fn drive(core: &Arc<Core>, directory: &Arc<Directory>) {
    while let Some(dirty) = directory.flushes.next(|| core.now()) {
        for together in dirty.chunks(directory.flushed_together_max()) {
            if !directory.is_offline() {
                FlushRound::begin(core, directory, together.to_vec()).complete();
            }
        }
    }
}

/// Each ticket keeps its outcome, and the log it goes back to judges it: a file may be missing because the log was cut
/// or deleted meanwhile.
pub(super) fn note(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!("a sync did not succeed: {error}");
    }
}
