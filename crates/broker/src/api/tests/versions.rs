use std::collections::BTreeSet;

use raftsman_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use raftsman_protocol::messages::metadata::MetadataRequest;
use raftsman_protocol::{Message, Reader, Str};
use raftsman_types::ErrorCode;

use super::TestBroker;
use crate::api::registry::APIS;

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: Str::from("apache-kafka-java"),
        client_software_version: Str::from("4.3.1"),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_table_is_the_registry() {
    let broker = TestBroker::of_cluster();
    for version in 0..=5 {
        let response = broker.ask(&request(), version).await.unwrap();
        assert_eq!(response.error_code, 0);
        let keys: Vec<i16> = response.api_keys.iter().map(|api| api.api_key).collect();
        let expected: BTreeSet<i16> = APIS.iter().map(|api| api.key.code()).collect();
        assert_eq!(keys, expected.into_iter().collect::<Vec<i16>>(), "sorted, each once");
        for api in &response.api_keys {
            let served = APIS.iter().find(|a| a.key.code() == api.api_key).unwrap();
            let versions = (served.min_version, served.max_version);
            assert_eq!((api.min_version, api.max_version), versions, "{}", served.key);
        }
    }
}

#[tokio::test]
async fn features_that_start_at_0_are_for_clients_that_know_of_it() {
    let broker = TestBroker::of_cluster();
    let three = broker.ask(&request(), 3).await.unwrap();
    assert!(three.supported_features.iter().all(|feature| feature.min_version > 0));
    let four = broker.ask(&request(), 4).await.unwrap();
    assert!(four.supported_features.iter().any(|feature| feature.min_version == 0));
    assert_eq!(four.finalized_features_epoch, 40);
    assert_eq!(&*four.finalized_features[0].name, "metadata.version");
    assert_eq!(four.finalized_features[0].max_version_level, 30);
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = TestBroker::of_cluster();
    // Header version 2 with a body nobody knows.
    let frame =
        [&18i16.to_be_bytes()[..], &99i16.to_be_bytes(), &5i32.to_be_bytes(), &[0xff, 0xff, 0, 1, 2, 3]].concat();
    let answer = broker.send(frame).await.unwrap();
    assert_eq!(answer[4..8], 5i32.to_be_bytes());
    let body = ApiVersionsResponse::decode(&mut Reader::new(answer[8..].to_vec().into()), 0).unwrap();
    assert_eq!(body.error_code, ErrorCode::UnsupportedVersion.code());
    let own: Vec<(i16, i16, i16)> = body.api_keys.iter().map(|a| (a.api_key, a.min_version, a.max_version)).collect();
    assert_eq!(own, [(18, 0, 5)]);
}

#[tokio::test]
async fn a_nameless_client_and_one_of_another_cluster_are_told_so() {
    let broker = TestBroker::of_cluster();
    for bad in ["", "-x", "x y", "x.", "naïve"] {
        let request = ApiVersionsRequest { client_software_name: Str::copy_from(bad), ..request() };
        let response = broker.ask(&request, 3).await.unwrap();
        assert_eq!(response.error_code, ErrorCode::InvalidRequest.code(), "{bad:?}");
    }
    let elsewhere = [
        ApiVersionsRequest { cluster_id: Some(Str::from("other")), ..request() },
        ApiVersionsRequest { cluster_id: Some(Str::from("test-cluster")), node_id: 2, ..request() },
    ];
    for request in elsewhere {
        let response = broker.ask(&request, 5).await.unwrap();
        assert_eq!(response.error_code, ErrorCode::RebootstrapRequired.code());
    }
    let here = ApiVersionsRequest { cluster_id: Some(Str::from("test-cluster")), node_id: 1, ..request() };
    assert_eq!(broker.ask(&here, 5).await.unwrap().error_code, 0);
}

#[tokio::test]
async fn what_is_not_served_ends_the_connection_with_a_line_that_says_why() {
    let broker = TestBroker::of_cluster();
    let header = |key: i16, version: i16| {
        [&key.to_be_bytes()[..], &version.to_be_bytes(), &5i32.to_be_bytes(), &[0xff, 0xff]].concat()
    };
    for (key, version, why) in [
        (0, 14, "Produce version 14 is not served"),
        (3, 14, "Metadata version 14 is not served"),
        (3, -1, "Metadata version -1 is not served"),
        (7, 1, "ControlledShutdown is not served"),
        (9999, 0, "no API has the key 9999"),
        (-5, 0, "no API has the key -5"),
    ] {
        // With the empty list of tagged fields that newer headers have.
        let close = broker.send([header(key, version), vec![0]].concat()).await.unwrap_err();
        assert!(close.reason.contains(why), "{close}");
    }
    let garbage = broker.send([&header(3, 9)[..], &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat()).await.unwrap_err();
    assert!(garbage.reason.contains("malformed Metadata request of version 9"), "{garbage}");
    // Bytes behind a request are ignored.
    let all = MetadataRequest { topics: None, ..Default::default() };
    assert!(broker.ask(&all, 1).await.is_ok());
    let trailing = [&header(3, 1)[..], &[0xff; 4], &[1, 2, 3]].concat();
    assert!(broker.send(trailing).await.is_ok());
}
