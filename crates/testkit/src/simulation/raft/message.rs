use std::sync::Arc;

use raftsman_metadata::{MetadataEntry, MetadataImage};

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogEntry {
    pub term: u64,
    /// Nothing in the entry that a new leader begins its term with.
    pub entry: Option<Arc<MetadataEntry>>,
}

/// The state up to an index.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub index: u64,
    pub term: u64,
    pub image: MetadataImage,
}

/// What nodes say to each other. The first field is always the sender's term.
#[derive(Debug, Clone)]
pub(super) enum Message {
    RequestVote { term: u64, last_index: u64, last_term: u64 },
    Vote { term: u64, granted: bool },
    Append { term: u64, previous_index: u64, previous_term: u64, entries: Vec<LogEntry>, committed: u64 },
    Appended { term: u64, matched: Option<u64>, hint: u64 },
    Install { term: u64, snapshot: Snapshot },
}

impl Message {
    pub fn term(&self) -> u64 {
        match self {
            Message::RequestVote { term, .. }
            | Message::Vote { term, .. }
            | Message::Append { term, .. }
            | Message::Appended { term, .. }
            | Message::Install { term, .. } => *term,
        }
    }

    pub fn label(&self) -> &'static str {
        match self {
            Message::RequestVote { .. } => "request vote",
            Message::Vote { .. } => "vote",
            Message::Append { .. } => "append",
            Message::Appended { .. } => "appended",
            Message::Install { .. } => "install",
        }
    }
}
