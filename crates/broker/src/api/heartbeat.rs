//! Heartbeat (key 12): a member is alive, and hears of rebalances.

use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers from the group's state.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: HeartbeatRequest, version: i16) -> Result<HeartbeatResponse, Close> {
    let is_allowed = ctx.is_authorized(Operation::Read, Resource::Group(&request.group_id));
    let request = Request::Heartbeat(request);
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    match reply {
        Reply::Heartbeat(response) => Ok(response),
        other => Err(Close::because(format!("the coordinator answered a Heartbeat with {other:?}"))),
    }
}
