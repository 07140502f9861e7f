//! Administrative calls: topics, configuration, the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use raftsman_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use raftsman_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use raftsman_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use raftsman_protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use raftsman_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use raftsman_protocol::messages::describe_topic_partitions::{DescribeTopicPartitionsRequest, TopicRequest};
use raftsman_protocol::messages::find_coordinator::FindCoordinatorRequest;
use raftsman_protocol::{Request, Str};
use raftsman_types::Uuid;

use crate::connection::check;
use crate::retry::Retry;
use crate::{Client, ClientError, Metadata};

const CREATE_TOPICS_VERSION: i16 = 7;
/// The last version with topics as a plain list of names.
const DELETE_TOPICS_VERSION: i16 = 6;
const CREATE_PARTITIONS_VERSION: i16 = 3;
const DESCRIBE_CONFIGS_VERSION: i16 = 4;
const DESCRIBE_CLUSTER_VERSION: i16 = 2;
/// The last version with one key per request.
const FIND_COORDINATOR_VERSION: i16 = 3;
const DESCRIBE_TOPIC_PARTITIONS_VERSION: i16 = 0;
/// Partitions in one answer, Kafka's own default.
const PARTITIONS_PER_ANSWER: i32 = 2_000;
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
/// Where a setting of the topic itself comes from, in DescribeConfigs.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` takes the cluster's default.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None` takes the cluster's default.
    pub replication_factor: Option<i16>,
    /// Brokers by hand for each partition, the preferred leader first; then the two above stay `None`.
    pub assignments: Vec<Vec<i32>>,
    /// Settings of the topic.
    pub configs: BTreeMap<String, String>,
}

/// One setting as a broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: String,
    /// The value; `None` if it is unset or secret.
    pub value: Option<String>,
    /// Whether it was set for this very topic or broker.
    pub is_own: bool,
}

/// Replicas of a partition that may lead it though they are not in sync (KIP-966).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EligibleLeaders {
    /// Those that may lead without losing anything.
    pub eligible: Vec<i32>,
    /// Those that led last.
    pub last_known: Vec<i32>,
}

/// One broker of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    /// Its `node.id`.
    pub node_id: i32,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: i32,
    /// Whether the controller keeps it from serving.
    pub is_fenced: bool,
}

/// A cluster as a broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: String,
    /// The controller clients may turn to.
    pub controller_id: Option<i32>,
    /// Its brokers, fenced ones too where the server tells of them.
    pub brokers: Vec<NodeDescription>,
}

impl Client {
    /// Sends a request that may be repeated to any broker, again and again until one answers.
    async fn ask_any<R: Request>(&self, request: &R, highest: i16, what: &str) -> Result<R::Response, ClientError> {
        let mut retry = Retry::new(self.options(), self.options().api_timeout);
        loop {
            let answer = match self.any_connection().await {
                Ok(connection) => connection.request(request, highest).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if error.is_retriable() => retry.pause(|| format!("{what}: {error}")).await?,
                done => return done,
            }
        }
    }

    /// Creates a topic. With `validate_only` it is only looked whether it could be.
    ///
    /// # Errors
    /// The broker's refusal, `TOPIC_ALREADY_EXISTS` for one, or nobody answered.
    pub async fn create_topic(&self, topic: &NewTopic, validate_only: bool) -> Result<(), ClientError> {
        let by_hand = !topic.assignments.is_empty();
        let assignments = topic.assignments.iter().zip(0..);
        let creatable = CreatableTopic {
            name: Str::copy_from(&topic.name),
            num_partitions: if by_hand { -1 } else { topic.partitions.unwrap_or(-1) },
            replication_factor: if by_hand { -1 } else { topic.replication_factor.unwrap_or(-1) },
            assignments: assignments
                .map(|(brokers, partition_index)| CreatableReplicaAssignment {
                    partition_index,
                    broker_ids: brokers.clone(),
                })
                .collect(),
            configs: topic.configs.iter().map(config).collect(),
        };
        let request = CreateTopicsRequest { topics: vec![creatable], timeout_ms: self.timeout_ms(), validate_only };
        let answer = self.ask_any(&request, CREATE_TOPICS_VERSION, "creating a topic").await?;
        let result = answer.topics.first().ok_or_else(|| self.silent("CreateTopics"))?;
        check(result.error_code, result.error_message.as_deref(), || format!("creating topic {}", topic.name))
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// The broker's refusal, `UNKNOWN_TOPIC_OR_PARTITION` for one, or nobody answered.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClientError> {
        let topic = DeleteTopicState { name: Some(Str::copy_from(name)), topic_id: Uuid::ZERO };
        // Both shapes are filled: the version that is agreed on picks one.
        let connection = self.any_connection().await?;
        let version = connection.version_of::<DeleteTopicsRequest>(DELETE_TOPICS_VERSION)?;
        let request = match version {
            6.. => DeleteTopicsRequest { topics: vec![topic], timeout_ms: self.timeout_ms(), ..Default::default() },
            _ => DeleteTopicsRequest {
                topic_names: vec![Str::copy_from(name)],
                timeout_ms: self.timeout_ms(),
                ..Default::default()
            },
        };
        let answer = connection.request(&request, version).await?;
        let result = answer.responses.first().ok_or_else(|| self.silent("DeleteTopics"))?;
        check(result.error_code, result.error_message.as_deref(), || format!("deleting topic {name}"))
    }

