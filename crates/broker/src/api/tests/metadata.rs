use std::sync::Arc;

use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_cluster::DescribeClusterRequest;
use raftsman_protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use raftsman_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, Uuid};

use super::{ORDERS, TestBroker, cluster};
use crate::config::BrokerConfig;

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some(Str::copy_from(name)), ..Default::default() };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn all() -> MetadataRequest {
    MetadataRequest { topics: None, ..Default::default() }
}

fn errors(response: &MetadataResponse) -> Vec<ErrorCode> {
    response.topics.iter().map(|topic| ErrorCode::from_code(topic.error_code)).collect()
}

#[tokio::test]
async fn every_version_describes_brokers_topics_and_leaders() {
    let broker = TestBroker::of_cluster();
    for version in 0..=13 {
        let request = MetadataRequest { allow_auto_topic_creation: version < 4, ..named(&["orders"]) };
        let response = broker.ask(&request, version).await.unwrap();
        let nodes: Vec<i32> = response.brokers.iter().map(|b| b.node_id).collect();
        assert_eq!(nodes, [1, 2], "3 is fenced, 4 is not on this listener");
        assert_eq!((&*response.brokers[0].host, response.brokers[0].port), ("host-1", 9001));
        let partitions = &response.topics[0].partitions;
        let led: Vec<(i16, i32)> = partitions.iter().map(|p| (p.error_code, p.leader_id)).collect();
        let no_listener = if version < 6 { 5 } else { 72 };
        assert_eq!(led, [(0, 1), (0, 2), (5, -1), (5, -1), (no_listener, -1)], "version {version}");
        assert_eq!(partitions[0].replica_nodes, [1, 2, 3]);
        assert_eq!(partitions[1].isr_nodes, [2]);
        if version >= 1 {
            assert_eq!(response.controller_id, 1, "any broker forwards changes");
            assert_eq!(response.brokers[0].rack.as_deref(), Some("rack-a"));
        }
        if version >= 5 {
            assert_eq!(partitions[0].offline_replicas, [3]);
        }
        if version >= 7 {
            assert_eq!(partitions[0].leader_epoch, 4);
        }
        if version >= 10 {
            assert_eq!(response.topics[0].topic_id, ORDERS.0);
        }
    }
}

/// Else one topic with many partitions, asked for under a hundred thousand names, is an answer of gigabytes.
#[tokio::test]
async fn a_topic_asked_for_by_id_is_described_once_whatever_names_stand_beside_it() {
    let broker = TestBroker::of_cluster();
    let topic = |name: &str| MetadataRequestTopic { name: Some(Str::copy_from(name)), topic_id: ORDERS.0 };
    let request = MetadataRequest { topics: Some(vec![topic("a"), topic("b"), topic("orders")]), ..named(&[]) };
    let response = broker.ask(&request, 12).await.unwrap();
    assert_eq!(response.topics.iter().map(|topic| topic.topic_id).collect::<Vec<_>>(), [ORDERS.0]);
}

#[tokio::test]
async fn all_topics_are_asked_for_by_null_and_in_version_0_by_none() {
    let broker = TestBroker::of_cluster();
    let none = MetadataRequest { allow_auto_topic_creation: true, ..named(&[]) };
    assert_eq!(broker.ask(&none, 0).await.unwrap().topics.len(), 2);
    assert_eq!(broker.ask(&none, 1).await.unwrap().topics.len(), 0);
    let response = broker.ask(&all(), 12).await.unwrap();
    let names: Vec<&str> = response.topics.iter().filter_map(|t| t.name.as_deref()).collect();
    assert_eq!(names, ["__consumer_offsets", "orders"]);
    assert_eq!(response.topics.iter().map(|t| t.is_internal).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn unknown_and_impossible_topics_are_told_apart() {
    let broker = TestBroker::of_cluster();
    let response = broker.ask(&named(&["nothing", "no/name", "orders", "nothing"]), 9).await.unwrap();
    let expected = [ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidTopicException, ErrorCode::None];
    assert_eq!(errors(&response), expected, "each once");
    let by_id = |id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id: id, name: None }]),
        ..Default::default()
    };
    let known = broker.ask(&by_id(ORDERS.0), 12).await.unwrap();
    assert_eq!(known.topics[0].name.as_deref(), Some("orders"));
    for version in 10..=13 {
        let unknown = broker.ask(&by_id(Uuid([1; 16])), version).await.unwrap();
        assert_eq!(errors(&unknown), [ErrorCode::UnknownTopicId]);
        assert_eq!(unknown.topics[0].topic_id, Uuid([1; 16]));
    }
}

#[tokio::test]
async fn a_topic_that_cannot_be_created_is_unknown() {
    let broker = TestBroker::of_cluster();
    // There is no controller to create it.
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["new"]) };
    let response = broker.ask(&request, 9).await.unwrap();
    assert_eq!(errors(&response), [ErrorCode::UnknownTopicOrPartition]);
}

