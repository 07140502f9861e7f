//! The faults, by name.

use raftsman_testkit::{ClusterOptions, NodeClock, NodeNetwork};

/// Whom a fault befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The leader of partition 0.
    Leader,
    /// A follower of partition 0.
    Follower,
    /// The active controller.
    Controller,
    /// The coordinator of the readers' group.
    Coordinator,
    /// Every node at once.
    All,
}

/// Who stops hearing whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The target and its peers, both ways; its clients still reach it.
    FromPeers,
    /// The target and everybody, both ways.
    FromEverybody,
    /// What the target sends to its peers is lost, not what they send.
    Outgoing,
    /// What the peers send to the target is lost, not what it sends.
    Incoming,
    /// The target and one of its peers, both ways; the third node reaches both.
    OneLink,
    /// Every node from every other: nobody has a majority.
    EachOther,
}

/// What is wrong with a disk for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Every flush takes longer.
    Slow,
    /// Flushes of the partitions' logs do not return.
    StalledFlush,
    /// Flushes of the partitions' logs fail (EIO). The directory stays offline though the disk is well again: what was
    /// written before may be gone for all the node knows. So its operator ends the node and starts it on the mended disk.
    FailingFlush,
    /// Flushes of the controllers' store do not return. A topic is created meanwhile, for a store that has nothing to
    /// write misses nothing.
    StalledStore,
    /// Flushes of the controllers' store fail (EIO), while a topic is created. The node ends by itself, and its operator
    /// starts it on the mended disk.
    FailingStore,
}

/// What is done to a cluster of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a start a little later.
    Kill(Target),
    /// SIGSTOP, and SIGCONT a little later.
    Stop(Target),
    /// Packets are lost for a while.
    Cut(Cut, Target),
    /// All nodes may open 256 files; for a while more connections come than that.
    OpenFiles,
    /// One node's wall clock jumps by so many seconds, and back later.
    Clock(i64, Target),
    /// Each node in turn is told to end, and starts again once it has.
    RollingRestart,
    /// One node's disk misbehaves for a while.
    Disk(Disk, Target),
}

const HOUR: i64 = 3_600;

/// Every fault with its name.
pub const FAULTS: &[(&str, Fault)] = &[
    ("kill-leader", Fault::Kill(Target::Leader)),
    ("kill-follower", Fault::Kill(Target::Follower)),
    ("kill-controller", Fault::Kill(Target::Controller)),
    ("kill-coordinator", Fault::Kill(Target::Coordinator)),
    ("kill-all", Fault::Kill(Target::All)),
    ("stop-leader", Fault::Stop(Target::Leader)),
    ("stop-follower", Fault::Stop(Target::Follower)),
    ("stop-controller", Fault::Stop(Target::Controller)),
    ("stop-coordinator", Fault::Stop(Target::Coordinator)),
    ("stop-all", Fault::Stop(Target::All)),
    ("cut-leader-from-peers", Fault::Cut(Cut::FromPeers, Target::Leader)),
    ("cut-leader", Fault::Cut(Cut::FromEverybody, Target::Leader)),
    ("cut-leader-outgoing", Fault::Cut(Cut::Outgoing, Target::Leader)),
    ("cut-leader-incoming", Fault::Cut(Cut::Incoming, Target::Leader)),
    ("cut-leader-one-link", Fault::Cut(Cut::OneLink, Target::Leader)),
    ("cut-follower-from-peers", Fault::Cut(Cut::FromPeers, Target::Follower)),
    ("cut-controller-from-peers", Fault::Cut(Cut::FromPeers, Target::Controller)),
    ("cut-controller-one-link", Fault::Cut(Cut::OneLink, Target::Controller)),
    ("cut-coordinator-from-peers", Fault::Cut(Cut::FromPeers, Target::Coordinator)),
    ("cut-each-other", Fault::Cut(Cut::EachOther, Target::All)),
    ("open-files-256", Fault::OpenFiles),
    ("clock-leader-ahead", Fault::Clock(HOUR, Target::Leader)),
    ("clock-leader-back", Fault::Clock(-HOUR, Target::Leader)),
    ("clock-controller-ahead", Fault::Clock(HOUR, Target::Controller)),
    ("clock-controller-back", Fault::Clock(-HOUR, Target::Controller)),
    ("rolling-restart", Fault::RollingRestart),
    ("slow-disk", Fault::Disk(Disk::Slow, Target::Leader)),
    ("stalled-flush", Fault::Disk(Disk::StalledFlush, Target::Leader)),
    ("stalled-flush-coordinator", Fault::Disk(Disk::StalledFlush, Target::Coordinator)),
    ("failing-flush", Fault::Disk(Disk::FailingFlush, Target::Leader)),
    ("failing-flush-coordinator", Fault::Disk(Disk::FailingFlush, Target::Coordinator)),
    ("stalled-store", Fault::Disk(Disk::StalledStore, Target::Controller)),
    ("failing-store", Fault::Disk(Disk::FailingStore, Target::Controller)),
];

impl Fault {
    /// The fault of a name.
    pub fn named(name: &str) -> Option<Fault> {
        FAULTS.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|(_, fault)| *fault == self).map_or("unnamed", |(name, _)| name)
    }

    /// The cluster it needs.
    pub fn cluster(self) -> ClusterOptions {
        ClusterOptions {
            has_network: matches!(self, Fault::Cut(..)),
            open_files: (self == Fault::OpenFiles).then_some(256),
            has_clocks: matches!(self, Fault::Clock(..)),
            has_faulty_disks: matches!(self, Fault::Disk(..)),
            ..ClusterOptions::default()
        }
    }

    /// What this machine lacks for it, if anything.
    pub fn what_is_missing(self) -> Option<String> {
        match self {
            Fault::Cut(..) => NodeNetwork::what_is_missing(),
            Fault::Clock(..) => NodeClock::what_is_missing(),
            _ => None,
        }
    }
}
