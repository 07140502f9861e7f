//! What holds for every message of Kafka's protocol.

use bytes::Bytes;
use raftsman_protocol::{DecodeError, Message, Reader, Writer};

use crate::memory::bounded;

/// What a decode may hold beside eight times its input: the reader's own allowance, and as much again for errors and
/// the one array that is moved as it grows.
pub(super) const BESIDE: usize = 32 << 10;

/// Decodes a body within its memory; one that is taken must come back from its own encoding.
pub(super) fn check_body<M: Message>(body: Bytes, version: i16) -> Result<M, DecodeError> {
    let decoded = bounded(body.len(), BESIDE, || M::decode(&mut Reader::new(body), version));
    if let Ok(message) = &decoded {
        check_comes_back(message, version);
    }
    decoded
}

/// A message that was decoded can be encoded in its version, and what that decodes to encodes the same.
pub(super) fn check_comes_back<M: Message>(message: &M, version: i16) {
    let first = encode(message, version);
    let mut r = Reader::new(first.clone());
    let again = match M::decode(&mut r, version) {
        Ok(again) => again,
        // Its own encoding may be denser than the frame it came in, which may have had bytes behind it.
        Err(DecodeError::TooDense { .. }) => return,
        Err(error) => panic!("{} {version} does not come back: {error}", M::NAME),
    };
    assert_eq!(r.remaining(), 0, "{} {version} leaves bytes of its own encoding", M::NAME);
    assert_eq!(first, encode(&again, version), "{} {version} comes back as another", M::NAME);
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut w = Writer::new();
    match message.encode(&mut w, version) {
        Ok(()) => w.into_bytes(),
        Err(error) => panic!("{} {version} was decoded and cannot be encoded: {error}", M::NAME),
    }
}

/// Names every request, with the module it stands in.
macro_rules! for_each_request {
    ($name:ident!($($arguments:tt)*)) => {
        $name! { ($($arguments)*)
            alter_configs::AlterConfigsRequest,
            api_versions::ApiVersionsRequest,
            create_partitions::CreatePartitionsRequest,
            create_topics::CreateTopicsRequest,
            delete_groups::DeleteGroupsRequest,
            delete_records::DeleteRecordsRequest,
            delete_topics::DeleteTopicsRequest,
            describe_cluster::DescribeClusterRequest,
            describe_configs::DescribeConfigsRequest,
            describe_groups::DescribeGroupsRequest,
            describe_log_dirs::DescribeLogDirsRequest,
            describe_topic_partitions::DescribeTopicPartitionsRequest,
            fetch::FetchRequest,
            find_coordinator::FindCoordinatorRequest,
            heartbeat::HeartbeatRequest,
            incremental_alter_configs::IncrementalAlterConfigsRequest,
            init_producer_id::InitProducerIdRequest,
            join_group::JoinGroupRequest,
            leave_group::LeaveGroupRequest,
            list_groups::ListGroupsRequest,
            list_offsets::ListOffsetsRequest,
            metadata::MetadataRequest,
            offset_commit::OffsetCommitRequest,
            offset_fetch::OffsetFetchRequest,
            offset_for_leader_epoch::OffsetForLeaderEpochRequest,
            produce::ProduceRequest,
            sasl_authenticate::SaslAuthenticateRequest,
            sasl_handshake::SaslHandshakeRequest,
            sync_group::SyncGroupRequest,
        }
    };
}
pub(super) use for_each_request;
