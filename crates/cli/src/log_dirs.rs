//! `raftsman kafka-log-dirs`: kafka-log-dirs.sh's flags, words and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use raftsman_client::{Client, LogDirDescription};
use raftsman_types::ErrorCode;

use crate::failure::Failure;
use crate::kafka::{ClientProperties, block_on};
use crate::output::say;

/// The flags of kafka-log-dirs.sh.
#[derive(Debug, Clone, Args)]
pub struct LogDirsArguments {
    /// The cluster, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// A file with properties of the admin client.
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// Describe log directories: the one thing there is to do.
    #[arg(long, required = true)]
    pub describe: bool,
    /// Only these topics, with commas between.
    #[arg(long, value_name = "TOPICS", default_value = "", hide_default_value = true)]
    pub topic_list: String,
    /// Only these brokers, with commas between.
    #[arg(long, value_name = "IDS", default_value = "", hide_default_value = true)]
    pub broker_list: String,
}

impl LogDirsArguments {
    fn topics(&self) -> BTreeSet<&str> {
        self.topic_list.split(',').filter(|name| !name.is_empty()).collect()
    }

    fn brokers(&self) -> Result<BTreeSet<i32>, Failure> {
        let ids = self.broker_list.split(',').filter(|id| !id.is_empty());
        let parsed: Result<_, _> = ids.map(|id| id.trim().parse::<i32>().map_err(|_| id)).collect();
        parsed.map_err(|id| Failure::Usage(format!("--broker-list: {id:?} is no broker's id")))
    }
}

/// Runs the command.
///
/// # Errors
/// A broker that is named is not there, or one cannot be asked.
pub fn run(arguments: &LogDirsArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let wanted = arguments.brokers()?;
    let properties = ClientProperties::read(arguments.command_config.as_deref(), &[])?;
    block_on(async {
        let options = properties.client_options("log-dirs-tool")?;
        let client = Client::connect(&arguments.bootstrap_server, options).await?;
        let present: BTreeSet<i32> = client.metadata().brokers.keys().copied().collect();
        let missing: BTreeSet<i32> = wanted.difference(&present).copied().collect();
        if !missing.is_empty() {
            return Err(Failure::Said(format!(
                "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
                list(&missing),
                list(&present)
            )));
        }
        let asked = if wanted.is_empty() { present } else { wanted };
        say!("Querying brokers for log directories information");
        let mut directories = BTreeMap::new();
        for broker in &asked {
            directories.insert(*broker, client.describe_log_dirs(*broker).await?);
        }
        say!("Received log directory information from brokers {}", list(&asked));
        say!("{}", json(&directories, &arguments.topics()));
        Ok(ExitCode::SUCCESS)
    })
}

fn list(ids: &BTreeSet<i32>) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// One line, with the fields in the order in which Kafka's tool happens to print them.
fn json(directories: &BTreeMap<i32, Vec<LogDirDescription>>, topics: &BTreeSet<&str>) -> String {
    let brokers = directories.iter().map(|(broker, held)| {
        let held: Vec<String> = held.iter().map(|directory| directory_json(directory, topics)).collect();
        format!(r#"{{"broker":{broker},"logDirs":[{}]}}"#, held.join(","))
    });
    format!(r#"{{"brokers":[{}],"version":1}}"#, brokers.collect::<Vec<_>>().join(","))
}

fn directory_json(directory: &LogDirDescription, topics: &BTreeSet<&str>) -> String {
    let shown = directory.replicas.iter().filter(|(at, _)| topics.is_empty() || topics.contains(&*at.topic));
    let partitions = shown.map(|(at, replica)| {
        format!(
            r#"{{"partition":{},"size":{},"offsetLag":{},"isFuture":{}}}"#,
            quoted(&at.to_string()),
            replica.size_bytes,
            replica.offset_lag,
            replica.is_future
        )
    });
    let error = match directory.error {
        ErrorCode::None => "null".to_owned(),
        // What Kafka's tool prints is the name of its exception.
        ErrorCode::KafkaStorageError => quoted("org.apache.kafka.common.errors.KafkaStorageException"),
        other => quoted(other.name()),
    };
    let partitions = partitions.collect::<Vec<_>>().join(",");
    format!(r#"{{"partitions":[{partitions}],"error":{error},"logDir":{}}}"#, quoted(&directory.path))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use raftsman_client::ReplicaSize;
    use raftsman_types::TopicPartition;

    use super::*;

    fn directory(path: &str, error: ErrorCode, topics: &[&str]) -> LogDirDescription {
        let replica = |topic: &&str| {
            let at = TopicPartition { topic: (*topic).into(), partition: 3 };
            (at, ReplicaSize { size_bytes: 70, offset_lag: 0, is_future: false })
        };
        let replicas = topics.iter().map(replica).collect();
        LogDirDescription { path: path.to_owned(), error, replicas, total_bytes: None, usable_bytes: None }
    }

    #[test]
    fn the_json_is_kafkas() {
        let held = vec![
            directory("/a \"b\"", ErrorCode::None, &["orders", "other"]),
            directory("/gone", ErrorCode::KafkaStorageError, &[]),
        ];
        let text = json(&[(1, held)].into(), &["orders"].into());
        let expected = r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"orders-3","size":70,"#
            .to_owned()
            + r#""offsetLag":0,"isFuture":false}],"error":null,"logDir":"/a \"b\""},{"partitions":[],"#
            + r#""error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/gone"}]}],"version":1}"#;
        assert_eq!(text, expected);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
