//! One generation of a group has one assignment, in which each partition has one owner at most.

use std::collections::BTreeSet;

use raftsman_coordinator::{Record, State};
use raftsman_types::Offset;

use super::{Checked, Violation};
use crate::simulation::group_history::assigned;

const RULE: &str = "no partition has two owners in one generation";

/// `state` is what the log adds up to before this record.
pub(super) fn check(state: &State, place: Offset, record: &Record) -> Checked {
    let Record::Group { group, value: Some(value) } = record else { return Ok(()) };
    let mut owned = BTreeSet::new();
    for member in &value.members {
        if let Some(partition) = assigned(&member.assignment).into_iter().find(|partition| !owned.insert(*partition)) {
            let what = format!("{group}: at {place} partition {partition} in generation {}", value.generation);
            return Err(Violation::new(RULE, what));
        }
    }
    let before = state.group(group).and_then(|stored| stored.metadata.as_ref());
    let Some(before) = before.filter(|before| before.generation == value.generation) else { return Ok(()) };
    let given = |members: &[raftsman_protocol::messages::group_metadata_record::MemberMetadata]| {
        let given = members.iter().map(|member| (member.member_id.clone(), member.assignment.clone()));
        given.collect::<BTreeSet<_>>()
    };
    let (before, now) = (given(&before.members), given(&value.members));
    if !before.is_empty() && !now.is_empty() && before != now {
        let what = format!("{group}: at {place} generation {} is assigned anew: {before:?}, {now:?}", value.generation);
        return Err(Violation::new(RULE, what));
    }
    Ok(())
}
