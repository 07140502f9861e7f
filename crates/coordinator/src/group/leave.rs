use raftsman_protocol::Str;
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse};
use raftsman_types::ErrorCode;

use super::join::refused_join;
use super::sync::refused_sync;
use super::{Group, GroupState};
use crate::shard::{Caller, Reply, Turn};

/// The first version that names several members (KIP-345).
const SEVERAL_MEMBERS_FROM: i16 = 3;

impl Group {
    /// Members leave of their own accord, or an administrator removes them.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &LeaveGroupRequest) {
        let before = self.members.len();
        if caller.version < SEVERAL_MEMBERS_FROM {
            let error = self.remove_one(turn, &request.member_id, None);
            turn.reply(caller.request, Reply::LeaveGroup(left(error, Vec::new())));
        } else {
            let remove = |group: &mut Group, turn: &mut Turn<'_>, member: &MemberIdentity| {
                group.remove_one(turn, &member.member_id, member.group_instance_id.as_ref())
            };
            let answers = request.members.iter().map(|member| answer_to(member, remove(self, turn, member))).collect();
            turn.reply(caller.request, Reply::LeaveGroup(left(ErrorCode::None, answers)));
        }
        if self.members.len() < before || self.state == GroupState::PreparingRebalance {
            self.rebalance_without_member(turn);
        }
    }

    fn remove_one(&mut self, turn: &mut Turn<'_>, member_id: &Str, instance_id: Option<&Str>) -> ErrorCode {
        if member_id.is_empty() {
            // An administrator knows static members by their instance only.
            return match instance_id.and_then(|instance| self.static_members.get(instance)).cloned() {
                Some(member_id) => self.let_go(turn, &member_id),
                None => ErrorCode::UnknownMemberId,
            };
        }
        if self.forget_pending(turn, member_id) {
            return ErrorCode::None;
        }
        match self.check_member(member_id, instance_id) {
            Ok(()) => self.let_go(turn, member_id),
            Err(error) => error,
        }
    }

    fn let_go(&mut self, turn: &mut Turn<'_>, member_id: &Str) -> ErrorCode {
        tracing::info!(group = %self.id, member = %member_id, "member left");
        self.remove_member(turn, member_id);
        ErrorCode::None
    }

    /// Takes a member out and answers what it waits for.
    pub(super) fn remove_member(&mut self, turn: &mut Turn<'_>, member_id: &Str) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        self.cancel_session(turn, member_id, &mut member.session_timer);
        self.count_protocols(&member.protocols, false);
        if let Some(instance) = &member.instance_id {
            self.static_members.remove(instance);
        }
        if let Some(awaiting) = member.awaiting_join {
            self.joined -= 1;
            let reply = refused_join(awaiting.version, ErrorCode::UnknownMemberId, member_id.clone());
            turn.reply(awaiting.request, Reply::JoinGroup(reply));
        }
        if let Some(request) = member.awaiting_sync {
            turn.reply(request, Reply::SyncGroup(refused_sync(ErrorCode::UnknownMemberId)));
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Members are gone, or will not come: those that stay need a new assignment, and a join phase may have waited for
    /// nobody else.
    pub(super) fn rebalance_without_member(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(turn),
            GroupState::CompletingRebalance | GroupState::Stable => self.rebalance(turn),
        }
    }
}

/// The answer to a LeaveGroup.
pub(crate) fn left(error: ErrorCode, members: Vec<MemberResponse>) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: error.code(), members, ..LeaveGroupResponse::default() }
}

/// What became of one member of a LeaveGroup.
pub(crate) fn answer_to(member: &MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: error.code(),
    }
}
