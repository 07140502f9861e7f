use std::collections::{BTreeMap, HashMap};

use raftsman_protocol::Str;

use super::{Effect, Reply, RequestId, WriteId};
use crate::Record;

/// Replies that wait for what they were judged against to be committed.
#[derive(Debug, Default)]
pub(super) struct Parking {
    last: WriteId,
    committed: WriteId,
    /// The last writes to groups that are not all committed.
    unsettled: HashMap<Str, Unsettled>,
    parked: BTreeMap<WriteId, Vec<(RequestId, Reply)>>,
}

#[derive(Debug, Default)]
struct Unsettled {
    group: WriteId,
    offsets: WriteId,
}

impl Parking {
    /// The id of the write that comes next.
    pub(super) fn next_write(&self) -> WriteId {
        WriteId(self.last.0 + 1)
    }

    pub(super) fn start_write(&mut self) -> WriteId {
        self.last = self.next_write();
        self.last
    }

    /// A record of this write is in the log.
    pub(super) fn touch(&mut self, record: &Record, write: WriteId) {
        match record {
            Record::Group { group, .. } => self.unsettled.entry(group.clone()).or_default().group = write,
            Record::Offset { group, .. } => self.unsettled.entry(group.clone()).or_default().offsets = write,
        }
    }

    /// The write that what is known of a group's members comes from.
    pub(super) fn group_write(&self, group: &str) -> WriteId {
        self.unsettled.get(group).map(|unsettled| unsettled.group).unwrap_or_default()
    }

    /// The write that everything known of a group comes from.
    pub(super) fn any_write(&self, group: &str) -> WriteId {
        self.unsettled.get(group).map(|unsettled| unsettled.group.max(unsettled.offsets)).unwrap_or_default()
    }

    /// The last write to any group.
    pub(super) fn last_write(&self) -> WriteId {
        self.last
    }

    /// Sends replies off, each now or once the write it depends on is committed.
    pub(super) fn park(&mut self, replies: Vec<(RequestId, Reply, WriteId)>, effects: &mut Vec<Effect>) {
        for (request, reply, after) in replies {
            if after <= self.committed {
                effects.push(Effect::Reply { request, reply });
            } else {
                self.parked.entry(after).or_default().push((request, reply));
            }
        }
    }

    pub(super) fn committed(&mut self, write: WriteId, effects: &mut Vec<Effect>) {
        let write = write.min(self.last);
        if write <= self.committed {
            return;
        }
        self.committed = write;
        self.unsettled.retain(|_, unsettled| unsettled.group.max(unsettled.offsets) > write);
        let waiting = self.parked.split_off(&WriteId(write.0 + 1));
        for (request, reply) in std::mem::replace(&mut self.parked, waiting).into_values().flatten() {
            effects.push(Effect::Reply { request, reply });
        }
    }

    /// Takes every request that is still waiting.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = RequestId> {
        std::mem::take(&mut self.parked).into_values().flatten().map(|(request, _)| request)
    }
}
