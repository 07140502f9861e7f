//! What stands in the log against what was sent.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Found, Outcome, Verdict};

type Sent = BTreeMap<i32, Vec<(String, Outcome)>>;

/// Lost, unseen, duplicated, out of order and phantom records.
pub(super) fn judge_log(sent: &Sent, found: &[Found]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut places: HashMap<(i32, &str), usize> = HashMap::with_capacity(found.len());
    let mut ends: HashMap<i32, i64> = HashMap::new();
    for (place, record) in found.iter().enumerate() {
        // The first place counts for the order: a repetition is a fault of its own.
        if *places.entry((record.partition, &record.name)).or_insert(place) != place {
            verdict.duplicated.push(record.name.clone());
        }
        let end = ends.entry(record.partition).or_default();
        *end = (*end).max(record.offset + 1);
    }
    let mut explained: HashSet<(i32, &str)> = HashSet::with_capacity(found.len());
    for (partition, records) in sent {
        let end = ends.get(partition).copied().unwrap_or(0);
        let mut furthest = None;
        for (name, outcome) in records {
            let place = places.get(&(*partition, name.as_str()));
            if *outcome != Outcome::Refused {
                explained.insert((*partition, name));
            }
            let Outcome::Acked(offset) = outcome else { continue };
            match place {
                None if offset.is_some_and(|offset| offset >= end) => verdict.unseen.push(name.clone()),
                None => verdict.lost.push(name.clone()),
                Some(place) if furthest.is_some_and(|furthest| place < furthest) => {
                    verdict.out_of_order.push(name.clone());
                }
                Some(place) => furthest = Some(place),
            }
        }
    }
    let is_phantom = |record: &&Found| !explained.contains(&(record.partition, record.name.as_str()));
    verdict.phantoms.extend(found.iter().filter(is_phantom).map(|record| record.name.clone()));
    verdict
}

/// Offsets that were said to hold two different records, by acks or by any reader.
pub(super) fn judge_offsets<'a>(
    sent: &'a Sent,
    given: impl Iterator<Item = &'a Found>,
    found: &'a [Found],
    verdict: &mut Verdict,
) {
    let acked = sent.iter().flat_map(|(partition, records)| {
        records.iter().filter_map(move |(name, outcome)| match outcome {
            Outcome::Acked(Some(offset)) => Some((*partition, *offset, name.as_str())),
            _ => None,
        })
    });
    let read = found.iter().chain(given).map(|record| (record.partition, record.offset, record.name.as_str()));
    let mut holders: HashMap<(i32, i64), &str> = HashMap::with_capacity(found.len());
    for (partition, offset, name) in read.chain(acked) {
        let holder = *holders.entry((partition, offset)).or_insert(name);
        if holder != name {
            verdict.inconsistent_offsets.push(format!("{partition}@{offset}: {holder} and {name}"));
        }
    }
}
