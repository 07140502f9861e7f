use std::fmt::Write;

use raftsman_protocol::Str;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use raftsman_types::ErrorCode;

use super::member::{AwaitingJoin, owned_protocols};
use super::{Group, GroupState, Member};
use crate::deadlines::Timer;
use crate::shard::{Caller, Reply, Turn};

/// The first version whose clients take a member id from an error and join again with it (KIP-394).
const MEMBER_ID_REQUIRED_FROM: i16 = 4;

/// A JoinGroup that is refused, and the member id to name in the answer.
pub(super) struct Refusal {
    error: ErrorCode,
    member_id: Str,
}

impl Group {
    /// A member asks to join, or to join again. `random` makes its id if it has none.
    pub(crate) fn join(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &JoinGroupRequest, random: u128) {
        if let Err(refusal) = self.admit(turn, caller, request, random) {
            turn.reply(
                caller.request,
                Reply::JoinGroup(refused_join(caller.version, refusal.error, refusal.member_id)),
            );
        }
    }

    fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        random: u128,
    ) -> Result<(), Refusal> {
        let refuse = |error| Refusal { error, member_id: request.member_id.clone() };
        if !self.has_room(request, turn.config.max_size) {
            self.forget_pending(turn, &request.member_id);
            return Err(Refusal { error: ErrorCode::GroupMaxSizeReached, member_id: Str::default() });
        }
        if !self.supports(request) {
            return Err(refuse(ErrorCode::InconsistentGroupProtocol));
        }
        if request.member_id.is_empty() {
            return self.admit_new(turn, caller, request, random);
        }
        if self.pending.contains_key(&request.member_id) {
            if request.group_instance_id.is_some() {
                // Ids are only handed out to dynamic members; a static one never waits for its own.
                return Err(refuse(ErrorCode::UnknownMemberId));
            }
            self.forget_pending(turn, &request.member_id);
            self.add_member(turn, request.member_id.detached(), caller, request);
            return Ok(());
        }
        self.check_member(&request.member_id, request.group_instance_id.as_ref()).map_err(refuse)?;
        self.join_again(turn, caller, request).map_err(refuse)
    }

    /// KIP-389: whether one more may wait to join, not counting members that are already in.
    fn has_room(&self, request: &JoinGroupRequest, max_size: usize) -> bool {
        let predecessor = request.group_instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        let member = self.members.get(predecessor.unwrap_or(&request.member_id));
        match self.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|m| m.awaiting_join.is_some()) || self.joined < max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    /// Whether the group speaks the member's type and all members share one of its protocols.
    fn supports(&self, request: &JoinGroupRequest) -> bool {
        if self.members.is_empty() {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(&request.protocol_type)
            && request.protocols.iter().any(|p| self.supporters.get(&p.name) == Some(&self.members.len()))
    }

    fn admit_new(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        random: u128,
    ) -> Result<(), Refusal> {
        if let Some(instance) = &request.group_instance_id {
            let member_id = new_member_id(instance, random);
            match self.static_members.get(instance).cloned() {
                Some(old_id) => self.replace_static_member(turn, caller, request, &old_id, member_id),
                None => self.add_member(turn, member_id, caller, request),
            }
            return Ok(());
        }
        let member_id = new_member_id(&caller.client_id, random);
        if caller.version < MEMBER_ID_REQUIRED_FROM {
            self.add_member(turn, member_id, caller, request);
            return Ok(());
        }
        let until = turn.now.monotonic + super::member::millis(request.session_timeout_ms);
        turn.deadlines.set(until, &self.id, Timer::Pending(member_id.clone()));
        self.pending.insert(member_id.clone(), until);
        Err(Refusal { error: ErrorCode::MemberIdRequired, member_id })
    }

    fn join_again(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<(), ErrorCode> {
        let Some(member) = self.members.get(&request.member_id) else { return Err(ErrorCode::UnknownMemberId) };
        let unchanged = member.matches(&request.protocols);
        let starts_rebalance = match self.state {
            GroupState::Empty => return Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => true,
            // The answer was lost on its way: give it again.
            GroupState::CompletingRebalance => !unchanged,
            // A leader that joins again wants a new assignment.
            GroupState::Stable => !unchanged || self.is_leader(&request.member_id),
        };
        if starts_rebalance {
            self.await_join(turn, caller, request);
            self.rebalance(turn);
        } else {
            self.touch(turn, &request.member_id);
            let reply = self.joined_reply(&request.member_id, caller.version);
            turn.reply(caller.request, Reply::JoinGroup(reply));
        }
        Ok(())
    }

    fn add_member(&mut self, turn: &mut Turn<'_>, id: Str, caller: &Caller, request: &JoinGroupRequest) {
        let mut member = Member::joining(id.clone(), caller, request, turn.now.monotonic);
        member.awaiting_join = Some(AwaitingJoin { request: caller.request, version: caller.version });
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.detached());
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        self.insert_member(member);
        self.touch(turn, &id);
        self.extend_initial_delay();
        self.rebalance(turn);
    }

    /// Enters a member under its id, its instance id and its protocols.
    pub(super) fn insert_member(&mut self, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        self.count_protocols(&member.protocols, true);
        self.joined += usize::from(member.awaiting_join.is_some());
        self.members.insert(member.id.clone(), member);
    }

    /// Counts a member for (or no longer for) each protocol it lists, once even if it lists one twice.
    pub(super) fn count_protocols(&mut self, protocols: &[(Str, bytes::Bytes)], supports: bool) {
        for (index, (name, _)) in protocols.iter().enumerate() {
            if protocols[..index].iter().any(|(earlier, _)| earlier == name) {
                continue;
            }
            let count = self.supporters.entry(name.clone()).or_default();
            *count = if supports { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.supporters.remove(name);
            }
        }
    }

    /// Takes over what a known member asks for and lets its request wait for the end of the join phase.
    pub(super) fn await_join(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &JoinGroupRequest) {
        let Some(mut member) = self.members.remove(&request.member_id) else { return };
        self.count_protocols(&member.protocols, false);
        member.take_timeouts(request);
        member.protocols = owned_protocols(&request.protocols);
        let awaiting = AwaitingJoin { request: caller.request, version: caller.version };
        if let Some(earlier) = member.awaiting_join.replace(awaiting) {
            // The member asked again, on another connection: whoever still waits on the first one may retry.
            self.joined -= 1;
            let reply = refused_join(earlier.version, ErrorCode::RebalanceInProgress, member.id.clone());
            turn.reply(earlier.request, Reply::JoinGroup(reply));
        }
        self.insert_member(member);
        self.touch(turn, &request.member_id);
    }

    /// Takes back an id that was handed out. Whether there was one.
    pub(super) fn forget_pending(&mut self, turn: &mut Turn<'_>, member_id: &str) -> bool {
        let Some((member_id, until)) = self.pending.remove_entry(member_id) else { return false };
        turn.deadlines.cancel(until, &self.id, Timer::Pending(member_id));
        true
    }

    /// The present generation, as the member with this id is told it: the leader gets everyone's subscription.
    pub(super) fn joined_reply(&self, member_id: &str, version: i16) -> JoinGroupResponse {
        let leads = self.is_leader(member_id) && self.state == GroupState::CompletingRebalance;
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone().or_else(|| absent_name(version)),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: Str::copy_from(member_id),
            members: if leads { self.joined_members() } else { Vec::new() },
            ..JoinGroupResponse::default()
        }
    }

    pub(super) fn joined_members(&self) -> Vec<JoinGroupResponseMember> {
        let as_joined = |member: &Member| JoinGroupResponseMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.subscription(self.protocol.as_ref()),
        };
        self.members.values().map(as_joined).collect()
    }
}

/// The answer to a JoinGroup that failed.
pub(crate) fn refused_join(version: i16, error: ErrorCode, member_id: Str) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        protocol_name: absent_name(version),
        member_id,
        ..JoinGroupResponse::default()
    }
}

/// "No protocol": null where the version can say so, empty before.
fn absent_name(version: i16) -> Option<Str> {
    if version >= 7 { None } else { Some(Str::default()) }
}

/// A member's id: who it says it is and a UUID, as Kafka forms it.
pub(crate) fn new_member_id(prefix: &str, random: u128) -> Str {
    // The version and variant bits of a random UUID (RFC 9562).
    let bits = (random & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let hex = format!("{bits:032x}");
    let mut id = String::with_capacity(prefix.len() + 37);
    id.push_str(prefix);
    for (from, to) in [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)] {
        write!(id, "-{}", &hex[from..to]).expect("a String takes everything");
    }
    Str::from(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_ends_in_a_random_uuid() {
        assert_eq!(new_member_id("c", u128::MAX).as_str(), "c-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(new_member_id("", 1).as_str(), "-00000000-0000-4000-8000-000000000001");
    }
}