    /// Raises the number of a topic's partitions to `count`.
    ///
    /// # Errors
    /// The broker's refusal, or nobody answered.
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<(), ClientError> {
        let topic = CreatePartitionsTopic { name: Str::copy_from(name), count, assignments: None };
        let request =
            CreatePartitionsRequest { topics: vec![topic], timeout_ms: self.timeout_ms(), validate_only: false };
        let answer = self.any_connection().await?.request(&request, CREATE_PARTITIONS_VERSION).await?;
        let result = answer.results.first().ok_or_else(|| self.silent("CreatePartitions"))?;
        check(result.error_code, result.error_message.as_deref(), || format!("adding partitions to topic {name}"))
    }

    /// Every topic there is, or the named ones, with their partitions.
    ///
    /// # Errors
    /// Nobody answered.
    pub async fn describe_topics(&self, topics: Option<&[&str]>) -> Result<Metadata, ClientError> {
        let mut retry = Retry::new(self.options(), self.options().api_timeout);
        loop {
            match self.metadata_of(topics).await {
                Ok(answer) => return Ok(Metadata::default().merge(&answer)),
                Err(error) if error.is_retriable() => retry.pause(|| format!("describing topics: {error}")).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The eligible leaders of each partition of topics; `None` if the server does not tell.
    ///
    /// # Errors
    /// Nobody answered.
    pub async fn describe_eligible_leaders(
        &self,
        topics: &[&str],
    ) -> Result<Option<BTreeMap<(String, i32), EligibleLeaders>>, ClientError> {
        let mut request = DescribeTopicPartitionsRequest {
            topics: topics.iter().map(|name| TopicRequest { name: Str::copy_from(name) }).collect(),
            response_partition_limit: PARTITIONS_PER_ANSWER,
            cursor: None,
        };
        let connection = self.any_connection().await?;
        if !connection.serves(DescribeTopicPartitionsRequest::KEY) {
            return Ok(None);
        }
        let mut all = BTreeMap::new();
        loop {
            let answer = connection.request(&request, DESCRIBE_TOPIC_PARTITIONS_VERSION).await?;
            for topic in &answer.topics {
                let name = topic.name.as_ref().map(ToString::to_string).unwrap_or_default();
                for partition in &topic.partitions {
                    let leaders = EligibleLeaders {
                        eligible: partition.eligible_leader_replicas.clone().unwrap_or_default(),
                        last_known: partition.last_known_elr.clone().unwrap_or_default(),
                    };
                    all.insert((name.clone(), partition.partition_index), leaders);
                }
            }
            // A cursor that does not move would be asked for ever.
            match answer.next_cursor {
                Some(next) if request.cursor.as_ref() != Some(&next) => request.cursor = Some(next),
                _ => return Ok(Some(all)),
            }
        }
    }

    /// The settings of topics, in the order asked for.
    ///
    /// # Errors
    /// The broker's refusal, or nobody answered.
    pub async fn describe_topic_configs(&self, topics: &[&str]) -> Result<Vec<Vec<ConfigEntry>>, ClientError> {
        let resources: Vec<DescribeConfigsResource> =
            topics.iter().map(|name| resource(TOPIC_RESOURCE, name)).collect();
        let request = DescribeConfigsRequest { resources, ..DescribeConfigsRequest::default() };
        let answer = self.ask_any(&request, DESCRIBE_CONFIGS_VERSION, "describing topics").await?;
        topics
            .iter()
            .map(|name| {
                let found = answer.results.iter().find(|result| result.resource_name.as_str() == *name);
                let result = found.ok_or_else(|| self.silent("DescribeConfigs"))?;
                check(result.error_code, result.error_message.as_deref(), || format!("settings of topic {name}"))?;
                let entries = result.configs.iter();
                Ok(entries
                    .map(|entry| ConfigEntry {
                        name: entry.name.to_string(),
                        value: entry.value.as_ref().map(ToString::to_string),
                        is_own: entry.config_source == DYNAMIC_TOPIC_CONFIG,
                    })
                    .collect())
            })
            .collect()
    }

    /// One setting of a broker, `None` where it has no value.
    ///
    /// # Errors
    /// The broker's refusal, or it did not answer.
    pub async fn broker_config(&self, node_id: i32, key: &str) -> Result<Option<String>, ClientError> {
        let mut resource = resource(BROKER_RESOURCE, &node_id.to_string());
        resource.configuration_keys = Some(vec![Str::copy_from(key)]);
        let request = DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
        let connection = self.connection(node_id, crate::Lane::Ordinary).await?;
        let answer = connection.request(&request, DESCRIBE_CONFIGS_VERSION).await?;
        let result = answer.results.first().ok_or_else(|| self.silent("DescribeConfigs"))?;
        check(result.error_code, result.error_message.as_deref(), || format!("settings of broker {node_id}"))?;
        let found = result.configs.iter().find(|entry| entry.name.as_str() == key);
        Ok(found.and_then(|entry| entry.value.as_ref()).map(ToString::to_string))
    }

    /// The broker that coordinates a consumer group.
    ///
    /// # Errors
    /// No broker does at the moment, or nobody answered.
    pub async fn group_coordinator(&self, group_id: &str) -> Result<i32, ClientError> {
        let request = FindCoordinatorRequest { key: Str::copy_from(group_id), ..FindCoordinatorRequest::default() };
        let answer = self.any_connection().await?.request(&request, FIND_COORDINATOR_VERSION).await?;
        let what = || format!("the coordinator of group {group_id}");
        check(answer.error_code, answer.error_message.as_deref(), what)?;
        Ok(answer.node_id)
    }

    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// Nobody answered within the API timeout.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let mut retry = Retry::new(self.options(), self.options().api_timeout);
        let answer = loop {
            match self.ask_for_cluster().await {
                Err(error) if error.is_retriable() => {
                    retry.pause(|| format!("describing the cluster: {error}")).await?
                }
                done => break done?,
            }
        };
        check(answer.error_code, answer.error_message.as_deref(), || "describing the cluster".to_owned())?;
        let brokers = answer.brokers.iter().map(|b| NodeDescription {
            node_id: b.broker_id,
            host: b.host.to_string(),
            port: b.port,
            is_fenced: b.is_fenced,
        });
        Ok(ClusterDescription {
            cluster_id: answer.cluster_id.to_string(),
            controller_id: (answer.controller_id >= 0).then_some(answer.controller_id),
            brokers: brokers.collect(),
        })
    }

    async fn ask_for_cluster(&self) -> Result<DescribeClusterResponse, ClientError> {
        let connection = self.any_connection().await?;
        let version = connection.version_of::<DescribeClusterRequest>(DESCRIBE_CLUSTER_VERSION)?;
        // Fenced brokers can be asked for from version 2 on.
        let request =
            DescribeClusterRequest { endpoint_type: 1, include_fenced_brokers: version >= 2, ..Default::default() };
        let timeout = self.options().request_timeout.min(Duration::from_secs(10));
        connection.request_slow(&request, version, timeout).await
    }

    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.options().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    pub(crate) fn silent(&self, api: &'static str) -> ClientError {
        ClientError::Connection { address: "the broker".to_owned(), cause: format!("its answer to {api} is empty") }
    }
}

fn resource(resource_type: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource { resource_type, resource_name: Str::copy_from(name), configuration_keys: None }
}

fn config((name, value): (&String, &String)) -> CreatableTopicConfig {
    CreatableTopicConfig { name: Str::copy_from(name), value: Some(Str::copy_from(value)) }
}
