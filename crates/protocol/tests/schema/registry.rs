// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.

//! Reads and writes a message that is known by name only.

use bytes::Bytes;
use raftsman_protocol::messages;

use super::{Recoded, recode};

/// Decodes `body` and encodes it again; `None` for a name that is no message.
pub fn recode_by_name(name: &str, body: Bytes, version: i16) -> Option<Recoded> {
    Some(match name {
        "AlterConfigsRequest" => recode::<messages::alter_configs::AlterConfigsRequest>(body, version),
        "AlterConfigsResponse" => recode::<messages::alter_configs::AlterConfigsResponse>(body, version),
        "ApiVersionsRequest" => recode::<messages::api_versions::ApiVersionsRequest>(body, version),
        "ApiVersionsResponse" => recode::<messages::api_versions::ApiVersionsResponse>(body, version),
        "ConsumerProtocolSubscription" => {
            recode::<messages::consumer_protocol::ConsumerProtocolSubscription>(body, version)
        }
        "ConsumerProtocolAssignment" => {
            recode::<messages::consumer_protocol::ConsumerProtocolAssignment>(body, version)
        }
        "CreatePartitionsRequest" => recode::<messages::create_partitions::CreatePartitionsRequest>(body, version),
        "CreatePartitionsResponse" => recode::<messages::create_partitions::CreatePartitionsResponse>(body, version),
        "CreateTopicsRequest" => recode::<messages::create_topics::CreateTopicsRequest>(body, version),
        "CreateTopicsResponse" => recode::<messages::create_topics::CreateTopicsResponse>(body, version),
        "DeleteGroupsRequest" => recode::<messages::delete_groups::DeleteGroupsRequest>(body, version),
        "DeleteGroupsResponse" => recode::<messages::delete_groups::DeleteGroupsResponse>(body, version),
        "DeleteRecordsRequest" => recode::<messages::delete_records::DeleteRecordsRequest>(body, version),
        "DeleteRecordsResponse" => recode::<messages::delete_records::DeleteRecordsResponse>(body, version),
        "DeleteTopicsRequest" => recode::<messages::delete_topics::DeleteTopicsRequest>(body, version),
        "DeleteTopicsResponse" => recode::<messages::delete_topics::DeleteTopicsResponse>(body, version),
        "DescribeClusterRequest" => recode::<messages::describe_cluster::DescribeClusterRequest>(body, version),
        "DescribeClusterResponse" => recode::<messages::describe_cluster::DescribeClusterResponse>(body, version),
        "DescribeConfigsRequest" => recode::<messages::describe_configs::DescribeConfigsRequest>(body, version),
        "DescribeConfigsResponse" => recode::<messages::describe_configs::DescribeConfigsResponse>(body, version),
        "DescribeGroupsRequest" => recode::<messages::describe_groups::DescribeGroupsRequest>(body, version),
        "DescribeGroupsResponse" => recode::<messages::describe_groups::DescribeGroupsResponse>(body, version),
        "DescribeTopicPartitionsRequest" => {
            recode::<messages::describe_topic_partitions::DescribeTopicPartitionsRequest>(body, version)
        }
        "DescribeTopicPartitionsResponse" => {
            recode::<messages::describe_topic_partitions::DescribeTopicPartitionsResponse>(body, version)
        }
        "FetchRequest" => recode::<messages::fetch::FetchRequest>(body, version),
        "FetchResponse" => recode::<messages::fetch::FetchResponse>(body, version),
        "FindCoordinatorRequest" => recode::<messages::find_coordinator::FindCoordinatorRequest>(body, version),
        "FindCoordinatorResponse" => recode::<messages::find_coordinator::FindCoordinatorResponse>(body, version),
        "GroupMetadataKey" => recode::<messages::group_metadata_record::GroupMetadataKey>(body, version),
        "GroupMetadataValue" => recode::<messages::group_metadata_record::GroupMetadataValue>(body, version),
        "HeartbeatRequest" => recode::<messages::heartbeat::HeartbeatRequest>(body, version),
        "HeartbeatResponse" => recode::<messages::heartbeat::HeartbeatResponse>(body, version),
        "IncrementalAlterConfigsRequest" => {
            recode::<messages::incremental_alter_configs::IncrementalAlterConfigsRequest>(body, version)
        }
        "IncrementalAlterConfigsResponse" => {
            recode::<messages::incremental_alter_configs::IncrementalAlterConfigsResponse>(body, version)
        }
        "InitProducerIdRequest" => recode::<messages::init_producer_id::InitProducerIdRequest>(body, version),
        "InitProducerIdResponse" => recode::<messages::init_producer_id::InitProducerIdResponse>(body, version),
        "JoinGroupRequest" => recode::<messages::join_group::JoinGroupRequest>(body, version),
        "JoinGroupResponse" => recode::<messages::join_group::JoinGroupResponse>(body, version),
        "LeaveGroupRequest" => recode::<messages::leave_group::LeaveGroupRequest>(body, version),
        "LeaveGroupResponse" => recode::<messages::leave_group::LeaveGroupResponse>(body, version),
        "ListGroupsRequest" => recode::<messages::list_groups::ListGroupsRequest>(body, version),
        "ListGroupsResponse" => recode::<messages::list_groups::ListGroupsResponse>(body, version),
        "ListOffsetsRequest" => recode::<messages::list_offsets::ListOffsetsRequest>(body, version),
        "ListOffsetsResponse" => recode::<messages::list_offsets::ListOffsetsResponse>(body, version),
        "MetadataRequest" => recode::<messages::metadata::MetadataRequest>(body, version),
        "MetadataResponse" => recode::<messages::metadata::MetadataResponse>(body, version),
        "OffsetCommitRequest" => recode::<messages::offset_commit::OffsetCommitRequest>(body, version),
        "OffsetCommitResponse" => recode::<messages::offset_commit::OffsetCommitResponse>(body, version),
        "OffsetCommitKey" => recode::<messages::offset_commit_record::OffsetCommitKey>(body, version),
        "OffsetCommitValue" => recode::<messages::offset_commit_record::OffsetCommitValue>(body, version),
        "OffsetFetchRequest" => recode::<messages::offset_fetch::OffsetFetchRequest>(body, version),
        "OffsetFetchResponse" => recode::<messages::offset_fetch::OffsetFetchResponse>(body, version),
        "OffsetForLeaderEpochRequest" => {
            recode::<messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest>(body, version)
        }
        "OffsetForLeaderEpochResponse" => {
            recode::<messages::offset_for_leader_epoch::OffsetForLeaderEpochResponse>(body, version)
        }
        "ProduceRequest" => recode::<messages::produce::ProduceRequest>(body, version),
        "ProduceResponse" => recode::<messages::produce::ProduceResponse>(body, version),
        "SaslAuthenticateRequest" => recode::<messages::sasl_authenticate::SaslAuthenticateRequest>(body, version),
        "SaslAuthenticateResponse" => recode::<messages::sasl_authenticate::SaslAuthenticateResponse>(body, version),
        "SaslHandshakeRequest" => recode::<messages::sasl_handshake::SaslHandshakeRequest>(body, version),
        "SaslHandshakeResponse" => recode::<messages::sasl_handshake::SaslHandshakeResponse>(body, version),
        "SyncGroupRequest" => recode::<messages::sync_group::SyncGroupRequest>(body, version),
        "SyncGroupResponse" => recode::<messages::sync_group::SyncGroupResponse>(body, version),
        _ => return None,
    })
}
