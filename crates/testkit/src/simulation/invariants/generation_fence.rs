//! A member of an old generation commits nothing after a newer one was completed, and generations never fall. In the order of
//! the log, which is the order of the coordinator's decisions: who takes over goes on where it ends.

use raftsman_coordinator::{Record, State};
use raftsman_types::Offset;

use super::{Checked, Violation};
use crate::simulation::group_history::generation_of;

const RULE: &str = "an old generation commits nothing after a newer one was completed";

/// `state` is what the log adds up to before this record.
pub(super) fn check(state: &State, place: Offset, record: &Record) -> Checked {
    let completed = |group: &str| state.group(group)?.metadata.as_ref().map(|metadata| metadata.generation);
    match record {
        Record::Offset { group, partition, value: Some(value), .. } => {
            let (generation, completed) = (generation_of(&value.metadata), completed(group));
            if generation.zip(completed).is_some_and(|(generation, completed)| generation < completed) {
                let what = format!(
                    "{group}: at {place} {} for partition {partition} by {}, after generation {completed:?}",
                    value.offset, value.metadata
                );
                return Err(Violation::new(RULE, what));
            }
        }
        Record::Group { group, value: Some(value) } => {
            let completed = completed(group);
            if completed.is_some_and(|completed| value.generation < completed) {
                let what = format!("{group}: at {place} generation {} after {completed:?}", value.generation);
                return Err(Violation::new("generations never fall", what));
            }
        }
        Record::Offset { value: None, .. } | Record::Group { value: None, .. } => {}
    }
    Ok(())
}
