use std::collections::BTreeMap;

use raftsman_types::{Offset, TopicIdPartition};

use super::group_history::GroupHistory;
use super::invariants::{Checked, OFFSETS_TOPIC, Observer, Violation};

/// What became of a record, as far as its producer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was acknowledged, by all in-sync replicas or the leader alone.
    Acked { all: bool },
    /// It may be there or not.
    Unknown,
    /// It never left the producer.
    NotSent,
}

/// What clients sent, were told and read.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By producer, partition and value, each value in the order of sending.
    records: BTreeMap<(i32, TopicIdPartition), BTreeMap<u64, Option<Outcome>>>,
    idempotent: BTreeMap<i32, bool>,
    reads: u64,
    pub groups: GroupHistory,
}

/// A record's value: who wrote it and its number.
pub(super) fn value(producer: i32, number: u64) -> Vec<u8> {
    let mut bytes = producer.to_le_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes
}

fn parse(value: &[u8]) -> Option<(i32, u64)> {
    let producer = i32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    let number = u64::from_le_bytes(value.get(4..12)?.try_into().ok()?);
    Some((producer, number))
}

impl History {
    pub fn producer(&mut self, id: i32, idempotent: bool) {
        self.idempotent.insert(id, idempotent);
    }

    pub fn sent(&mut self, producer: i32, at: TopicIdPartition, value: u64) {
        self.records.entry((producer, at)).or_default().entry(value).or_insert(None);
    }

    pub fn ended(&mut self, producer: i32, at: TopicIdPartition, value: u64, outcome: Outcome) {
        self.records.entry((producer, at)).or_default().insert(value, Some(outcome));
    }

    pub fn read(&mut self, _consumer: i32, _at: TopicIdPartition, _offset: Offset) {
        self.reads += 1;
    }

    /// How many records were acknowledged by all, and how many were read.
    pub fn counts(&self) -> (u64, u64) {
        let acked = |outcome: &&Option<Outcome>| matches!(outcome, Some(Outcome::Acked { all: true }));
        let acked = self.records.values().map(|records| records.values().filter(acked).count() as u64).sum();
        (acked, self.reads)
    }

    /// Holds everything against what is committed in the end, in the terms of Jepsen's Kafka workload: lost, doubled,
    /// out of order, never sent. Records whose outcome is unknown may be there, once.
    pub fn judge(&self, observer: &Observer) -> Checked {
        self.groups.judge(observer)?;
        let internal =
            observer.newest_image().and_then(|image| image.topic_by_name(OFFSETS_TOPIC)).map(|topic| topic.id);
        let mut places: BTreeMap<(i32, TopicIdPartition, u64), Vec<Offset>> = BTreeMap::new();
        let written = |at: &TopicIdPartition| Some(at.topic_id) != internal;
        for (at, partition) in observer.truth.partitions().filter(|(at, _)| written(at)) {
            for (offset, value) in &partition.values {
                let Some((producer, number)) = parse(value) else { continue };
                places.entry((producer, *at, number)).or_default().push(*offset);
            }
        }
        for ((producer, at, number), offsets) in &places {
            let outcome = self.records.get(&(*producer, *at)).and_then(|records| records.get(number));
            if matches!(outcome, None | Some(Some(Outcome::NotSent))) {
                let what = format!("{at}: value {number} of producer {producer} at {offsets:?}: {outcome:?}");
                return Err(Violation::new("nothing is there that was not sent", what));
            }
            if offsets.len() > 1 && self.idempotent.get(producer).copied().unwrap_or(false) {
                let what = format!("{at}: value {number} of producer {producer} at {offsets:?}");
                return Err(Violation::new("idempotence: nothing doubled", what));
            }
        }
        for ((producer, at), records) in &self.records {
            if !is_beyond_reading(observer, *at) {
                self.judge_producer(*producer, *at, records, &places)?;
            }
        }
        Ok(())
    }

    fn judge_producer(
        &self,
        producer: i32,
        at: TopicIdPartition,
        records: &BTreeMap<u64, Option<Outcome>>,
        places: &BTreeMap<(i32, TopicIdPartition, u64), Vec<Offset>>,
    ) -> Checked {
        let in_order = self.idempotent.get(&producer).copied().unwrap_or(false);
        let mut furthest = -1;
        for (number, outcome) in records {
            let Some(Outcome::Acked { all }) = outcome else { continue };
            let offset = places.get(&(producer, at, *number)).and_then(|offsets| offsets.first());
            match offset {
                None if *all => {
                    let what = format!("{at}: value {number} of producer {producer}");
                    return Err(Violation::new("nothing acknowledged is lost", what));
                }
                None => {}
                Some(offset) if in_order && *offset < furthest => {
                    let what = format!("{at}: value {number} of producer {producer} at {offset}, after {furthest}");
                    return Err(Violation::new("idempotence: nothing out of order", what));
                }
                Some(offset) => furthest = furthest.max(*offset),
            }
        }
        Ok(())
    }
}

/// Whether the topic was deleted before anybody could read all that was committed: its leader's disk had failed in the same step.
fn is_beyond_reading(observer: &Observer, at: TopicIdPartition) -> bool {
    let is_deleted = observer.newest_image().is_some_and(|image| image.topic(at.topic_id).is_none());
    is_deleted && !observer.is_read(at)
}
