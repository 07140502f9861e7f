//! FindCoordinator (key 10): which broker coordinates a group. The first one asked for creates the offsets topic.

use std::time::{Duration, Instant};

use raftsman_coordinator::partition_for;
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use raftsman_types::{BrokerId, ErrorCode};

use super::authorize::{Operation, Resource};
use super::cluster_view::ClusterView;
use super::{Close, Context, auto_topics};
use crate::coordinator::OFFSETS_TOPIC;

/// From this version on a request has several keys (KIP-699).
const SEVERAL_KEYS_FROM: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// How often at most it is said that the offsets topic cannot be created.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Why there is no coordinator to name.
struct Refusal {
    error: ErrorCode,
    message: Str,
}

/// A coordinator's place, for one client.
struct Place {
    node: BrokerId,
    host: Str,
    port: i32,
}

/// Answers from the metadata, once there is an offsets topic.
pub async fn handle(
    ctx: &Context,
    request: FindCoordinatorRequest,
    version: i16,
) -> Result<FindCoordinatorResponse, Close> {
    if request.key_type == GROUP {
        create_offsets_topic(ctx).await;
    }
    let image = ctx.state.metadata.load();
    let find = |key: &Str| find(ctx, &image, request.key_type, key);
    if version < SEVERAL_KEYS_FROM {
        return Ok(respond_one(find(&request.key), version));
    }
    let coordinators = request.coordinator_keys.iter().map(|key| coordinator(key.clone(), find(key))).collect();
    Ok(FindCoordinatorResponse { coordinators, error_message: None, ..Default::default() })
}

fn find(ctx: &Context, image: &MetadataImage, key_type: i8, key: &Str) -> Result<Place, Refusal> {
    match key_type {
        GROUP => {}
        TRANSACTION => return Err(refuse(ErrorCode::UnsupportedVersion, "Transactions are not supported yet.")),
        _ => return Err(refuse(ErrorCode::InvalidRequest, "No coordinator of this type is served.")),
    }
    if !ctx.is_authorized(Operation::Describe, Resource::Group(key)) {
        return Err(refuse(ErrorCode::GroupAuthorizationFailed, "Group authorization failed."));
    }
    let not_available = || refuse(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available.");
    let topic = image.topic_by_name(OFFSETS_TOPIC).ok_or_else(not_available)?;
    let index = partition_for(key, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
    let view = ClusterView::new(ctx, image);
    let leader = topic.partition(index).map(|partition| view.leader(partition)).ok_or_else(not_available)?;
    let broker = view.brokers().find(|(broker, _)| broker.id == leader.id);
    let (broker, endpoint) = broker.ok_or_else(not_available)?;
    Ok(Place { node: broker.id, host: Str::copy_from(&endpoint.host), port: i32::from(endpoint.port) })
}

fn refuse(error: ErrorCode, message: &'static str) -> Refusal {
    Refusal { error, message: message.into() }
}

fn coordinator(key: Str, found: Result<Place, Refusal>) -> Coordinator {
    match found {
        Ok(place) => Coordinator {
            key,
            node_id: place.node.0,
            host: place.host,
            port: place.port,
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        Err(refusal) => Coordinator {
            key,
            node_id: BrokerId::NONE.0,
            host: Str::default(),
            port: -1,
            error_code: refusal.error.code(),
            error_message: Some(refusal.message),
        },
    }
}

fn respond_one(found: Result<Place, Refusal>, version: i16) -> FindCoordinatorResponse {
    let Coordinator { node_id, host, port, error_code, error_message, .. } = coordinator(Str::default(), found);
    // Version 0 has no message at all.
    let error_message = error_message.filter(|_| version > 0);
    FindCoordinatorResponse { error_code, error_message, node_id, host, port, ..Default::default() }
}

/// Creates the offsets topic if it is missing and enough brokers are registered for its replication factor. As in KRaft
/// a broker that is down just now is given its replicas all the same.
async fn create_offsets_topic(ctx: &Context) {
    if ctx.state.metadata.load().topic_by_name(OFFSETS_TOPIC).is_some() {
        return;
    }
    // Clients ask all at once when a cluster starts: one creates, the others find the topic there.
    let mut last_complaint = ctx.state.coordinator.creation().lock().await;
    let image = ctx.state.metadata.load();
    if image.topic_by_name(OFFSETS_TOPIC).is_some() {
        return;
    }
    let registered = image.brokers.len();
    let wanted = ctx.state.config.groups.offsets_topic_replication_factor;
    if usize::try_from(wanted).is_ok_and(|wanted| registered < wanted) {
        if last_complaint.is_none_or(|last| last.elapsed() > COMPLAINT_INTERVAL) {
            *last_complaint = Some(Instant::now());
            tracing::error!(
                "consumer groups are not available: {OFFSETS_TOPIC} needs {wanted} brokers and there are {registered}; \
                 start more, or set offsets.topic.replication.factor={registered}"
            );
        }
        return;
    }
    auto_topics::create(&ctx.state, &[OFFSETS_TOPIC.into()]).await;
}

#[cfg(test)]
mod tests {
    use raftsman_protocol::{Message, Writer};

    use super::*;

    #[test]
    fn a_refusal_fits_every_version() {
        for version in 0..=6 {
            let refusal = || Err(refuse(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available."));
            let response = if version < SEVERAL_KEYS_FROM {
                respond_one(refusal(), version)
            } else {
                let coordinators = vec![coordinator("g".into(), refusal())];
                FindCoordinatorResponse { coordinators, error_message: None, ..Default::default() }
            };
            response.encode(&mut Writer::new(), version).expect("every version can carry its own form");
            let code = response.coordinators.first().map_or(response.error_code, |c| c.error_code);
            assert_eq!(code, ErrorCode::CoordinatorNotAvailable.code());
        }
    }
}
