use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_protocol::messages::group_metadata_record::{GroupMetadataValue, MemberMetadata};
use raftsman_types::WallTime;

use super::member::{Member, millis};
use super::{Group, GroupState};
use crate::record::Record;
use crate::shard::Turn;

/// The group's record would be larger than the offsets topic takes.
#[derive(Debug)]
pub(super) struct RecordTooLarge;

/// Bytes of a member's record besides its texts and blobs, rounded up.
const MEMBER_OVERHEAD: usize = 64;

impl Group {
    /// Records the generation with all its members and assignments.
    pub(super) fn store_members(&self, turn: &mut Turn<'_>) -> Result<(), RecordTooLarge> {
        let value = self.value(self.members.values().map(|member| self.member_value(member)).collect());
        let size: usize = value.members.iter().map(member_size).sum();
        if size > turn.config.max_record_bytes {
            let (limit, members) = (turn.config.max_record_bytes, value.members.len());
            tracing::error!(group = %self.id, size, limit, members,
                "the group's assignment cannot be stored: raise max.message.bytes of __consumer_offsets");
            return Err(RecordTooLarge);
        }
        turn.write_group(Record::Group { group: self.id.clone(), value: Some(value) });
        Ok(())
    }

    /// Records that nobody is left.
    pub(super) fn store_empty(&self, turn: &mut Turn<'_>) {
        turn.write_group(Record::Group { group: self.id.clone(), value: Some(self.value(Vec::new())) });
    }

    fn value(&self, members: Vec<MemberMetadata>) -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since.0,
            members,
        }
    }

    fn member_value(&self, member: &Member) -> MemberMetadata {
        MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: as_millis(member.rebalance_timeout),
            session_timeout: as_millis(member.session_timeout),
            subscription: member.subscription(self.protocol.as_ref()),
            assignment: member.assignment.clone(),
        }
    }

    /// A group as its record tells it. Its members get a whole session from now on.
    pub(crate) fn restore(id: Str, stored: &GroupMetadataValue, turn: &mut Turn<'_>) -> Group {
        let mut group = Group::new(id, WallTime(stored.current_state_timestamp));
        group.protocol_type = Some(stored.protocol_type.clone()).filter(|name| !name.is_empty());
        group.generation = stored.generation;
        if !stored.members.is_empty() {
            group.state = GroupState::Stable;
            group.protocol = stored.protocol.clone();
            group.leader = stored.leader.clone();
        }
        for stored_member in &stored.members {
            let member = restored(stored_member, group.protocol.as_ref(), turn);
            group.insert_member(member);
            group.touch(turn, &stored_member.member_id);
        }
        group.subscribed_topics = group.read_subscriptions();
        if group.members.len() > turn.config.max_size {
            // `group.max.size` was lowered: those who join first stay.
            group.rebalance(turn);
        }
        group
    }
}

fn restored(stored: &MemberMetadata, protocol: Option<&Str>, turn: &Turn<'_>) -> Member {
    let session_timeout = millis(stored.session_timeout);
    Member {
        id: stored.member_id.clone(),
        instance_id: stored.group_instance_id.clone(),
        client_id: stored.client_id.clone(),
        client_host: stored.client_host.clone(),
        // The oldest records have no rebalance timeout.
        rebalance_timeout: if stored.rebalance_timeout < 0 {
            session_timeout
        } else {
            millis(stored.rebalance_timeout)
        },
        session_timeout,
        protocols: protocol.map(|name| (name.clone(), stored.subscription.clone())).into_iter().collect(),
        assignment: stored.assignment.clone(),
        awaiting_join: None,
        awaiting_sync: None,
        owes_sync: false,
        is_new: false,
        session_ends: turn.now.monotonic,
        session_timer: None,
    }
}

fn member_size(member: &MemberMetadata) -> usize {
    let texts = [&member.member_id, &member.client_id, &member.client_host];
    let instance = member.group_instance_id.as_ref().map_or(0, Str::len);
    let texts: usize = texts.into_iter().map(Str::len).sum();
    texts + instance + member.subscription.len() + member.assignment.len() + MEMBER_OVERHEAD
}

/// As it came from the wire, where it was an `i32`.
fn as_millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
