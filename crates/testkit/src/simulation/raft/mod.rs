//! How simulated controllers agree on their log: [`SimRaft`], the narrow interface, and the stand-in behind it.

mod disk;
mod message;
mod stand_in;
mod state;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use raftsman_controller::actor::{ProposalId, ProposalOutcome};
use raftsman_metadata::{MetadataEntry, MetadataImage};
use raftsman_types::MonotonicTime;

pub(super) use stand_in::StandInRaft;

/// One node's part in the agreement on the metadata log.
///
/// It is driven by hand, like everything in the simulation: it is told of messages, of time and of proposals, and what
/// it wants done is taken out of [`outputs`](SimRaft::outputs) after each call. Outputs may rest on what was written but not
/// synced; whoever drives it holds them back, all of them and in order, until [`sync`](SimRaft::sync) has returned.
/// A crash drops it with all outputs that were not let out; what comes after is opened from what the disk kept.
pub(super) trait SimRaft: fmt::Debug {
    /// A message came from a peer. It may be old, or come twice.
    fn receive(&mut self, now: MonotonicTime, from: i32, message: RaftMessage);

    /// Time passed: due at [`next_deadline`](SimRaft::next_deadline).
    fn tick(&mut self, now: MonotonicTime);

    /// When [`tick`](SimRaft::tick) has something to do.
    fn next_deadline(&self) -> MonotonicTime;

    /// Proposes an entry. Exactly one [`RaftOutput::Proposed`] follows, unless the process ends.
    fn propose(&mut self, now: MonotonicTime, proposal: ProposalId, entry: MetadataEntry);

    /// What is to be done, in order, since the last call.
    fn outputs(&mut self) -> Vec<RaftOutput>;

    /// Whether outputs rest on something that is not on the disk yet.
    fn needs_sync(&self) -> bool;

    /// Puts everything written so far on the disk.
    ///
    /// # Errors
    /// The disk's: the node is lost then and has to be started anew.
    fn sync(&mut self) -> std::io::Result<()>;

    /// Where a node stands: for checks and traces only.
    fn standing(&self) -> RaftStanding;
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RaftStanding {
    /// The term it knows.
    pub term: u64,
    /// Whether it leads in that term.
    pub leads: bool,
}

/// What a node wants done.
#[derive(Debug)]
pub(super) enum RaftOutput {
    /// Send a message.
    Send { to: i32, message: RaftMessage },
    /// An entry was applied: the image has this version now. Stale ones are not told.
    Applied { entry: Arc<MetadataEntry>, image: MetadataImage },
    /// The image was replaced by a snapshot's.
    Restored { image: MetadataImage },
    /// What became of a proposal.
    Proposed { proposal: ProposalId, outcome: ProposalOutcome },
    /// The term in which this node leads and a majority hears it; `None` when it no longer does.
    Leads(Option<u64>),
}

/// A message between two nodes of one implementation, which alone looks into it.
#[derive(Clone)]
pub(super) struct RaftMessage {
    body: Arc<dyn Any + Send + Sync>,
    /// What it is, for traces.
    pub label: &'static str,
    /// A number that tells it from others of its kind, for traces.
    pub mark: i64,
}

impl RaftMessage {
    /// Wraps a message.
    pub fn new<M: Any + Send + Sync>(label: &'static str, mark: i64, body: M) -> RaftMessage {
        RaftMessage { body: Arc::new(body), label, mark }
    }

    /// The message, if it is of that type.
    pub fn body<M: Any>(&self) -> Option<&M> {
        self.body.downcast_ref()
    }
}

impl fmt::Debug for RaftMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.label, self.mark)
    }
}
