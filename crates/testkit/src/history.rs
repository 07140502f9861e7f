use std::collections::HashMap;
use std::fmt;

/// What clients were told, record by record: to be held against what a reader finds afterwards.
///
/// A record is named by its value, which a test makes unique. Records whose outcome nobody knows may be there
/// or not; acked ones must be there.
#[derive(Debug, Default)]
pub struct History {
    /// Values in the order of their acks, by partition.
    acked: HashMap<i32, Vec<String>>,
}

/// What is wrong between a history and what was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acked records that no reader found.
    pub lost: Vec<String>,
    /// Records found more than once.
    pub duplicated: Vec<String>,
    /// Acked records found in another order than they were sent in.
    pub out_of_order: Vec<String>,
}

impl History {
    /// A record was acknowledged, after all those noted before it on this partition were sent.
    pub fn ack(&mut self, partition: i32, value: impl Into<String>) {
        self.acked.entry(partition).or_default().push(value.into());
    }

    /// How many records were acknowledged.
    pub fn len(&self) -> usize {
        self.acked.values().map(Vec::len).sum()
    }

    /// Whether nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Holds what a reader found, as (partition, value) in the order of offsets, against the acks.
    pub fn judge(&self, found: &[(i32, String)]) -> Verdict {
        let mut places: HashMap<(i32, &str), usize> = HashMap::new();
        let mut verdict = Verdict::default();
        for (place, (partition, value)) in found.iter().enumerate() {
            if places.insert((*partition, value), place).is_some() {
                verdict.duplicated.push(value.clone());
            }
        }
        for (partition, values) in &self.acked {
            let mut last_place = None;
            for value in values {
                match places.get(&(*partition, value.as_str())) {
                    None => verdict.lost.push(value.clone()),
                    Some(place) => {
                        if last_place.is_some_and(|last| *place < last) {
                            verdict.out_of_order.push(value.clone());
                        }
                        last_place = Some(*place);
                    }
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
        let some = |values: &[String]| values.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
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

    fn found(values: &[&str]) -> Vec<(i32, String)> {
        values.iter().map(|v| (0, (*v).to_owned())).collect()
    }

    #[test]
    fn tells_lost_doubled_and_swapped_apart() {
        let mut history = History::default();
        for value in ["a", "b", "c"] {
            history.ack(0, value);
        }
        assert!(history.judge(&found(&["a", "b", "unknown outcome", "c"])).is_clean());
        assert_eq!(history.judge(&found(&["a", "c"])).lost, ["b"]);
        assert_eq!(history.judge(&found(&["a", "b", "b", "c"])).duplicated, ["b"]);
        assert_eq!(history.judge(&found(&["b", "a", "c"])).out_of_order, ["b"]);
    }
}
