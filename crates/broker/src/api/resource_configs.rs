use std::collections::HashMap;
use std::hash::Hash;

use raftsman_metadata::ConfigResourceType;
use raftsman_rpc::controller::{self as pb, administer_request::Operation as Change};
use raftsman_types::ErrorCode;

use super::Context;
use super::authorize::{Operation, Resource};
use super::forward::{Outcome, administer};

const TIMEOUT_MS: i32 = 30_000;

/// One resource's changes, as both ways to alter configurations ask for them.
pub(super) struct Alteration {
    pub(super) resource_type: i8,
    pub(super) resource_name: String,
    pub(super) operations: Vec<pb::ConfigOperation>,
}

/// Forwards changes of settings; one outcome per resource, in order.
pub(super) async fn alter(
    ctx: &Context,
    alterations: Vec<Alteration>,
    validate_only: bool,
    incremental: bool,
) -> Vec<Outcome> {
    let counts = count(alterations.iter().map(|a| (a.resource_type, a.resource_name.as_str())));
    let refusals: Vec<Option<Outcome>> = alterations.iter().map(|a| refusal(ctx, a, &counts)).collect();
    let valid = alterations.into_iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
    let resources: Vec<pb::ResourceConfigs> = valid
        .map(|(a, _)| pb::ResourceConfigs {
            resource_type: i32::from(a.resource_type),
            resource_name: a.resource_name,
            operations: a.operations,
        })
        .collect();
    let parts = resources.len();
    let change = Change::AlterConfigs(pb::AlterConfigs { resources, validate_only, incremental });
    let mut results = administer(ctx, change, parts, TIMEOUT_MS).await.map(Vec::into_iter);
    let outcomes = refusals.into_iter().map(|refusal| match (refusal, &mut results) {
        (Some(outcome), _) => outcome,
        (None, Err(outcome)) => outcome.clone(),
        (None, Ok(results)) => Outcome::of_result(&results.next().unwrap_or_default()),
    });
    outcomes.collect()
}

fn refusal(ctx: &Context, alteration: &Alteration, counts: &HashMap<(i8, String), usize>) -> Option<Outcome> {
    let invalid = |message: String| Some(Outcome::of(ErrorCode::InvalidRequest, message));
    let key = (alteration.resource_type, alteration.resource_name.clone());
    if counts.get(&key).is_some_and(|count| *count > 1) {
        return invalid("Each resource must appear at most once.".to_owned());
    }
    let name = &alteration.resource_name;
    let (resource, denied) = match ConfigResourceType::from_code(alteration.resource_type) {
        Some(ConfigResourceType::Topic) => (Resource::Topic(name), ErrorCode::TopicAuthorizationFailed),
        Some(ConfigResourceType::Broker) => (Resource::Cluster, ErrorCode::ClusterAuthorizationFailed),
        Some(other) => return invalid(format!("{other:?} resources cannot be altered in this version.")),
        None => return invalid(format!("Unknown resource type {}.", alteration.resource_type)),
    };
    let may = ctx.is_authorized(Operation::AlterConfigs, resource);
    (!may).then(|| Outcome::of(denied, "Authorization failed."))
}

fn count<'a>(keys: impl Iterator<Item = (i8, &'a str)>) -> HashMap<(i8, String), usize>
where
    (i8, String): Hash + Eq,
{
    let mut counts = HashMap::new();
    for (resource_type, name) in keys {
        *counts.entry((resource_type, name.to_owned())).or_default() += 1;
    }
    counts
}
