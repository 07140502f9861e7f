use raftsman_protocol::Str;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use raftsman_types::ErrorCode;

use super::join::refused_join;
use super::member::{AwaitingJoin, owned_protocols};
use super::sync::refused_sync;
use super::{Group, GroupState};
use crate::shard::{Caller, Reply, Turn};

/// The first version that can tell a leader it leads but need not assign (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

impl Group {
    /// A static member came back as another process (KIP-345): it takes its predecessor's place under a new member id,
    /// and in a stable group its assignment too, without a rebalance.
    pub(super) fn replace_static_member(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        old_id: &Str,
        new_id: Str,
    ) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        self.cancel_session(turn, old_id, &mut member.session_timer);
        self.count_protocols(&member.protocols, false);
        if let Some(earlier) = member.awaiting_join.take() {
            self.joined -= 1;
            let reply = refused_join(earlier.version, ErrorCode::FencedInstanceId, old_id.clone());
            turn.reply(earlier.request, Reply::JoinGroup(reply));
        }
        if let Some(earlier) = member.awaiting_sync.take() {
            turn.reply(earlier, Reply::SyncGroup(refused_sync(ErrorCode::FencedInstanceId)));
        }
        let old_leader = self.leader.clone();
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        member.id = new_id.clone();
        member.client_id = caller.client_id.detached();
        member.client_host = caller.client_host.detached();
        member.take_timeouts(request);
        member.protocols = owned_protocols(&request.protocols);
        self.insert_member(member);
        self.touch(turn, &new_id);

        if self.state == GroupState::Stable && self.select_protocol() == self.protocol {
            self.hand_over(turn, caller, &new_id, old_leader);
            return;
        }
        self.await_handed_over(caller, &new_id);
        self.rebalance(turn);
    }

    fn await_handed_over(&mut self, caller: &Caller, member_id: &Str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.awaiting_join = Some(AwaitingJoin { request: caller.request, version: caller.version });
        self.joined += 1;
    }

    /// Stores the group with the new member id and tells the member the generation that goes on.
    fn hand_over(&mut self, turn: &mut Turn<'_>, caller: &Caller, member_id: &Str, old_leader: Option<Str>) {
        if self.store_members(turn).is_err() {
            // The record has become too large to write; a new assignment may be smaller.
            self.await_handed_over(caller, member_id);
            self.rebalance(turn);
            return;
        }
        let mut reply = self.joined_reply(member_id, caller.version);
        if caller.version >= SKIP_ASSIGNMENT_FROM {
            reply.skip_assignment = self.is_leader(member_id);
            reply.members = if reply.skip_assignment { self.joined_members() } else { Vec::new() };
        } else {
            // Older clients would assign anew if told that they lead: they hear of the leader before them.
            reply = JoinGroupResponse { leader: old_leader.unwrap_or_default(), ..reply };
        }
        turn.reply(caller.request, Reply::JoinGroup(reply));
    }
}
