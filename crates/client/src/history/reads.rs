//! What the members of a consumer group were given while it happened, and what they committed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Found, Verdict};

/// The offsets a group is known to have committed at some moment, by partition: whoever asks for the group's offsets
/// afterwards is told these or later ones.
pub type CommitFloor = BTreeMap<i32, i64>;

/// One member's time with one assignment.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    floor: CommitFloor,
    given: Vec<Found>,
}

/// Everything the members of one group were given.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    readings: Vec<Reading>,
    committed: CommitFloor,
}

impl Reads {
    /// What is known to be committed now. Taken before a member joins, it is the least that the member may start from.
    pub fn floor(&self) -> CommitFloor {
        self.committed.clone()
    }

    /// A member got an assignment, after having seen `floor`. Answers the number of this reading.
    pub fn begin(&mut self, floor: CommitFloor) -> usize {
        self.readings.push(Reading { floor, given: Vec::new() });
        self.readings.len() - 1
    }

    /// A member was given a record in a reading that was begun.
    pub fn give(&mut self, reading: usize, record: Found) {
        if let Some(reading) = self.readings.get_mut(reading) {
            reading.given.push(record);
        }
    }

    /// A commit was acknowledged.
    pub fn commit(&mut self, partition: i32, offset: i64) {
        let committed = self.committed.entry(partition).or_insert(offset);
        *committed = (*committed).max(offset);
    }

    /// How many records were given, repetitions by later owners among them.
    pub fn len(&self) -> usize {
        self.readings.iter().map(|reading| reading.given.len()).sum()
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the group has been given every one of these records.
    pub fn has_all(&self, records: &[Found]) -> bool {
        self.missing(records).is_empty()
    }

    pub(super) fn given(&self) -> impl Iterator<Item = &Found> {
        self.readings.iter().flat_map(|reading| &reading.given)
    }

    fn missing<'a>(&self, records: &'a [Found]) -> Vec<&'a Found> {
        let given: HashSet<(i32, i64)> = self.given().map(|record| (record.partition, record.offset)).collect();
        records.iter().filter(|record| !given.contains(&(record.partition, record.offset))).collect()
    }

    pub(super) fn judge(&self, found: &[Found], verdict: &mut Verdict) {
        if self.readings.is_empty() {
            return;
        }
        let mut log: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        for record in found {
            log.entry(record.partition).or_default().insert(record.offset);
        }
        for reading in &self.readings {
            reading.judge(&log, verdict);
        }
        verdict.unread.extend(self.missing(found).into_iter().map(|record| record.name.clone()));
    }
}

impl Reading {
    fn judge(&self, log: &BTreeMap<i32, BTreeSet<i64>>, verdict: &mut Verdict) {
        let nothing = BTreeSet::new();
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        for Found { partition, offset, name } in &self.given {
            let before = last.insert(*partition, *offset);
            let floor = self.floor.get(partition).copied().unwrap_or(0);
            match before {
                None if *offset < floor => verdict.regressed.push(name.clone()),
                None => (),
                Some(before) if *offset <= before => verdict.nonmonotonic_polls.push(name.clone()),
                Some(before) => {
                    let log = log.get(partition).unwrap_or(&nothing);
                    if log.range(before + 1..*offset).next().is_some() {
                        verdict.skipped_polls.push(name.clone());
                    }
                }
            }
        }
    }
}
