//! `raftsman kafka-delete-records`: kafka-delete-records.sh's flags and words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use raftsman_types::TopicPartition;
use serde_json::Value;

use crate::failure::Failure;
use crate::kafka::{ClientProperties, block_on};
use crate::output::say;

/// The flags of kafka-delete-records.sh.
#[derive(Debug, Clone, Args)]
pub struct DeleteRecordsArguments {
    /// The cluster, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// A JSON file with an offset for each partition: what lies below goes, all of it for -1.
    /// {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}
    #[arg(long, value_name = "FILE")]
    pub offset_json_file: PathBuf,
    /// A file with properties of the admin client.
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
}

/// Runs the command. Like Kafka's tool it says for each partition what became of it, and ends well even if some failed.
///
/// # Errors
/// The file is not as it should be, or there is no cluster.
pub fn run(arguments: &DeleteRecordsArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let properties = ClientProperties::read(arguments.command_config.as_deref(), &[])?;
    let shown = arguments.offset_json_file.display();
    let text = std::fs::read_to_string(&arguments.offset_json_file)
        .map_err(Failure::system(format!("cannot read {shown}")))?;
    let offsets = parse(&text).map_err(|reason| Failure::Usage(format!("{shown}: {reason}")))?;
    block_on(async {
        let options = properties.client_options("admin")?;
        let client = raftsman_client::Client::connect(&arguments.bootstrap_server, options).await?;
        say!("Executing records delete operation");
        let outcomes = client.delete_records(&offsets).await;
        say!("Records delete operation completed:");
        for (at, outcome) in outcomes {
            match outcome {
                Ok(low_watermark) => say!("partition: {at}\tlow_watermark: {low_watermark}"),
                Err(error) => say!("partition: {at}\terror: {error}"),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Reads the file's text.
fn parse(text: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| format!("The input string is not a valid JSON: {error}"))?;
    match json.get("version") {
        None => {}
        Some(version) if version.as_i64() == Some(1) => {}
        Some(version) => return Err(format!("Not supported version field value {version}")),
    }
    let partitions = json.get("partitions").and_then(Value::as_array).ok_or("Missing partitions field")?;
    let mut offsets = BTreeMap::new();
    let mut duplicates = Vec::new();
    for entry in partitions {
        let wrong = |field: &str, kind: &str| format!("{field} is missing or is no {kind} in {entry}");
        let topic = entry.get("topic").and_then(Value::as_str).ok_or_else(|| wrong("topic", "string"))?;
        let partition = entry.get("partition").and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
        let partition = partition.ok_or_else(|| wrong("partition", "number"))?;
        let offset = entry.get("offset").and_then(Value::as_i64).ok_or_else(|| wrong("offset", "number"))?;
        let at = TopicPartition { topic: topic.into(), partition };
        if offsets.insert(at.clone(), offset).is_some() {
            duplicates.push(at.to_string());
        }
    }
    match duplicates.is_empty() {
        true => Ok(offsets),
        false => Err(format!("Offset json file contains duplicate topic partitions: {}", duplicates.join(","))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_an_offset_for_each_partition() {
        let text = r#"{"partitions": [{"topic": "b", "partition": 1, "offset": 7},
            {"topic": "a-b", "partition": 0, "offset": -1}], "version": 1}"#;
        let parsed = parse(text).unwrap();
        let shown: Vec<String> = parsed.iter().map(|(at, offset)| format!("{at} {offset}")).collect();
        assert_eq!(shown, ["a-b-0 -1", "b-1 7"]);
        assert!(parse(r#"{"partitions": []}"#).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let entry = r#"{"topic": "a", "partition": 0, "offset": 1}"#;
        for (text, word) in [
            ("nonsense".to_owned(), "valid JSON"),
            ("{}".to_owned(), "Missing partitions field"),
            (r#"{"version": 2, "partitions": []}"#.to_owned(), "Not supported version field value 2"),
            (format!(r#"{{"partitions": [{entry}, {entry}]}}"#), "duplicate topic partitions: a-0"),
            (r#"{"partitions": [{"partition": 0, "offset": 1}]}"#.to_owned(), "topic"),
            (r#"{"partitions": [{"topic": "a", "partition": 4294967296, "offset": 1}]}"#.to_owned(), "partition"),
            (r#"{"partitions": [{"topic": "a", "partition": 0, "offset": "1"}]}"#.to_owned(), "offset"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
