use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use raftsman_types::{ErrorCode, MonotonicTime};

use super::{Group, GroupState};
use crate::deadlines::Timer;
use crate::shard::{Caller, Reply, Turn};

/// How long a member that never got through a join may wait for one. It has no id to send heartbeats with, so this is
/// what bounds the members that a client leaves behind by giving up and joining anew.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

impl Group {
    /// A member is alive, and hears whether it has to join again.
    pub(crate) fn heartbeat(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &HeartbeatRequest) {
        let error = match self.check_heartbeat(request) {
            Err(error) => error,
            Ok(answer) => {
                self.touch(turn, &request.member_id);
                answer
            }
        };
        let reply = HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() };
        turn.reply(caller.request, Reply::Heartbeat(reply));
    }

    fn check_heartbeat(&self, request: &HeartbeatRequest) -> Result<ErrorCode, ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        self.check_generation(request.generation_id)?;
        match self.state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => Ok(ErrorCode::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(ErrorCode::None),
        }
    }

    /// A member was heard of: its session starts anew.
    pub(crate) fn touch(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        let Some((id, member)) = self.members.get_key_value(member_id) else { return };
        let lasts = if member.is_new { NEW_MEMBER_JOIN_TIMEOUT } else { member.session_timeout };
        let (id, ends) = (id.clone(), turn.now.monotonic + lasts);
        self.set_session(turn, &id, ends);
    }

    /// Sets the end of a session. The deadline's entry is only touched when it would come up too late.
    pub(super) fn set_session(&mut self, turn: &mut Turn<'_>, member_id: &Str, ends: MonotonicTime) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.session_ends = ends;
        if member.session_timer.is_some_and(|entry| entry <= ends) {
            return;
        }
        if let Some(late) = member.session_timer.replace(ends) {
            turn.deadlines.cancel(late, &self.id, Timer::Session(member_id.clone()));
        }
        turn.deadlines.set(ends, &self.id, Timer::Session(member_id.clone()));
    }

    pub(super) fn cancel_session(
        &self,
        turn: &mut Turn<'_>,
        member_id: &Str,
        session_timer: &mut Option<MonotonicTime>,
    ) {
        if let Some(entry) = session_timer.take() {
            turn.deadlines.cancel(entry, &self.id, Timer::Session(member_id.clone()));
        }
    }
}
