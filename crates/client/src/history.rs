use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What clients were told, record by record: to be held against what a reader finds afterwards.
///
/// A record is named by a text, which its writer makes unique. Records whose outcome nobody knows may be there or
/// not; acked ones must be there, once, in the order they were sent in.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Names in the order of their acks, by partition.
    acked: BTreeMap<i32, Vec<String>>,
}

/// What is wrong between a history and what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acked records that no reader found on their partition.
    pub lost: Vec<String>,
    /// Records found more than once, named once for each time too many.
    pub duplicated: Vec<String>,
    /// Acked records found before one that was sent before them.
    pub out_of_order: Vec<String>,
}

impl History {
    /// A record was acknowledged, after all those noted before it on this partition were sent.
    pub fn ack(&mut self, partition: i32, name: impl Into<String>) {
        self.acked.entry(partition).or_default().push(name.into());
    }

    /// How many records were acknowledged.
    pub fn len(&self) -> usize {
        self.acked.values().map(Vec::len).sum()
    }

    /// Whether nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.acked.is_empty()
    }

    /// Holds what a reader found, as (partition, name) in the order of offsets, against the acks.
    pub fn judge(&self, found: &[(i32, String)]) -> Verdict {
        let mut places: HashMap<(i32, &str), usize> = HashMap::with_capacity(found.len());
        let mut verdict = Verdict::default();
        for (place, (partition, name)) in found.iter().enumerate() {
            // The first place counts for the order: a repetition is a fault of its own.
            if *places.entry((*partition, name)).or_insert(place) != place {
                verdict.duplicated.push(name.clone());
            }
        }
        for (partition, names) in &self.acked {
            let mut furthest = None;
            for name in names {
                match places.get(&(*partition, name.as_str())) {
                    None => verdict.lost.push(name.clone()),
                    Some(place) if furthest.is_some_and(|furthest| place < furthest) => {
                        verdict.out_of_order.push(name.clone());
                    }
                    Some(place) => furthest = Some(place),
                }
            }
        }
        verdict
    }
}

impl Verdict {
    /// Nothing lost, doubled or out of order.
    pub fn is_clean(&self) -> bool {
        *self == Verdict::default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |names: &[String]| names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        write!(
            f,
            "{} lost [{}], {} duplicated [{}], {} out of order [{}]",
            self.lost.len(),
            some(&self.lost),
            self.duplicated.len(),
            some(&self.duplicated),
            self.out_of_order.len(),
            some(&self.out_of_order)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<(i32, String)> {
        names.iter().map(|name| (0, (*name).to_owned())).collect()
    }

    fn history(names: &[&str]) -> History {
        let mut history = History::default();
        for name in names {
            history.ack(0, *name);
        }
        history
    }

    #[test]
    fn tells_lost_doubled_and_swapped_apart() {
        let history = history(&["a", "b", "c"]);
        assert!(history.judge(&found(&["a", "b", "unknown outcome", "c"])).is_clean());
        let only = |lost: &[&str], duplicated: &[&str], out_of_order: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
            Verdict { lost: owned(lost), duplicated: owned(duplicated), out_of_order: owned(out_of_order) }
        };
        assert_eq!(history.judge(&found(&["a", "c"])), only(&["b"], &[], &[]));
        assert_eq!(history.judge(&found(&["a", "b", "b", "c"])), only(&[], &["b"], &[]));
        assert_eq!(history.judge(&found(&["a", "b", "a", "b", "c"])), only(&[], &["a", "b"], &[]));
        assert_eq!(history.judge(&found(&["b", "a", "c"])), only(&[], &[], &["b"]));
        // The one that came too early is named, not those it overtook.
        assert_eq!(history.judge(&found(&["c", "a", "b"])), only(&[], &[], &["c"]));
    }

    #[test]
    fn a_record_on_another_partition_is_lost() {
        let mut history = history(&["a"]);
        history.ack(1, "b");
        assert_eq!(history.len(), 2);
        let verdict = history.judge(&[(0, "a".into()), (0, "b".into())]);
        assert_eq!(verdict.lost, ["b"]);
        assert_eq!(verdict.to_string(), "1 lost [b], 0 duplicated [], 0 out of order []");
    }
}
