//! Replies of the controller to gRPC.
//!
//! A reply of `decide`, an error included, goes out as a message with Kafka's code. A request without a reply becomes a status:
//! `UNAVAILABLE` (ask the active controller, which the metadata may name), `RESOURCE_EXHAUSTED`, `INVALID_ARGUMENT` and
//! `FAILED_PRECONDITION` mean that nothing was done; `ABORTED` and `DEADLINE_EXCEEDED` that it may have been done.

use raftsman_rpc::{ACTIVE_CONTROLLER_KEY, ConvertError, controller as pb, id_bytes, partition_to_pb};
use raftsman_types::ErrorCode;
use tonic::Status;

use crate::actor::NotDecided;
use crate::decide::{OperationResult, PartitionIsrResult, Reply, RequestError};
use crate::heartbeat::HeartbeatReply;

/// Status for a message that is none.
pub(super) fn garbled(error: &ConvertError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Status of a controller that is not active, with the active one's address where it is known.
pub(super) fn not_active(active: Option<&str>) -> Status {
    let mut status = Status::unavailable("this controller is not active");
    if let Some(value) = active.and_then(|address| address.parse().ok()) {
        status.metadata_mut().insert(ACTIVE_CONTROLLER_KEY, value);
    }
    status
}

/// Status for a request that was not decided.
pub(super) fn not_decided(reason: NotDecided, active: Option<&str>) -> Status {
    match reason {
        NotDecided::NotActive => not_active(active),
        NotDecided::Overloaded => Status::resource_exhausted(reason.to_string()),
        NotDecided::Unknown => Status::aborted(reason.to_string()),
    }
}

/// A reply of another kind than the request's: a mistake of ours, which must not pass for an outcome.
pub(super) fn mismatched(reply: &Reply) -> Status {
    tracing::error!(?reply, "the controller answered a request with another request's reply");
    Status::internal("the controller answered another request")
}

fn code(code: ErrorCode) -> i32 {
    code.code().into()
}

pub(super) fn register_broker(reply: Reply) -> Result<pb::RegisterBrokerReply, Status> {
    match reply {
        Reply::RegisterBroker(Ok(registered)) => Ok(pb::RegisterBrokerReply {
            error_code: 0,
            error_message: String::new(),
            broker_epoch: registered.broker_epoch.0,
            cluster_id: registered.cluster_id.to_string(),
        }),
        Reply::RegisterBroker(Err(RequestError { code: error, message })) => Ok(pb::RegisterBrokerReply {
            error_code: code(error),
            error_message: message,
            broker_epoch: -1,
            cluster_id: String::new(),
        }),
        other => Err(mismatched(&other)),
    }
}

pub(super) fn heartbeat(reply: HeartbeatReply) -> pb::BrokerHeartbeatReply {
    pb::BrokerHeartbeatReply { error_code: code(reply.error), fenced: reply.fenced, may_shut_down: reply.may_shut_down }
}

fn partition_result(result: &PartitionIsrResult) -> pb::PartitionIsrResult {
    pb::PartitionIsrResult {
        at: Some(result.at.into()),
        error_code: code(result.error),
        state: result.state.as_deref().map(partition_to_pb),
    }
}

pub(super) fn alter_partition(reply: Reply) -> Result<pb::AlterPartitionReply, Status> {
    match reply {
        Reply::AlterPartition(Ok(results)) => {
            Ok(pb::AlterPartitionReply { error_code: 0, results: results.iter().map(partition_result).collect() })
        }
        Reply::AlterPartition(Err(error)) => {
            Ok(pb::AlterPartitionReply { error_code: code(error.code), results: Vec::new() })
        }
        other => Err(mismatched(&other)),
    }
}

pub(super) fn assign_directories(reply: Reply) -> Result<pb::AssignDirectoriesReply, Status> {
    match reply {
        Reply::Done(Ok(())) => Ok(pb::AssignDirectoriesReply { error_code: 0 }),
        Reply::Done(Err(error)) => Ok(pb::AssignDirectoriesReply { error_code: code(error.code) }),
        other => Err(mismatched(&other)),
    }
}

pub(super) fn allocate_producer_ids(reply: Reply) -> Result<pb::AllocateProducerIdsReply, Status> {
    match reply {
        Reply::AllocateProducerIds(Ok(block)) => Ok(pb::AllocateProducerIdsReply {
            error_code: 0,
            first_producer_id: block.first_producer_id,
            count: block.count,
        }),
        Reply::AllocateProducerIds(Err(error)) => {
            Ok(pb::AllocateProducerIdsReply { error_code: code(error.code), first_producer_id: -1, count: 0 })
        }
        other => Err(mismatched(&other)),
    }
}

fn operation_result(result: OperationResult) -> pb::OperationResult {
    pb::OperationResult {
        error_code: code(result.error),
        error_message: result.message.unwrap_or_default(),
        name: result.name.map(|name| name.to_string()).unwrap_or_default(),
        topic_id: id_bytes(result.topic_id.0),
        partition_count: result.partition_count,
        replication_factor: result.replication_factor,
    }
}

/// An error for the whole request is every item's.
pub(super) fn administer(reply: Reply, version: u64, names: Vec<String>) -> Result<pb::AdministerReply, Status> {
    let results = match reply {
        Reply::Administer(Ok(results)) => results.into_iter().map(operation_result).collect(),
        Reply::Administer(Err(error)) => names
            .into_iter()
            .map(|name| pb::OperationResult {
                error_code: code(error.code),
                error_message: error.message.clone(),
                name,
                partition_count: -1,
                replication_factor: -1,
                ..Default::default()
            })
            .collect(),
        other => return Err(mismatched(&other)),
    };
    Ok(pb::AdministerReply { results, version })
}
