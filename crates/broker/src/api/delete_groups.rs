//! DeleteGroups (key 42): deletes groups that nobody is in, with their offsets.

use futures::future::join_all;
use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::Str;
use raftsman_protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers once the deletions are committed.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: DeleteGroupsRequest, version: i16) -> Result<DeleteGroupsResponse, Close> {
    let deleted = request.groups_names.into_iter().map(|group_id| delete(ctx, group_id, version));
    let results = join_all(deleted).await.into_iter().collect::<Result<_, Close>>()?;
    Ok(DeleteGroupsResponse { results, ..Default::default() })
}

async fn delete(ctx: &Context, group_id: Str, version: i16) -> Result<DeletableGroupResult, Close> {
    let is_allowed = ctx.is_authorized(Operation::Delete, Resource::Group(&group_id));
    let request = Request::DeleteGroup(group_id.clone());
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    match reply {
        Reply::DeleteGroup(error) => {
            Ok(DeletableGroupResult { group_id, error_code: error.code(), ..Default::default() })
        }
        other => Err(Close::because(format!("the coordinator answered a DeleteGroups with {other:?}"))),
    }
}
