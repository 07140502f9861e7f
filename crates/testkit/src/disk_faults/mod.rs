//! Disks that are slow, stall and fail, for one node each, without root.
//!
//! The node's system calls that write and flush files are stopped by a seccomp filter which asks this process what shall
//! become of them (Linux 5.5). That catches every way to the disk, with or without libc, in a release binary as
//! well; a preloaded library misses calls made without libc, and FUSE is not told of `syncfs` and needs root.

mod filter;
mod rules;
mod supervisor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::ProcessNode;
use filter::Filter;
pub use rules::{DiskCall, DiskFault, DiskPlace};

/// What is wrong with one node's disk; nothing at first. Clones speak of the same disk.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Vec<DiskFault>>,
    /// How many calls were held back or failed.
    hits: AtomicU64,
}

impl FaultyDisk {
    /// A sound disk, which a node uses from its next start on.
    pub(crate) fn under(node: &mut ProcessNode) -> FaultyDisk {
        let disk = FaultyDisk::default();
        node.use_disk(&disk);
        disk
    }

    /// From now on this fault holds as well, for calls that wait already too.
    pub fn break_down(&self, fault: DiskFault) {
        self.shared.faults.lock().push(fault);
    }

    /// The disk is sound again: calls that wait go on. What failed stays failed.
    pub fn repair(&self) {
        self.shared.faults.lock().clear();
    }

    /// How many calls a fault has met.
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Relaxed)
    }

    /// Puts the filter into a process about to be started; [`Installing::supervise`] once it is.
    pub(crate) fn install(&self, command: &mut std::process::Command) -> Installing {
        Installing { filter: Filter::install(command), shared: Arc::clone(&self.shared) }
    }
}

/// A filter on its way into a process.
pub(crate) struct Installing {
    filter: Filter,
    shared: Arc<Shared>,
}

impl Installing {
    /// Answers the process's calls from a thread of its own, until the process is gone.
    ///
    /// # Panics
    /// When the filter did not take hold.
    pub(crate) fn supervise(self) {
        let listener = self.filter.listener();
        let shared = self.shared;
        let thread = std::thread::Builder::new().name("faulty-disk".to_owned());
        thread.spawn(move || supervisor::run(&listener, &shared)).expect("a thread can be started");
    }
}
