use raftsman_protocol::Str;
use raftsman_protocol::messages::alter_configs::AlterConfigsRequest;
use raftsman_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use raftsman_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use raftsman_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use raftsman_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use raftsman_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use raftsman_protocol::messages::init_producer_id::InitProducerIdRequest;
use raftsman_types::{BrokerId, ErrorCode};

use super::sole::SoleBroker;
use super::{ORDERS, TestBroker, cluster};
use crate::config::{BrokerConfig, BrokerKey};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn describe(broker: &TestBroker, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: Str::copy_from(name),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| Str::copy_from(key)).collect()),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, ..Default::default() };
    broker.ask(&request, 4).await.unwrap().results.remove(0)
}

fn entry<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    result.configs.iter().find(|entry| &*entry.name == name).expect("the setting is described")
}

#[tokio::test]
async fn a_topics_settings_say_where_they_come_from() {
    let broker = TestBroker::of_cluster();
    let result = describe(&broker, TOPIC, "orders", None).await;
    assert_eq!(result.error_code, 0);
    let retention = entry(&result, "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
    let sources: Vec<(&str, i8)> = retention.synonyms.iter().map(|s| (&*s.name, s.source)).collect();
    assert_eq!(sources[..2], [("retention.ms", 1), ("log.retention.ms", 3)]);
    assert_eq!(retention.config_type, 5, "a long");
    assert_eq!(entry(&result, "cleanup.policy").config_source, 5, "a default");
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: Str::from("orders"),
        configuration_keys: Some(vec![Str::from("retention.ms"), Str::from("segment.bytes")]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let oldest = broker.ask(&request, 0).await.unwrap().results.remove(0);
    assert_eq!((entry(&oldest, "retention.ms").is_default, entry(&oldest, "segment.bytes").is_default), (false, true));
    let one = describe(&broker, TOPIC, "orders", Some(&["segment.bytes"])).await;
    assert_eq!(one.configs.len(), 1);
    assert_eq!(describe(&broker, TOPIC, "gone", None).await.error_code, ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(describe(&broker, TOPIC, "no/name", None).await.error_code, ErrorCode::InvalidTopicException.code());
}

#[tokio::test]
async fn a_setting_for_tests_is_described_where_it_is_set() {
    let mut sole = SoleBroker::new(&[]);
    let key = "internal.segment.bytes";
    let all = describe(&sole.broker, TOPIC, "orders", None).await;
    assert!(all.configs.iter().all(|entry| &*entry.name != key));
    sole.set(&[(key, "1000")]);
    let set = describe(&sole.broker, TOPIC, "orders", None).await;
    let (entry, expected) = (entry(&set, key), Some("1000"));
    assert_eq!((entry.value.as_deref(), entry.config_source, set.configs.len()), (expected, 1, all.configs.len() + 1));
}

#[tokio::test]
async fn a_resource_named_again_is_not_described_again() {
    let broker = TestBroker::of_cluster();
    let resource = |name: &str| DescribeConfigsResource {
        resource_type: BROKER,
        resource_name: Str::copy_from(name),
        configuration_keys: None,
    };
    let resources = ["1", "1", "01", "+1", ""].map(resource).to_vec();
    let request = DescribeConfigsRequest { resources, ..Default::default() };
    let results = broker.ask(&request, 4).await.unwrap().results;
    let described: Vec<_> = results.iter().map(|r| (&*r.resource_name, r.configs.len() > 10)).collect();
    assert_eq!(described, [("1", true), ("01", false), ("+1", false), ("", false)]);
}

#[tokio::test]
async fn a_brokers_settings_hide_its_secrets() {
    let raw = [("num.partitions", "7"), ("ssl.keystore.password", "hunter2"), ("log.retention.ms", "9")];
    let config = BrokerConfig {
        node_id: BrokerId(1),
        raw: raw.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        known_keys: vec![BrokerKey {
            name: "background.threads".to_owned(),
            default: Some("10".to_owned()),
            type_code: 3,
        }],
        ..BrokerConfig::default()
    };
    let broker = TestBroker::new(cluster(), config);
    let result = describe(&broker, BROKER, "1", None).await;
    let partitions = entry(&result, "num.partitions");
    assert_eq!((partitions.value.as_deref(), partitions.config_source, partitions.read_only), (Some("7"), 4, true));
    let secret = entry(&result, "ssl.keystore.password");
    assert!(secret.is_sensitive && secret.value.is_none() && secret.synonyms.iter().all(|s| s.value.is_none()));
    let retention = entry(&result, "log.retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source, retention.read_only), (Some("5000"), 3, false));
    assert_eq!(entry(&result, "background.threads").value.as_deref(), Some("10"));
    let defaults = describe(&broker, BROKER, "", None).await;
    assert_eq!(defaults.configs.iter().map(|e| &*e.name).collect::<Vec<_>>(), ["log.retention.ms"]);
    for (kind, name) in [(BROKER, "2"), (BROKER, "one"), (8, "1"), (99, "x")] {
        let refused = describe(&broker, kind, name, None).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code(), "{kind} {name}");
    }
}

#[tokio::test]
async fn changes_without_a_controller_time_out_and_nonsense_is_refused_first() {
    let broker = TestBroker::of_cluster();
    let topic = |name: &str| CreatableTopic { name: Str::copy_from(name), num_partitions: 1, ..Default::default() };
    for version in 0..=7 {
        let topics = vec![topic("a"), topic("twice"), topic("twice"), topic("__cluster_metadata")];
        let request = CreateTopicsRequest { topics, timeout_ms: 1, ..Default::default() };
        let response = broker.ask(&request, version).await.unwrap();
        let codes: Vec<i16> = response.topics.iter().map(|t| t.error_code).collect();
        assert_eq!(codes, [7, 42, 42, 42], "version {version}");
        let told = response.topics[0].error_message.as_ref().is_some_and(|message| !message.is_empty());
        assert_eq!(told, version >= 1);
    }
    let more = CreatePartitionsTopic { name: Str::from("orders"), count: 9, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![more], timeout_ms: 1, validate_only: false };
    for version in 0..=3 {
        assert_eq!(broker.ask(&request, version).await.unwrap().results[0].error_code, 7);
    }
}

#[tokio::test]
async fn topics_are_deleted_by_name_or_id_but_not_both() {
    let broker = TestBroker::of_cluster();
    let state = |name: Option<&str>, id| DeleteTopicState { name: name.map(Str::copy_from), topic_id: id };
    let zero = raftsman_types::Uuid::ZERO;
    let topics =
        vec![state(Some("orders"), ORDERS.0), state(None, zero), state(None, ORDERS.0), state(Some("x"), zero)];
    let request = DeleteTopicsRequest { topics, timeout_ms: 1, ..Default::default() };
    let response = broker.ask(&request, 6).await.unwrap();
    assert_eq!(response.responses.iter().map(|r| r.error_code).collect::<Vec<_>>(), [42, 42, 7, 7]);
    assert_eq!(response.responses[2].name.as_deref(), Some("orders"), "the name of an id that is known");
    let names = DeleteTopicsRequest { topic_names: vec![Str::from("orders")], timeout_ms: 1, ..Default::default() };
    for version in 0..=5 {
        let response = broker.ask(&names, version).await.unwrap();
        assert_eq!(response.responses[0].error_code, 7);
    }
    let config = BrokerConfig { delete_topic: false, ..BrokerConfig::default() };
    let broker = TestBroker::new(cluster(), config);
    assert_eq!(broker.ask(&names, 3).await.unwrap().responses[0].error_code, 73);
    assert_eq!(broker.ask(&names, 1).await.unwrap().responses[0].error_code, 42);
}

#[tokio::test]
async fn settings_are_altered_once_per_resource_and_only_of_topics_and_brokers() {
    let broker = TestBroker::of_cluster();
    let set =
        || vec![AlterableConfig { name: Str::from("retention.ms"), config_operation: 0, value: Some(Str::from("1")) }];
    let resource = |kind, name: &str| AlterConfigsResource {
        resource_type: kind,
        resource_name: Str::copy_from(name),
        configs: set(),
    };
    let resources = vec![
        resource(TOPIC, "orders"),
        resource(BROKER, ""),
        resource(BROKER, ""),
        resource(32, "group"),
        resource(77, "x"),
    ];
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    // The one good resource would go to the controller, for as long as that takes; there is none, so at once.
    let response = broker.ask(&request, 1).await.unwrap();
    assert_eq!(response.responses.iter().map(|r| r.error_code).collect::<Vec<_>>(), [7, 42, 42, 42, 42]);
    for version in 0..=2 {
        let nothing = broker.ask(&AlterConfigsRequest::default(), version).await.unwrap();
        assert!(nothing.responses.is_empty());
    }
}

#[tokio::test]
async fn producer_ids_are_for_producers_without_transactions() {
    let broker = TestBroker::of_cluster();
    for version in 0..=5 {
        let mut request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let code = |response: raftsman_protocol::messages::init_producer_id::InitProducerIdResponse| {
            ErrorCode::from_code(response.error_code)
        };
        assert_eq!(code(broker.ask(&request, version).await.unwrap()), ErrorCode::CoordinatorLoadInProgress);
        request.transactional_id = Some(Str::from("tx"));
        assert_eq!(code(broker.ask(&request, version).await.unwrap()), ErrorCode::CoordinatorNotAvailable);
        request.transactional_id = Some(Str::default());
        assert_eq!(code(broker.ask(&request, version).await.unwrap()), ErrorCode::InvalidRequest);
    }
}
