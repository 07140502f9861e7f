use raftsman_protocol::Str;
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::JoinGroupRequest;
use raftsman_protocol::messages::leave_group::LeaveGroupRequest;
use raftsman_protocol::messages::list_groups::ListedGroup;
use raftsman_protocol::messages::offset_commit::OffsetCommitRequest;
use raftsman_protocol::messages::sync_group::SyncGroupRequest;
use raftsman_types::ErrorCode;
use rand::Rng;

use super::{Caller, Reply, Request, Shard, Turn};
use crate::group::{self, Group, describe_absent, describe_stored, list_stored};
use crate::offsets::{Outcome, decide_commit, decide_delete_group, fetch};

impl Shard {
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &Request, rng: &mut dyn Rng) {
        if let Err(error) = request.check(turn.config) {
            turn.reply(caller.request, request.refusal(caller.version, error));
            return;
        }
        if let Some(group_id) = request.group_id() {
            turn.floor = self.parking.group_write(group_id);
        }
        match request {
            Request::JoinGroup(join) => self.join(turn, caller, join, rng),
            Request::SyncGroup(sync) => self.sync(turn, caller, sync),
            Request::Heartbeat(heartbeat) => self.heartbeat(turn, caller, heartbeat),
            Request::LeaveGroup(leave) => self.leave(turn, caller, leave),
            Request::OffsetCommit(commit) => self.commit(turn, caller, commit),
            Request::OffsetFetch(asked) => {
                turn.floor = self.parking.any_write(&asked.group_id);
                turn.reply(caller.request, Reply::OffsetFetch(fetch(&self.state, asked)));
            }
            Request::DescribeGroup(group_id) => self.describe(turn, caller, group_id),
            Request::ListGroups => {
                turn.floor = self.parking.last_write();
                turn.reply(caller.request, Reply::ListGroups(Ok(self.list())));
            }
            Request::DeleteGroup(group_id) => self.delete(turn, caller, group_id),
        }
        if let Some(group_id) = request.group_id() {
            self.forget_if_vacant(group_id);
        }
    }

    fn join(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &JoinGroupRequest, rng: &mut dyn Rng) {
        if !self.groups.contains_key(&request.group_id) {
            if !request.member_id.is_empty() {
                let reply = group::refused_join(caller.version, ErrorCode::UnknownMemberId, request.member_id.clone());
                turn.reply(caller.request, Reply::JoinGroup(reply));
                return;
            }
            let id = request.group_id.detached();
            self.groups.insert(id.clone(), Group::new(id, turn.now.wall));
        }
        let mut random = [0; 16];
        if request.member_id.is_empty() {
            rng.fill_bytes(&mut random);
        }
        if let Some(group) = self.groups.get_mut(&request.group_id) {
            group.join(turn, caller, request, u128::from_be_bytes(random));
        }
    }

    fn sync(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &SyncGroupRequest) {
        match self.groups.get_mut(&request.group_id) {
            Some(group) => group.sync(turn, caller, request),
            None => turn.reply(caller.request, Reply::SyncGroup(group::refused_sync(ErrorCode::UnknownMemberId))),
        }
    }

    fn heartbeat(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &HeartbeatRequest) {
        match self.groups.get_mut(&request.group_id) {
            Some(group) => group.heartbeat(turn, caller, request),
            None => {
                let refusal = Request::Heartbeat(request.clone()).refusal(caller.version, ErrorCode::UnknownMemberId);
                turn.reply(caller.request, refusal);
            }
        }
    }

    fn leave(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &LeaveGroupRequest) {
        let unknown = ErrorCode::UnknownMemberId;
        match self.groups.get_mut(&request.group_id) {
            Some(group) => group.leave(turn, caller, request),
            // The error stands with each member, or for versions without a list of them on top.
            None if request.members.is_empty() => {
                turn.reply(caller.request, Reply::LeaveGroup(group::left(unknown, Vec::new())));
            }
            None => {
                let members = request.members.iter().map(|member| group::answer_to(member, unknown)).collect();
                turn.reply(caller.request, Reply::LeaveGroup(group::left(ErrorCode::None, members)));
            }
        }
    }

    fn commit(&mut self, turn: &mut Turn<'_>, caller: &Caller, request: &OffsetCommitRequest) {
        let generation_id = request.generation_id_or_member_epoch;
        let allowed = match self.groups.get_mut(&request.group_id) {
            Some(group) => {
                let allowed = group.check_commit(generation_id, &request.member_id, request.group_instance_id.as_ref());
                if matches!(allowed, Ok(()) | Err(ErrorCode::RebalanceInProgress)) {
                    // A member that commits is alive.
                    group.touch(turn, &request.member_id);
                }
                allowed
            }
            None if generation_id < 0 => Ok(()),
            None => Err(ErrorCode::IllegalGeneration),
        };
        match allowed {
            Ok(()) => {
                let Outcome { records, reply } = decide_commit(turn.config, turn.now.wall, request);
                turn.write_offsets(records);
                turn.reply(caller.request, Reply::OffsetCommit(reply));
            }
            Err(error) => {
                turn.reply(caller.request, Request::OffsetCommit(request.clone()).refusal(caller.version, error));
            }
        }
    }

    fn describe(&self, turn: &mut Turn<'_>, caller: &Caller, group_id: &Str) {
        turn.floor = self.parking.any_write(group_id);
        let described = match self.groups.get(group_id) {
            Some(group) => group.describe(),
            None if self.stored(group_id).is_some() => describe_stored(group_id),
            None => describe_absent(group_id, caller.version),
        };
        turn.reply(caller.request, Reply::DescribeGroup(Box::new(described)));
    }

    fn list(&self) -> Vec<ListedGroup> {
        let unmanaged = self.state.groups().filter(|(id, _)| !self.groups.contains_key(*id));
        self.groups.values().map(Group::list).chain(unmanaged.map(|(id, _)| list_stored(id))).collect()
    }

    fn delete(&mut self, turn: &mut Turn<'_>, caller: &Caller, group_id: &Str) {
        turn.floor = self.parking.any_write(group_id);
        let exists = self.groups.contains_key(group_id) || self.stored(group_id).is_some();
        let answer = if !exists {
            ErrorCode::GroupIdNotFound
        } else if self.is_in_use(group_id) {
            ErrorCode::NonEmptyGroup
        } else {
            turn.write_offsets(decide_delete_group(&self.state, group_id));
            // Ids that were handed out and not used yet go with it.
            if self.stored(group_id).is_none_or(|stored| stored.metadata.is_none())
                && let Some(mut group) = self.groups.remove(group_id)
            {
                group.cancel_timers(turn);
            }
            ErrorCode::None
        };
        turn.reply(caller.request, Reply::DeleteGroup(answer));
    }
}
