//! A coordinator that takes over knows exactly what is committed of its groups: no more, no less.

use raftsman_coordinator::State;
use raftsman_types::TopicIdPartition;

use super::{Checked, Violation};

const RULE: &str = "groups are rebuilt as they were";

/// `loaded` is what a coordinator begins with, `committed` what all committed records add up to.
pub(super) fn check(node: i32, at: TopicIdPartition, loaded: &State, committed: Option<&State>) -> Checked {
    let nothing = State::default();
    let committed = committed.unwrap_or(&nothing);
    if loaded == committed {
        return Ok(());
    }
    let names = loaded.groups().chain(committed.groups()).map(|(name, _)| name);
    let differing = names.into_iter().find(|name| loaded.group(name) != committed.group(name));
    let what = match differing {
        Some(name) => format!("{name}: loaded {:?}, committed {:?}", loaded.group(name), committed.group(name)),
        None => "the same groups in another order".to_owned(),
    };
    Err(Violation::new(RULE, format!("{at}: broker {node}: {what}")))
}