#[tokio::test]
async fn a_broker_out_of_contact_sends_clients_elsewhere() {
    let broker = TestBroker::of_cluster();
    broker.state.identity.set_in_contact(false);
    let response = broker.ask(&named(&["orders"]), 9).await.unwrap();
    assert_eq!(response.brokers.iter().map(|b| b.node_id).collect::<Vec<_>>(), [2]);
    assert_eq!(response.controller_id, 2);
    let first = &response.topics[0].partitions[0];
    assert_eq!((first.error_code, first.leader_id), (ErrorCode::LeaderNotAvailable.code(), -1));
}

#[tokio::test]
async fn authorized_operations_come_only_when_asked_for() {
    let broker = TestBroker::of_cluster();
    let plain = broker.ask(&all(), 8).await.unwrap();
    assert_eq!(plain.cluster_authorized_operations, i32::MIN);
    assert_eq!(plain.topics[0].topic_authorized_operations, i32::MIN);
    let request = MetadataRequest {
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..all()
    };
    let asked = broker.ask(&request, 8).await.unwrap();
    assert_eq!(asked.topics[0].topic_authorized_operations, 0b1101_1111_1000);
    assert_eq!(asked.cluster_authorized_operations, 0b1_1111_1010_0000);
}

#[tokio::test]
async fn the_cluster_is_described_with_and_without_fenced_brokers() {
    let broker = TestBroker::of_cluster();
    for version in 0..=2 {
        let response = broker.ask(&DescribeClusterRequest::default(), version).await.unwrap();
        assert_eq!(&*response.cluster_id, "test-cluster");
        assert_eq!(response.brokers.iter().map(|b| b.broker_id).collect::<Vec<_>>(), [1, 2]);
    }
    let fenced = DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() };
    let response = broker.ask(&fenced, 2).await.unwrap();
    assert_eq!(response.brokers.iter().map(|b| b.is_fenced).collect::<Vec<_>>(), [false, false, true]);
    for (endpoint_type, code) in [(2, ErrorCode::MismatchedEndpointType), (9, ErrorCode::UnsupportedEndpointType)] {
        let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
        assert_eq!(broker.ask(&request, 1).await.unwrap().error_code, code.code());
    }
}

#[tokio::test]
async fn topic_partitions_come_in_pages() {
    let broker = TestBroker::of_cluster();
    let mut cursor = None;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let request =
            DescribeTopicPartitionsRequest { response_partition_limit: 2, cursor: cursor.take(), ..Default::default() };
        let page = broker.ask(&request, 0).await.unwrap();
        let partitions = page.topics.iter().flat_map(|t| {
            t.partitions.iter().map(|p| (t.name.as_deref().unwrap_or_default().to_owned(), p.partition_index))
        });
        let before = seen.len();
        seen.extend(partitions);
        assert!(seen.len() - before <= 2);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<(String, i32)> =
        [("__consumer_offsets".to_owned(), 0)].into_iter().chain((0..5).map(|p| ("orders".to_owned(), p))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn eligible_leaders_and_unknown_topics_are_described() {
    let broker = TestBroker::of_cluster();
    let topic = |name: &str| TopicRequest { name: Str::copy_from(name) };
    let request = DescribeTopicPartitionsRequest { topics: vec![topic("orders"), topic("gone")], ..Default::default() };
    let response = broker.ask(&request, 0).await.unwrap();
    assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code(), "in the order of names");
    assert_eq!(response.topics[1].partitions[2].eligible_leader_replicas.as_deref(), Some(&[3][..]));
    let negative = DescribeTopicPartitionsRequest {
        cursor: Some(Cursor { topic_name: Str::from("orders"), partition_index: -1 }),
        ..Default::default()
    };
    assert!(broker.ask(&negative, 0).await.is_err());
}

#[tokio::test]
async fn a_replica_in_a_failed_directory_is_offline() {
    let failed = DirectoryId(Uuid([77; 16]));
    let mut image = cluster();
    let mut broker = (**image.broker(BrokerId(2)).unwrap()).clone();
    broker.offline_directories = vec![failed];
    image.brokers.insert(broker.id, Arc::new(broker));
    let mut topic = (**image.topic(ORDERS).unwrap()).clone();
    let mut partition = (**topic.partition(1).unwrap()).clone();
    partition.directories[1] = failed;
    topic.partitions.insert(1, Arc::new(partition));
    image.topics.insert(ORDERS, Arc::new(topic));
    let broker = TestBroker::new(image, BrokerConfig { node_id: BrokerId(1), ..BrokerConfig::default() });
    let response = broker.ask(&named(&["orders"]), 9).await.unwrap();
    let offline: Vec<_> = response.topics[0].partitions[..2].iter().map(|p| p.offline_replicas.clone()).collect();
    assert_eq!(offline, [vec![3], vec![2, 3]]);
}
