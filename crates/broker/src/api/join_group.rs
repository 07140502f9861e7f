//! JoinGroup (key 11): a member enters a group, or comes back to one.

use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers when the join phase ends, which may take as long as the slowest member.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: JoinGroupRequest, version: i16) -> Result<JoinGroupResponse, Close> {
    let is_allowed = ctx.is_authorized(Operation::Read, Resource::Group(&request.group_id));
    let request = Request::JoinGroup(request);
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    match reply {
        Reply::JoinGroup(response) => Ok(response),
        other => Err(Close::because(format!("the coordinator answered a JoinGroup with {other:?}"))),
    }
}
