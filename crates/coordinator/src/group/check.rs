use raftsman_protocol::Str;
use raftsman_types::ErrorCode;

use super::{Group, GroupState};

impl Group {
    /// Whether the sender is who it says: a static member is found by its instance id and fenced when another process
    /// has taken its place (KIP-345).
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&Str>) -> Result<(), ErrorCode> {
        match instance_id {
            Some(instance) => match self.static_members.get(instance) {
                None => Err(ErrorCode::UnknownMemberId),
                Some(current) if *current != *member_id => Err(ErrorCode::FencedInstanceId),
                Some(_) => Ok(()),
            },
            None if self.members.contains_key(member_id) => Ok(()),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    pub(super) fn check_generation(&self, generation_id: i32) -> Result<(), ErrorCode> {
        if generation_id == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }

    /// Whether the sender of an OffsetCommit may commit. A consumer without a group (negative generation) may while
    /// nobody is in the group; a member may in its own generation, except between joining and having its assignment.
    pub(crate) fn check_commit(
        &self,
        generation_id: i32,
        member_id: &str,
        instance_id: Option<&Str>,
    ) -> Result<(), ErrorCode> {
        if generation_id < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        self.check_member(member_id, instance_id)?;
        self.check_generation(generation_id)?;
        if self.state == GroupState::CompletingRebalance { Err(ErrorCode::RebalanceInProgress) } else { Ok(()) }
    }
}
