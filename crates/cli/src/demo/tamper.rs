use std::collections::BTreeMap;

use raftsman_client::Found;

/// A fault put into what the reader found, to see that the checker notices it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tamper {
    /// A batch is missing.
    Drop,
    /// A batch is there twice.
    Repeat,
    /// Two batches have changed places.
    Swap,
}

/// Records of a batch that is altered, where there are as many.
const BATCH: usize = 3;

/// Alters one batch in the middle of the fullest partition. `found` is in the order of offsets.
///
/// Does nothing where no partition has enough records to do it: two, or one for all but swapping.
pub fn alter(found: &mut Vec<Found>, how: Tamper) {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for record in found.iter() {
        *counts.entry(record.partition).or_default() += 1;
    }
    let Some((partition, count)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return };
    let length = BATCH.min(count.div_ceil(2));
    let from = (count / 2).min(count - length);
    let places: Vec<usize> = (0..found.len()).filter(|place| found[*place].partition == partition).collect();
    let batch = &places[from..from + length];
    match how {
        Tamper::Drop => batch.iter().rev().for_each(|place| drop(found.remove(*place))),
        Tamper::Repeat => {
            let copies: Vec<Found> = batch.iter().map(|place| found[*place].clone()).collect();
            let after = batch[length - 1] + 1;
            found.splice(after..after, copies);
        }
        Tamper::Swap => {
            let before = &places[from.saturating_sub(length)..from];
            before.iter().zip(batch).for_each(|(a, b)| found.swap(*a, *b));
        }
    }
}

#[cfg(test)]
mod tests {
    use raftsman_client::{History, Verdict};

    use super::*;

    /// What the checker says of two partitions with so many records each, read in turn, after an alteration.
    fn verdict(records: usize, how: Option<Tamper>) -> Verdict {
        let mut history = History::default();
        let mut found = Vec::new();
        for number in 0..records {
            for partition in 0..2 {
                history.ack(partition, format!("{partition}-{number}"));
                found.push(Found { partition, offset: number as i64, name: format!("{partition}-{number}") });
            }
        }
        if let Some(how) = how {
            alter(&mut found, how);
        }
        history.judge(&found)
    }

    #[test]
    fn the_checker_notices_each_alteration_as_what_it_is() {
        for records in [2, 3, 7, 100] {
            assert!(verdict(records, None).is_clean());
            let verdicts = [Tamper::Drop, Tamper::Repeat, Tamper::Swap].map(|how| verdict(records, Some(how)));
            let faults = verdicts.map(|v| [!v.lost.is_empty(), !v.duplicated.is_empty(), !v.out_of_order.is_empty()]);
            assert_eq!(faults, [[true, false, false], [false, true, false], [false, false, true]], "{records} records");
        }
    }

    #[test]
    fn nothing_to_alter_is_left_alone() {
        let mut nothing = Vec::new();
        alter(&mut nothing, Tamper::Drop);
        assert!(nothing.is_empty());
        assert_eq!(verdict(1, Some(Tamper::Drop)).lost.len(), 1);
        assert!(verdict(1, Some(Tamper::Swap)).is_clean());
    }
}
