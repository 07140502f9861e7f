use std::time::Duration;

use raftsman_protocol::Str;

use super::{Shard, Turn};
use crate::StoredGroup;
use crate::group::{Group, GroupState};
use crate::offsets::{Retention, decide_expiry};

/// About how many tombstones one pass writes. What is left has its turn right after.
const RECORDS_PER_PASS: usize = 1_000;
/// How long other requests get between two passes.
const PAUSE: Duration = Duration::from_millis(50);

impl Shard {
    pub(super) fn expire_offsets(&mut self, turn: &mut Turn<'_>) {
        let mut expired = Vec::new();
        let mut is_done = true;
        for (group_id, stored) in self.state.groups() {
            let retention = retention(self.groups.get(group_id));
            expired.extend(decide_expiry(turn.config, turn.now.wall, group_id, stored, &retention));
            if expired.len() >= RECORDS_PER_PASS {
                is_done = false;
                break;
            }
        }
        if !expired.is_empty() {
            tracing::info!(records = expired.len(), "offsets that nobody needs any more are deleted");
        }
        turn.write_offsets(expired);
        let wait = if is_done { turn.config.offsets_retention_check_interval.max(PAUSE) } else { PAUSE };
        self.expiry_due = turn.now.monotonic + wait;
    }

    /// What is stored of a group, where anything is.
    pub(super) fn stored(&self, group_id: &Str) -> Option<&StoredGroup> {
        self.state.group(group_id)
    }
}

fn retention(group: Option<&Group>) -> Retention<'_> {
    let Some(group) = group else { return Retention::Unmanaged };
    if group.protocol_type().is_none() {
        return if group.is_vacant() { Retention::Unmanaged } else { Retention::Kept };
    }
    match (group.state(), group.subscribed_topics()) {
        (GroupState::Empty, _) if group.is_vacant() => Retention::Empty { since_ms: group.state_since().0 },
        (GroupState::Stable, Some(topics)) => Retention::Subscribed(topics),
        _ => Retention::Kept,
    }
}
