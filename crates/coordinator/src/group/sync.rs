use std::collections::HashMap;

use bytes::Bytes;
use raftsman_protocol::Str;
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use raftsman_types::ErrorCode;

use super::{Group, GroupState};
use crate::deadlines::Timer;
use crate::shard::{Caller, Reply, Turn};

impl Group {
    /// A member asks for its assignment; the leader brings everyone's.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &SyncGroupRequest) {
        match self.check_sync(caller.version, request) {
            Err(error) => turn.reply(caller.request, Reply::SyncGroup(refused_sync(error))),
            Ok(()) => self.await_sync(turn, caller, request),
        }
    }

    fn check_sync(&self, version: i16, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        if version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        self.check_generation(request.generation_id)?;
        // KIP-559: what the member names has to be what the group chose.
        let differs = |own: &Option<Str>, named: &Option<Str>| named.is_some() && own.is_some() && own != named;
        if differs(&self.protocol_type, &request.protocol_type) || differs(&self.protocol, &request.protocol_name) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    fn await_sync(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &SyncGroupRequest) {
        let Some(member) = self.members.get_mut(&request.member_id) else { return };
        member.owes_sync = false;
        let earlier = member.awaiting_sync.replace(caller.request);
        if let Some(earlier) = earlier {
            turn.reply(earlier, Reply::SyncGroup(refused_sync(ErrorCode::RebalanceInProgress)));
        }
        if self.state == GroupState::CompletingRebalance && self.is_leader(&request.member_id) {
            self.assign(turn, request);
        } else if self.state == GroupState::Stable {
            self.answer_sync(turn, &request.member_id);
        }
        if self.state == GroupState::Stable && self.members.values().all(|member| !member.owes_sync) {
            self.cancel_sync_timer(turn);
        }
    }

    /// Takes the leader's assignment over, stores the generation and answers everyone who waits for it.
    fn assign(&mut self, turn: &mut Turn<'_>, request: &SyncGroupRequest) {
        let given: HashMap<&Str, &Bytes> = request.assignments.iter().map(|a| (&a.member_id, &a.assignment)).collect();
        for member in self.members.values_mut() {
            member.assignment = given.get(&member.id).map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default();
        }
        self.enter(GroupState::Stable, turn.now.wall);
        if self.store_members(turn).is_err() {
            self.enter(GroupState::CompletingRebalance, turn.now.wall);
            self.answer_waiting_syncs(turn, ErrorCode::UnknownServerError);
            self.rebalance(turn);
            return;
        }
        let waiting = self.members.values().filter(|member| member.awaiting_sync.is_some());
        let waiting: Vec<Str> = waiting.map(|member| member.id.clone()).collect();
        for member_id in waiting {
            self.answer_sync(turn, &member_id);
        }
    }

    fn answer_sync(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let Some(request) = member.awaiting_sync.take() else { return };
        let reply = SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: member.assignment.clone(),
            ..SyncGroupResponse::default()
        };
        turn.reply(request, Reply::SyncGroup(reply));
        self.touch(turn, member_id);
    }

    /// Tells everyone who waits for an assignment that none is coming, and forgets what was assigned.
    pub(super) fn answer_waiting_syncs(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(request) = member.awaiting_sync.take() {
                turn.reply(request, Reply::SyncGroup(refused_sync(error)));
                member.session_ends = turn.now.monotonic + member.session_timeout;
            }
        }
    }

    pub(super) fn cancel_sync_timer(&mut self, turn: &mut Turn<'_>) {
        if let Some(deadline) = self.sync_deadline.take() {
            turn.deadlines.cancel(deadline, &self.id, Timer::Sync);
        }
    }

    /// Members that joined have had a whole rebalance timeout to fetch their assignment: those that did not are out.
    pub(crate) fn sync_timer_due(&mut self, turn: &mut Turn<'_>) {
        self.sync_deadline = None;
        let absent = self.members.values().filter(|member| member.owes_sync);
        let absent: Vec<Str> = absent.map(|member| member.id.clone()).collect();
        if absent.is_empty() {
            return;
        }
        for member_id in absent {
            self.remove_member(turn, &member_id);
        }
        self.rebalance(turn);
    }
}

/// The answer to a SyncGroup that failed.
pub(crate) fn refused_sync(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() }
}
