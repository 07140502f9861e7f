use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_protocol::messages::api_versions::ApiVersionsRequest;
use raftsman_protocol::messages::find_coordinator::FindCoordinatorRequest;
use raftsman_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use raftsman_types::ErrorCode;

use super::TestBroker;
use crate::config::BrokerConfig;

fn named(topics: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some(Str::copy_from(name)), ..Default::default() };
    MetadataRequest { topics: Some(topics.iter().map(topic).collect()), ..Default::default() }
}

#[tokio::test]
async fn before_it_is_in_its_cluster_a_broker_says_nothing_final() {
    let broker = TestBroker::not_admitted(MetadataImage::default(), BrokerConfig::default());
    let versions = broker.ask(&ApiVersionsRequest::default(), 0).await.unwrap();
    assert!(!versions.api_keys.is_empty());
    for version in [0, 5, 13] {
        let answer = broker.ask(&named(&["orders", "bills"]), version).await.unwrap();
        assert_eq!(answer.topics.len(), 2, "version {version}");
        for topic in &answer.topics {
            assert_eq!(topic.error_code, ErrorCode::LeaderNotAvailable.code(), "version {version}");
        }
        assert!(answer.brokers.is_empty());
    }
    // The list of all topics, or who coordinates a group, cannot be said at all.
    let all = MetadataRequest { topics: None, ..Default::default() };
    assert!(broker.ask(&all, 9).await.is_err());
    assert!(broker.ask(&FindCoordinatorRequest::default(), 3).await.is_err());

    broker.state.identity.set_admitted();
    assert!(broker.ask(&all, 9).await.unwrap().topics.is_empty());
}
