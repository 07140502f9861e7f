use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_groups::DescribedGroup;
use raftsman_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use raftsman_protocol::messages::list_groups::ListedGroup;
use raftsman_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use raftsman_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use raftsman_types::ErrorCode;

use crate::CoordinatorConfig;
use crate::group::{refused_join, refused_sync};
use crate::offsets::{refused_commit, refused_fetch};

/// Names a request until it is answered. The driver counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Who asks, and in which version of the API.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Names the request.
    pub request: RequestId,
    /// The request's version.
    pub version: i16,
    /// The header's client id; empty if there was none.
    pub client_id: Str,
    /// The client's address as Kafka writes it, `/127.0.0.1`.
    pub client_host: Str,
}

/// What may be asked of a shard: one group each, requests for several are split before.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A member joins.
    JoinGroup(JoinGroupRequest),
    /// A member wants its assignment.
    SyncGroup(SyncGroupRequest),
    /// A member is alive.
    Heartbeat(HeartbeatRequest),
    /// Members leave.
    LeaveGroup(LeaveGroupRequest),
    /// Offsets to store. Every topic has its name, and its id where it is known.
    OffsetCommit(OffsetCommitRequest),
    /// Offsets to read. Every topic has its name, and its id where it is known.
    OffsetFetch(OffsetFetchRequestGroup),
    /// What is known of a group.
    DescribeGroup(Str),
    /// All groups.
    ListGroups,
    /// A group to delete with its offsets.
    DeleteGroup(Str),
}

/// The answers, in the order of [`Request`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each answers the request of its name")]
pub enum Reply {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    DescribeGroup(Box<DescribedGroup>),
    ListGroups(Result<Vec<ListedGroup>, ErrorCode>),
    DeleteGroup(ErrorCode),
}

impl Request {
    /// The group it is about; none for a list of them all.
    pub fn group_id(&self) -> Option<&Str> {
        match self {
            Request::JoinGroup(request) => Some(&request.group_id),
            Request::SyncGroup(request) => Some(&request.group_id),
            Request::Heartbeat(request) => Some(&request.group_id),
            Request::LeaveGroup(request) => Some(&request.group_id),
            Request::OffsetCommit(request) => Some(&request.group_id),
            Request::OffsetFetch(request) => Some(&request.group_id),
            Request::DescribeGroup(group_id) | Request::DeleteGroup(group_id) => Some(group_id),
            Request::ListGroups => None,
        }
    }

    /// What is wrong with the request whatever the state of its group. Checked before its coordinator is looked for.
    ///
    /// # Errors
    /// INVALID_GROUP_ID for a member of the group with the empty name (offsets may be stored for it, as ever);
    /// INVALID_SESSION_TIMEOUT outside of the configured bounds.
    pub fn check(&self, config: &CoordinatorConfig) -> Result<(), ErrorCode> {
        let is_membership = matches!(
            self,
            Request::JoinGroup(_) | Request::SyncGroup(_) | Request::Heartbeat(_) | Request::LeaveGroup(_)
        );
        if is_membership && self.group_id().is_some_and(|group_id| group_id.is_empty()) {
            return Err(ErrorCode::InvalidGroupId);
        }
        if let Request::JoinGroup(join) = self {
            let allowed = config.min_session_timeout_ms..=config.max_session_timeout_ms;
            if !allowed.contains(&join.session_timeout_ms) {
                return Err(ErrorCode::InvalidSessionTimeout);
            }
        }
        Ok(())
    }

    /// The answer that the request as a whole failed.
    pub fn refusal(&self, version: i16, error: ErrorCode) -> Reply {
        match self {
            Request::JoinGroup(request) => Reply::JoinGroup(refused_join(version, error, request.member_id.clone())),
            Request::SyncGroup(_) => Reply::SyncGroup(refused_sync(error)),
            Request::Heartbeat(_) => {
                Reply::Heartbeat(HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() })
            }
            Request::LeaveGroup(_) => {
                Reply::LeaveGroup(LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() })
            }
            Request::OffsetCommit(request) => Reply::OffsetCommit(refused_commit(request, error)),
            Request::OffsetFetch(request) => Reply::OffsetFetch(refused_fetch(&request.group_id, error)),
            Request::DescribeGroup(group_id) => Reply::DescribeGroup(Box::new(DescribedGroup {
                error_code: error.code(),
                group_id: group_id.clone(),
                ..DescribedGroup::default()
            })),
            Request::ListGroups => Reply::ListGroups(Err(error)),
            Request::DeleteGroup(_) => Reply::DeleteGroup(error),
        }
    }
}
