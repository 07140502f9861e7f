//! SyncGroup (key 14): a member asks for its assignment; the leader brings everyone's.

use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers when the leader's assignment is stored.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: SyncGroupRequest, version: i16) -> Result<SyncGroupResponse, Close> {
    let is_allowed = ctx.is_authorized(Operation::Read, Resource::Group(&request.group_id));
    let request = Request::SyncGroup(request);
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    match reply {
        Reply::SyncGroup(response) => Ok(response),
        other => Err(Close::because(format!("the coordinator answered a SyncGroup with {other:?}"))),
    }
}
