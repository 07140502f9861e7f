//! InitProducerId (key 22): an id for an idempotent producer.

use raftsman_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};

/// Answers with an id that no other producer of the cluster has had, at epoch 0.
pub async fn handle(
    ctx: &Context,
    request: InitProducerIdRequest,
    _version: i16,
) -> Result<InitProducerIdResponse, Close> {
    if !ctx.is_authorized(Operation::IdempotentWrite, Resource::Cluster) {
        return Ok(refused(ErrorCode::ClusterAuthorizationFailed));
    }
    match request.transactional_id.as_deref() {
        Some("") => return Ok(refused(ErrorCode::InvalidRequest)),
        // There is no transaction coordinator in this version: what Kafka says while it has none.
        Some(_) => return Ok(refused(ErrorCode::CoordinatorNotAvailable)),
        None => {}
    }
    match ctx.state.producer_ids.next().await {
        Ok(id) => Ok(InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() }),
        Err(error) => {
            tracing::info!(client = %ctx.client_address, "no producer id could be given: {error}");
            // Retriable, and what Kafka says while it waits for a block of ids.
            Ok(refused(ErrorCode::CoordinatorLoadInProgress))
        }
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_epoch: -1, ..Default::default() }
}
