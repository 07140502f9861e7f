use std::sync::Arc;

use raftsman_client::{Client, Metadata, NewTopic};
use raftsman_types::ErrorCode;

use super::arguments::{Action, TopicsArguments};
use super::describe::Described;
use super::names::{TopicFilter, chosen};
use crate::failure::Failure;
use crate::output::say;

/// Does what was asked for and prints what Kafka's tool would.
pub async fn execute(client: &Client, action: Action, arguments: &TopicsArguments) -> Result<(), Failure> {
    match action {
        Action::Create => create(client, arguments).await,
        Action::List => {
            let all = client.describe_topics(None).await?;
            for name in find(&all, arguments)? {
                say!("{name}");
            }
            Ok(())
        }
        Action::Describe => describe(client, arguments).await,
        Action::Alter => {
            for name in existing(client, arguments).await? {
                let count = match arguments.assignments()?.len() {
                    0 => arguments.partitions.unwrap_or(-1),
                    by_hand => {
                        let words = format!(
                            "--replica-assignment for {by_hand} new partitions is not supported with --alter yet"
                        );
                        return Err(Failure::Usage(words));
                    }
                };
                client.create_partitions(&name, count).await?;
            }
            Ok(())
        }
        Action::Delete => {
            for name in existing(client, arguments).await? {
                client.delete_topic(&name).await?;
            }
            Ok(())
        }
    }
}

async fn create(client: &Client, arguments: &TopicsArguments) -> Result<(), Failure> {
    let name = arguments.topic.clone().unwrap_or_default();
    if name.contains(['.', '_']) {
        say!(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. \
             To avoid issues it is best to use either, but not both."
        );
    }
    let topic = NewTopic {
        name: name.clone(),
        partitions: arguments.partitions,
        replication_factor: arguments.replication_factor,
        assignments: arguments.assignments()?,
        configs: arguments.config.iter().cloned().collect(),
    };
    match client.create_topic(&topic, false).await {
        Ok(()) => {
            say!("Created topic {name}.");
            Ok(())
        }
        Err(error) if arguments.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn describe(client: &Client, arguments: &TopicsArguments) -> Result<(), Failure> {
    let all = client.describe_topics(None).await?;
    let names = match &arguments.topic_id {
        Some(id) => {
            let found = all.topics.iter().find(|(_, topic)| topic.id.to_string() == *id);
            match found {
                Some((name, _)) => vec![name.to_string()],
                None if arguments.if_exists => Vec::new(),
                None => return Err(Failure::Said(format!("TopicId '{id}' does not exist as expected"))),
            }
        }
        None => existing_among(&all, arguments)?,
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    let configs = client.describe_topic_configs(&names).await?;
    let eligible = client.describe_eligible_leaders(&names).await?;
    for (name, configs) in names.iter().zip(&configs) {
        let Some(topic) = all.topics.get(&Arc::<str>::from(*name)) else { continue };
        for line in (Described { name, topic, configs, eligible: eligible.as_ref() }).lines(arguments) {
            say!("{line}");
        }
    }
    Ok(())
}

fn find<'a>(all: &'a Metadata, arguments: &TopicsArguments) -> Result<Vec<&'a str>, Failure> {
    let filter = match &arguments.topic {
        Some(text) => Some(TopicFilter::parse(text).ok_or_else(|| {
            Failure::Usage(format!(
                "--topic {text:?}: only names, '|', '.' and '.*' of regular expressions are understood"
            ))
        })?),
        None => None,
    };
    Ok(chosen(all.topics.keys().map(|name| &**name), filter.as_ref(), arguments.exclude_internal))
}

async fn existing(client: &Client, arguments: &TopicsArguments) -> Result<Vec<String>, Failure> {
    existing_among(&client.describe_topics(None).await?, arguments)
}

fn existing_among(all: &Metadata, arguments: &TopicsArguments) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = find(all, arguments)?.into_iter().map(str::to_owned).collect();
    match &arguments.topic {
        Some(topic) if names.is_empty() && !arguments.if_exists => {
            Err(Failure::Said(format!("Topic '{topic}' does not exist as expected")))
        }
        _ => Ok(names),
    }
}
