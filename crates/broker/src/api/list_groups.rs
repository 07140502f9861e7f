//! ListGroups (key 16): the groups that this broker coordinates.

use raftsman_protocol::Str;
use raftsman_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::coordinator::Asker;

/// Answers with those of the wanted states and types; all, if none are named.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: ListGroupsRequest, version: i16) -> Result<ListGroupsResponse, Close> {
    let (mut groups, error) = ctx.state.coordinator.list_groups(&Asker::of(ctx, version)).await;
    groups.retain(|group| is_wanted(&request, group));
    groups.retain(|group| {
        ctx.is_authorized(Operation::Describe, Resource::Cluster)
            || ctx.is_authorized(Operation::Describe, Resource::Group(&group.group_id))
    });
    Ok(ListGroupsResponse { error_code: error.code(), groups, ..Default::default() })
}

fn is_wanted(request: &ListGroupsRequest, group: &ListedGroup) -> bool {
    let names = |filter: &[Str], value: &Str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value));
    names(&request.states_filter, &group.group_state) && names(&request.types_filter, &group.group_type)
}
