//! What clients were told and shown, to be judged afterwards in the terms of Jepsen's workload for Kafka: what was
//! sent and how it ended ([`Outcome`]), what each reader was given, and what stands in the log at the end.

mod judge;
mod reads;
mod verdict;

use std::collections::{BTreeMap, HashMap};

pub use reads::{CommitFloor, Reads};
pub use verdict::{Indeterminate, Verdict};

/// How a sent record ended for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody knows: it may be there or not.
    Unknown,
    /// It was refused for good, so it must not be there.
    Refused,
    /// It was acknowledged, at this offset where the broker said one.
    Acked(Option<i64>),
}

/// A record as a reader found it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The text that its sender made unique.
    pub name: String,
}

/// What clients were told, record by record: to be held against what a reader finds afterwards.
///
/// A record is named by a text, which its writer makes unique. Records whose outcome nobody knows may be there or
/// not; acked ones must be there, once, in the order they were sent in.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// By partition, in the order they were sent in.
    sent: BTreeMap<i32, Vec<(String, Outcome)>>,
    places: HashMap<String, (i32, usize)>,
    acked: usize,
    reads: Reads,
}

impl History {
    /// A record is about to be sent, after all those noted before it on this partition. Until more is said, its
    /// outcome is unknown.
    pub fn send(&mut self, partition: i32, name: impl Into<String>) {
        let name = name.into();
        let records = self.sent.entry(partition).or_default();
        self.places.insert(name.clone(), (partition, records.len()));
        records.push((name, Outcome::Unknown));
    }

    /// A record that was sent has ended so. A record that was never sent is ignored.
    pub fn settle(&mut self, name: &str, outcome: Outcome) {
        let place = self.places.get(name).copied();
        let Some(record) = place.and_then(|(partition, at)| self.sent.get_mut(&partition)?.get_mut(at)) else { return };
        self.acked += usize::from(matches!(outcome, Outcome::Acked(_)));
        self.acked -= usize::from(matches!(record.1, Outcome::Acked(_)));
        record.1 = outcome;
    }

    /// A record was sent after all those noted before it on this partition, and acknowledged.
    pub fn ack(&mut self, partition: i32, name: impl Into<String>) {
        let name = name.into();
        self.send(partition, name.clone());
        self.settle(&name, Outcome::Acked(None));
    }

    /// How many records were acknowledged.
    pub fn len(&self) -> usize {
        self.acked
    }

    /// Whether nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.acked == 0
    }

    /// The acknowledged records of each partition in the order they were sent in: partition, name, and the offset where
    /// the broker said one.
    pub fn acked(&self) -> impl Iterator<Item = (i32, &str, Option<i64>)> {
        self.sent.iter().flat_map(|(partition, records)| {
            records.iter().filter_map(|(name, outcome)| match outcome {
                Outcome::Acked(offset) => Some((*partition, name.as_str(), *offset)),
                Outcome::Unknown | Outcome::Refused => None,
            })
        })
    }

    /// How many records were sent.
    pub fn sent(&self) -> usize {
        self.sent.values().map(Vec::len).sum()
    }

    /// What the members of one consumer group were given, and what they committed.
    pub fn reads(&mut self) -> &mut Reads {
        &mut self.reads
    }

    /// Holds what a reader found, in the order of offsets within each partition, against what was sent, and against
    /// what other readers were given meanwhile.
    pub fn judge(&self, found: &[Found]) -> Verdict {
        let mut verdict = judge::judge_log(&self.sent, found);
        self.reads.judge(found, &mut verdict);
        judge::judge_offsets(&self.sent, self.reads.given(), found, &mut verdict);
        verdict
    }

    /// How many of the records whose outcome nobody knows are there after all, and how many are not.
    pub fn indeterminate(&self, found: &[Found]) -> Indeterminate {
        let there: std::collections::HashSet<&str> = found.iter().map(|record| &*record.name).collect();
        let unknown = self.sent.values().flatten().filter(|(_, outcome)| *outcome == Outcome::Unknown);
        let (mut present, mut absent) = (0, 0);
        for (name, _) in unknown {
            *(if there.contains(&**name) { &mut present } else { &mut absent }) += 1;
        }
        Indeterminate { present, absent }
    }
}

#[cfg(test)]
mod tests;
