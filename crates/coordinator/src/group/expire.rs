use raftsman_protocol::Str;

use super::{Group, SHORTEST_WAIT};
use crate::deadlines::Timer;
use crate::shard::Turn;

impl Group {
    /// A session's entry came up: the member is dead unless it was heard of since, or waits for an answer of ours.
    pub(crate) fn session_timer_due(&mut self, turn: &mut Turn<'_>, member_id: &Str) {
        let now = turn.now.monotonic;
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.session_timer = None;
        let ends = if member.session_ends > now {
            member.session_ends
        } else if member.is_waiting() {
            now + member.session_timeout.max(SHORTEST_WAIT)
        } else {
            tracing::info!(group = %self.id, member = %member_id, "member removed: its session timed out");
            self.remove_member(turn, member_id);
            self.rebalance_without_member(turn);
            return;
        };
        self.set_session(turn, member_id, ends);
    }

    /// A member that was given an id never came back with it.
    pub(crate) fn pending_timer_due(&mut self, turn: &mut Turn<'_>, member_id: &Str) {
        self.pending.remove(member_id);
        self.complete_join_if_all_joined(turn);
    }

    /// Takes all of the group's entries off the deadlines: it is about to be dropped.
    pub(crate) fn cancel_timers(&mut self, turn: &mut Turn<'_>) {
        let pending: Vec<Str> = self.pending.keys().cloned().collect();
        for member_id in pending {
            self.forget_pending(turn, &member_id);
        }
        let sessions = self.members.values_mut().filter_map(|m| Some((m.id.clone(), m.session_timer.take()?)));
        for (member_id, entry) in sessions {
            turn.deadlines.cancel(entry, &self.id, Timer::Session(member_id));
        }
        self.cancel_sync_timer(turn);
    }
}
