use std::collections::VecDeque;

use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};

use super::RequestId;
use crate::decide::{Outcome, Reply, Request};

/// How full an entry may be for more records to join it. With one outcome's share it stays within 256 KiB.
const JOIN_BYTES: usize = 64 * 1024;

/// How many entries may wait behind the one in flight before requests wait undecided.
const MAX_WAITING_ENTRIES: usize = 4;

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// Somebody who is owed a reply.
    Asked(RequestId),
    /// The controller itself.
    Own(Own),
}

/// What the controller asks of itself, each once at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Own {
    Fence(crate::decide::BrokerReference),
    StandAside(crate::decide::BrokerReference),
    Unfence(crate::decide::BrokerReference),
    Shutdown(crate::decide::BrokerReference),
    DirectoriesOffline(crate::decide::BrokerReference, Vec<raftsman_types::DirectoryId>),
    Rebalance,
    FormCluster,
}

impl Own {
    /// The request that `decide` knows; the formation of a cluster is none.
    pub(super) fn request(&self) -> Option<Request> {
        Some(match self {
            Own::Fence(broker) => Request::FenceBroker(*broker),
            Own::StandAside(broker) => Request::StandAside(*broker),
            Own::Unfence(broker) => Request::UnfenceBroker(*broker),
            Own::Shutdown(broker) => Request::ControlledShutdown(*broker),
            Own::DirectoriesOffline(broker, directories) => {
                Request::DirectoriesOffline { broker: *broker, directories: directories.clone() }
            }
            Own::Rebalance => Request::RebalanceLeaders,
            Own::FormCluster => return None,
        })
    }
}

/// A reply that waits for the commit of the state it was judged against.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) origin: Origin,
    pub(super) reply: Reply,
}

/// An entry that is decided.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) entry: MetadataEntry,
    pub(super) parked: Vec<Parked>,
    bytes: usize,
}

/// The image as decided so far, and the entries between it and the committed one.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    /// With the records of all entries; its version is that before the last waiting entry, which is still open.
    image: MetadataImage,
    waiting: VecDeque<Decided>,
}

impl Pipeline {
    /// Nothing is decided beyond that image.
    pub(super) fn new(image: &MetadataImage) -> Pipeline {
        Pipeline { image: image.clone(), waiting: VecDeque::new() }
    }

    /// What the next request is decided against.
    pub(super) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Whether more should wait undecided.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING_ENTRIES
    }

    /// Makes room before a request is decided: closes an entry too full to be joined. The versions that `decide` sees then hold.
    pub(super) fn prepare(&mut self) {
        if self.waiting.back().is_some_and(|open| open.bytes >= JOIN_BYTES) {
            self.open_entry();
        }
    }

    /// Takes an outcome in. A reply that waits for no entry here comes back.
    pub(super) fn accept(&mut self, origin: Origin, outcome: Outcome) -> Option<Parked> {
        let parked = Parked { origin, reply: outcome.reply };
        for (at, records) in outcome.entries.into_iter().enumerate() {
            if at > 0 || self.waiting.is_empty() {
                self.open_entry();
            }
            self.add(records);
        }
        match self.waiting.back_mut() {
            Some(open) => {
                open.parked.push(parked);
                None
            }
            None => Some(parked),
        }
    }

    /// The next entry to propose.
    pub(super) fn next(&mut self) -> Option<Decided> {
        if self.waiting.len() == 1 {
            self.image.close_entry();
        }
        self.waiting.pop_front()
    }

    /// Everything that was decided and not proposed.
    pub(super) fn into_parked(self) -> impl Iterator<Item = Parked> {
        self.waiting.into_iter().flat_map(|decided| decided.parked)
    }

    fn open_entry(&mut self) {
        if !self.waiting.is_empty() {
            self.image.close_entry();
        }
        let entry = MetadataEntry { base_version: self.image.version, records: Vec::new() };
        self.waiting.push_back(Decided { entry, parked: Vec::new(), bytes: 0 });
    }

    fn add(&mut self, records: Vec<MetadataRecord>) {
        let Some(open) = self.waiting.back_mut() else { return };
        for record in records {
            self.image.replay_record(&record);
            open.bytes += record.size_bound();
            open.entry.records.push(record);
        }
    }
}
