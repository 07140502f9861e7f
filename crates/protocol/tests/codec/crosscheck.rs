//! The first oracle: the `kafka-protocol` crate has to read what we write, and write what we read.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use crate::entry::Entry;
use crate::random::{self, Random};

fn check<M: Message + Encodable + Decodable + Debug>(name: &str) -> usize {
    let entry = Entry::find(name);
    let mut checked = 0;
    for version in entry.versions.clone().filter(|v| (M::VERSIONS.min..=M::VERSIONS.max).contains(v)) {
        for seed in 0..30 {
            let body = Bytes::from(random::body(name, version, &mut Random(seed), true));
            let ours = (entry.recode)(body, version).unwrap();
            let mut rest = ours.clone();
            let message = M::decode(&mut rest, version).unwrap_or_else(|e| panic!("{name} {version}: {e}"));
            assert!(rest.is_empty(), "{name} version {version}: {} bytes left over", rest.len());
            let mut written = BytesMut::new();
            message.encode(&mut written, version).unwrap_or_else(|e| panic!("{name} {version}: {e}: {message:?}"));
            assert_eq!(written.freeze(), ours, "{name} version {version}, seed {seed}: {message:?}");
            checked += 1;
        }
    }
    checked
}

macro_rules! check_all {
    ($($name:ident)*) => { [$((stringify!($name), check::<theirs::$name>(stringify!($name)))),*] };
}

#[test]
fn requests_agree() {
    let checked = check_all!(
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest
        DescribeGroupsRequest ListGroupsRequest SaslHandshakeRequest SaslAuthenticateRequest ApiVersionsRequest
        CreateTopicsRequest DeleteTopicsRequest DeleteRecordsRequest InitProducerIdRequest
        OffsetForLeaderEpochRequest DescribeConfigsRequest AlterConfigsRequest CreatePartitionsRequest
        DeleteGroupsRequest IncrementalAlterConfigsRequest DescribeClusterRequest DescribeTopicPartitionsRequest
        DescribeLogDirsRequest
    );
    checked.iter().for_each(|(name, count)| assert!(*count > 0, "{name} has no version in common"));
}

#[test]
fn responses_agree() {
    let checked = check_all!(
        ProduceResponse FetchResponse ListOffsetsResponse MetadataResponse OffsetCommitResponse OffsetFetchResponse
        FindCoordinatorResponse JoinGroupResponse HeartbeatResponse LeaveGroupResponse SyncGroupResponse
        DescribeGroupsResponse ListGroupsResponse SaslHandshakeResponse SaslAuthenticateResponse ApiVersionsResponse
        CreateTopicsResponse DeleteTopicsResponse DeleteRecordsResponse InitProducerIdResponse
        OffsetForLeaderEpochResponse DescribeConfigsResponse AlterConfigsResponse CreatePartitionsResponse
        DeleteGroupsResponse IncrementalAlterConfigsResponse DescribeClusterResponse DescribeTopicPartitionsResponse
        DescribeLogDirsResponse
    );
    checked.iter().for_each(|(name, count)| assert!(*count > 0, "{name} has no version in common"));
}

#[test]
fn group_blobs_agree() {
    let checked = check_all!(ConsumerProtocolSubscription ConsumerProtocolAssignment);
    checked.iter().for_each(|(name, count)| assert!(*count > 0, "{name} has no version in common"));
}
