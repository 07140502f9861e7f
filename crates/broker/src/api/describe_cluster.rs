//! DescribeCluster (key 60, KIP-700): the cluster's id, its brokers, and where to send changes.

use raftsman_metadata::{BrokerRegistration, Listener};
use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::cluster_view::ClusterView;
use super::{Close, Context};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers from the cached image.
pub async fn handle(
    ctx: &Context,
    request: DescribeClusterRequest,
    _version: i16,
) -> Result<DescribeClusterResponse, Close> {
    if !ctx.is_authorized(Operation::Describe, Resource::Cluster) {
        return Ok(refused(ErrorCode::ClusterAuthorizationFailed, "Authorization failed."));
    }
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return Ok(refused(ErrorCode::MismatchedEndpointType, message));
        }
        _ => return Ok(refused(ErrorCode::UnsupportedEndpointType, "Unsupported endpoint type")),
    }
    let image = ctx.state.metadata.load();
    let view = ClusterView::new(ctx, &image);
    let describe = |(broker, endpoint): (&BrokerRegistration, &Listener)| DescribeClusterBroker {
        broker_id: broker.id.0,
        host: Str::copy_from(&endpoint.host),
        port: i32::from(endpoint.port),
        rack: broker.rack.as_deref().map(Str::copy_from),
        is_fenced: !view.is_alive(broker.id),
    };
    let mut brokers: Vec<DescribeClusterBroker> = view.brokers().map(describe).collect();
    if request.include_fenced_brokers {
        brokers.extend(view.fenced_brokers().map(describe));
    }
    let operations = request.include_cluster_authorized_operations;
    Ok(DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: Str::copy_from(image.cluster_id.as_deref().unwrap_or_default()),
        controller_id: view.controller(ctx.state.identity.node_id).0,
        brokers,
        cluster_authorized_operations: if operations { ctx.authorized_operations(Resource::Cluster) } else { i32::MIN },
        ..Default::default()
    })
}

fn refused(code: ErrorCode, message: &'static str) -> DescribeClusterResponse {
    DescribeClusterResponse { error_code: code.code(), error_message: Some(Str::from(message)), ..Default::default() }
}
