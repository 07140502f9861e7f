//! DescribeGroups (key 15): state and members of groups.

use std::collections::HashSet;

use futures::future::join_all;
use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers each group from its coordinator's state.
///
/// # Errors
/// None that end the connection.
pub async fn handle(
    ctx: &Context,
    request: DescribeGroupsRequest,
    version: i16,
) -> Result<DescribeGroupsResponse, Close> {
    let with_operations = request.include_authorized_operations;
    // Named again, a group with many members is not described again: the answer must not outgrow the request so.
    let mut seen = HashSet::new();
    let once = request.groups.into_iter().filter(|group_id| seen.insert(group_id.clone()));
    let described = once.map(|group_id| describe(ctx, group_id, with_operations, version));
    let groups = join_all(described).await.into_iter().collect::<Result<_, Close>>()?;
    Ok(DescribeGroupsResponse { groups, ..Default::default() })
}

async fn describe(ctx: &Context, group_id: Str, with_operations: bool, version: i16) -> Result<DescribedGroup, Close> {
    let is_allowed = ctx.is_authorized(Operation::Describe, Resource::Group(&group_id));
    let request = Request::DescribeGroup(group_id.clone());
    let reply = if is_allowed {
        ctx.state.coordinator.ask(&Asker::of(ctx, version), &request).await
    } else {
        request.refusal(version, ErrorCode::GroupAuthorizationFailed)
    };
    let Reply::DescribeGroup(mut described) = reply else {
        return Err(Close::because(format!("the coordinator answered a DescribeGroups with {reply:?}")));
    };
    if with_operations && described.error_code == ErrorCode::None.code() {
        described.authorized_operations = ctx.authorized_operations(Resource::Group(&group_id));
    }
    Ok(*described)
}
