//! See the crate's `hostile`.

use bytes::Bytes;
use prost::Message;
use raftsman_rpc::{ConvertError, controller as pb};

use super::convert::{administer, allocate_producer_ids, alter_partition, heartbeat, register_broker};

pub(crate) fn message(kind: u8, bytes: Bytes) {
    match kind % 5 {
        0 => take(pb::RegisterBrokerRequest::decode(bytes), register_broker),
        1 => take(pb::BrokerHeartbeat::decode(bytes), heartbeat),
        2 => take(pb::AlterPartitionRequest::decode(bytes), alter_partition),
        3 => take(pb::AllocateProducerIdsRequest::decode(bytes), allocate_producer_ids),
        _ => take(pb::AdministerRequest::decode(bytes), administer),
    }
}

/// Gives what could be decoded to its conversion. A refusal is as good as a success here.
fn take<M, T>(decoded: Result<M, prost::DecodeError>, convert: impl FnOnce(&M) -> Result<T, ConvertError>) {
    if let Ok(message) = decoded {
        drop(convert(&message));
    }
}
