use std::io::{self, ErrorKind};

/// What of a file's unsynced content a power cut leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing: the content of the last sync.
    Lost,
    /// All of it.
    All,
    /// Its first bytes: a torn write.
    Prefix(usize),
    /// The length, but zeros in place of the bytes (delayed allocation).
    Zeros,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails without effect, once.
    Error(ErrorKind),
    /// This and every later one of these operations fails without effect, until [`MemoryFs::disarm`](super::MemoryFs::disarm).
    ErrorFromHere(ErrorKind),
    /// A write leaves so many of its bytes and then fails, once.
    TornWrite(usize),
    /// This and every later operation fails, until [`MemoryFs::crash`].
    PowerCut,
}

/// Which operations a fault counts and strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTarget {
    /// Every one that changes something or syncs.
    AnyChange,
    /// Whatever changes something: writes to files, and files made, cut, renamed and removed.
    Write,
    /// Renames alone.
    Rename,
    /// Syncs of files and directories.
    Sync,
}

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// Which operations count.
    pub target: FaultTarget,
    /// How many of them still succeed.
    pub skip: u64,
    /// What happens then.
    pub fault: Fault,
}

impl Fault {
    pub(super) fn into_error(self) -> io::Error {
        match self {
            Fault::Error(kind) | Fault::ErrorFromHere(kind) => kind.into(),
            Fault::TornWrite(_) => io::Error::other("injected: torn write"),
            Fault::PowerCut => io::Error::other("injected: power cut"),
        }
    }
}
