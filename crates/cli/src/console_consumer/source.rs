use std::sync::Arc;
use std::time::Duration;

use raftsman_client::{
    Client, ClientError, Consumer, ConsumerOptions, ConsumerRecord, GroupConsumer, GroupOptions, OffsetReset, StartAt,
};
use raftsman_types::TopicPartition;

use super::arguments::ConsumerArguments;
use crate::failure::Failure;
use crate::kafka::ClientProperties;
use crate::topics::{TopicFilter, chosen};

/// Where records come from: a group's share, or every partition.
pub enum Source {
    /// A member of a group; boxed because it is much the larger.
    Group(Box<GroupConsumer>),
    /// All partitions of the topics, or the one named.
    Assigned(Consumer),
}

impl Source {
    /// Opens what the arguments ask for. Kafka's tool makes up a group where none is named; that is left out here:
    /// without `--group` nothing is committed, so all partitions are simply read.
    pub async fn open(
        client: Client,
        arguments: &ConsumerArguments,
        properties: &ClientProperties,
    ) -> Result<Source, Failure> {
        let options = consumer_options(arguments, properties)?;
        let group = arguments.group.as_deref().or(properties.get("group.id"));
        let topics = topics(&client, arguments).await?;
        match group.filter(|_| arguments.partition.is_none()) {
            Some(group) => {
                let defaults = GroupOptions::default();
                let group = GroupOptions {
                    group_id: group.to_owned(),
                    instance_id: properties.get("group.instance.id").map(str::to_owned),
                    session_timeout: properties.millis("session.timeout.ms")?.unwrap_or(defaults.session_timeout),
                    heartbeat_interval: properties
                        .millis("heartbeat.interval.ms")?
                        .unwrap_or(defaults.heartbeat_interval),
                    auto_commit: properties.get("enable.auto.commit").is_none_or(|value| value != "false"),
                    ..defaults
                };
                Ok(Source::Group(Box::new(GroupConsumer::new(client, topics, group, options))))
            }
            None => {
                let start = arguments.start()?;
                let assignment = assignment(&client, &topics, arguments.partition, start).await?;
                let consumer = Consumer::new(client, options);
                consumer.assign(assignment).await?;
                Ok(Source::Assigned(consumer))
            }
        }
    }

    /// The next records.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, ClientError> {
        match self {
            Source::Group(group) => group.poll(timeout).await,
            Source::Assigned(consumer) => consumer.poll(timeout).await,
        }
    }

    /// A record was printed: only such are committed.
    pub fn processed(&mut self, record: &ConsumerRecord) {
        if let Source::Group(group) = self {
            group.processed(record);
        }
    }

    /// Commits and leaves, where that applies.
    pub async fn close(self) -> Result<(), ClientError> {
        match self {
            Source::Group(group) => group.close().await,
            Source::Assigned(_) => Ok(()),
        }
    }
}

fn consumer_options(arguments: &ConsumerArguments, properties: &ClientProperties) -> Result<ConsumerOptions, Failure> {
    let isolation = properties.get("isolation.level").unwrap_or(&arguments.isolation_level);
    let offset_reset = match (arguments.from_beginning, properties.get("auto.offset.reset")) {
        (true, _) | (false, Some("earliest")) => OffsetReset::Earliest,
        (false, None | Some("latest")) => OffsetReset::Latest,
        (false, Some("none")) => OffsetReset::Fail,
        (false, Some(other)) => {
            let words = format!("auto.offset.reset={other} is not allowed: expected earliest, latest or none");
            return Err(Failure::Usage(words));
        }
    };
    let defaults = ConsumerOptions::default();
    Ok(ConsumerOptions {
        offset_reset,
        read_committed: isolation == "read_committed",
        max_wait: properties.millis("fetch.max.wait.ms")?.unwrap_or(defaults.max_wait),
        ..defaults
    })
}

async fn topics(client: &Client, arguments: &ConsumerArguments) -> Result<Vec<Arc<str>>, Failure> {
    if let Some(topic) = &arguments.topic {
        return Ok(vec![Arc::from(topic.as_str())]);
    }
    let text = arguments.filter().unwrap_or_default();
    let filter = TopicFilter::parse(text).ok_or_else(|| {
        Failure::Usage(format!(
            "--include {text:?}: only names, '|', '.' and '.*' of regular expressions are understood"
        ))
    })?;
    let all = client.describe_topics(None).await?;
    let names = chosen(all.topics.keys().map(|name| &**name), Some(&filter), true);
    if names.is_empty() {
        return Err(Failure::Said(format!("no topic matches {text:?}")));
    }
    Ok(names.into_iter().map(Arc::from).collect())
}

async fn assignment(
    client: &Client,
    topics: &[Arc<str>],
    partition: Option<i32>,
    start: StartAt,
) -> Result<Vec<(TopicPartition, StartAt)>, Failure> {
    let mut assignment = Vec::new();
    for topic in topics {
        let metadata = client.topic(topic).await?;
        let count = metadata.topics.get(topic).map_or(0, |t| t.partitions.len() as i32);
        match partition {
            Some(partition) if !(0..count).contains(&partition) => {
                return Err(Failure::Said(format!(
                    "topic {topic} has no partition {partition}, only {count} partitions"
                )));
            }
            Some(partition) => assignment.push((TopicPartition { topic: topic.clone(), partition }, start)),
            None => {
                assignment.extend((0..count).map(|p| (TopicPartition { topic: topic.clone(), partition: p }, start)))
            }
        }
    }
    Ok(assignment)
}
