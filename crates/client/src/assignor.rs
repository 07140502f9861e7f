//! Kafka's range assignor: what a group's leader hands out.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The partitions of each member, by topic.
pub(crate) type Assignment = BTreeMap<String, BTreeMap<Arc<str>, Vec<i32>>>;

/// Cuts each topic's partitions into runs, one for each member subscribed to it in the order of their ids; the first
/// members get one more where it does not come out even.
pub(crate) fn assign_ranges(
    members: &BTreeMap<String, Vec<Arc<str>>>,
    partitions: &BTreeMap<Arc<str>, i32>,
) -> Assignment {
    let mut assignment: Assignment = members.keys().map(|member| (member.clone(), BTreeMap::new())).collect();
    for (topic, count) in partitions {
        let subscribed: Vec<&String> =
            members.iter().filter(|(_, topics)| topics.contains(topic)).map(|(member, _)| member).collect();
        let Ok(shares) = i32::try_from(subscribed.len()) else { continue };
        let mut next = 0;
        for (member, i) in subscribed.into_iter().zip(0..) {
            let share = count / shares + i32::from(i < count % shares);
            let run: Vec<i32> = (next..next + share).collect();
            next += share;
            if let Some(own) = assignment.get_mut(member).filter(|_| !run.is_empty()) {
                own.insert(topic.clone(), run);
            }
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_owner() {
        let topic: Arc<str> = "t".into();
        for members in 1..5 {
            for count in 0..7 {
                let subscribed = (0..members).map(|m| (format!("m{m}"), vec![topic.clone()])).collect();
                let assignment = assign_ranges(&subscribed, &BTreeMap::from([(topic.clone(), count)]));
                let mut all: Vec<i32> = assignment.values().flat_map(|own| own.values().flatten().copied()).collect();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<i32>>());
                let sizes: Vec<usize> = assignment.values().map(|own| own.values().map(Vec::len).sum()).collect();
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            }
        }
    }

    #[test]
    fn only_subscribers_get_partitions() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let members = BTreeMap::from([("x".to_owned(), vec![a.clone(), b.clone()]), ("y".to_owned(), vec![b.clone()])]);
        let assignment = assign_ranges(&members, &BTreeMap::from([(a.clone(), 2), (b.clone(), 3)]));
        assert_eq!(assignment["x"], BTreeMap::from([(a, vec![0, 1]), (b.clone(), vec![0, 1])]));
        assert_eq!(assignment["y"], BTreeMap::from([(b, vec![2])]));
    }
}
