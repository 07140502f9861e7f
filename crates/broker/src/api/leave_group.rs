//! LeaveGroup (key 13): members leave, or are removed.

use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers once it is certain that the members are out.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: LeaveGroupRequest, version: i16) -> Result<LeaveGroupResponse, Close> {
    let is_allowed = ctx.is_authorized(Operation::Read, Resource::Group(&request.group_id));
    let request = Request::LeaveGroup(request);
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    match reply {
        Reply::LeaveGroup(response) => Ok(response),
        other => Err(Close::because(format!("the coordinator answered a LeaveGroup with {other:?}"))),
    }
}
