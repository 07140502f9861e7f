use bytes::Bytes;
use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use raftsman_protocol::messages::list_groups::ListedGroup;
use raftsman_types::ErrorCode;

use super::{Group, GroupState, Member};

/// The first version that answers an error for a group that is not there (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;
/// The type of every group here, as against KIP-848's and later ones.
const GROUP_TYPE: &str = "classic";

impl Group {
    /// The group and its members. What the members sent and were assigned is shown while it is settled.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let settled = self.state == GroupState::Stable;
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state.name().into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: self.protocol.clone().filter(|_| settled).unwrap_or_default(),
            members: self.members.values().map(|member| self.describe_member(member, settled)).collect(),
            ..DescribedGroup::default()
        }
    }

    fn describe_member(&self, member: &Member, settled: bool) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: if settled { member.subscription(self.protocol.as_ref()) } else { Bytes::new() },
            member_assignment: if settled { member.assignment.clone() } else { Bytes::new() },
        }
    }

    /// The group in a list.
    pub(crate) fn list(&self) -> ListedGroup {
        listed(self.id.clone(), self.protocol_type.clone().unwrap_or_default(), self.state)
    }
}

/// A group that only stores offsets.
pub(crate) fn describe_stored(group_id: &Str) -> DescribedGroup {
    DescribedGroup {
        group_id: group_id.clone(),
        group_state: GroupState::Empty.name().into(),
        ..DescribedGroup::default()
    }
}

/// A group that is not there.
pub(crate) fn describe_absent(group_id: &Str, version: i16) -> DescribedGroup {
    let mut described =
        DescribedGroup { group_id: group_id.clone(), group_state: "Dead".into(), ..DescribedGroup::default() };
    if version >= NOT_FOUND_FROM {
        described.error_code = ErrorCode::GroupIdNotFound.code();
        described.error_message = Some(Str::from(format!("Group {group_id} not found.")));
    }
    described
}

/// A group that only stores offsets, in a list.
pub(crate) fn list_stored(group_id: &Str) -> ListedGroup {
    listed(group_id.clone(), Str::default(), GroupState::Empty)
}

fn listed(group_id: Str, protocol_type: Str, state: GroupState) -> ListedGroup {
    ListedGroup { group_id, protocol_type, group_state: state.name().into(), group_type: GROUP_TYPE.into() }
}
