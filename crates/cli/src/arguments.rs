use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A Kafka cluster and its tools in one program.
#[derive(Debug, Parser)]
#[command(name = "raftsman", version, about)]
pub struct Arguments {
    /// What goes to stderr: error, warn, info, debug, or a filter as in RUST_LOG, which this overrides.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start one node.
    Server(ServerArguments),
    /// Start a cluster of several nodes on this machine.
    Cluster(crate::cluster::Arguments),
    /// Kill nodes of a cluster under load and show that nothing is lost.
    Demo(crate::demo::Arguments),
    /// Say whether a cluster is well: exit code 0 if it is.
    Health(HealthArguments),
    /// Create, list, describe, change and delete topics, as kafka-topics.sh does.
    KafkaTopics(crate::topics::TopicsArguments),
    /// Delete the oldest records of partitions, as kafka-delete-records.sh does.
    KafkaDeleteRecords(crate::delete_records::DeleteRecordsArguments),
    /// Show which replicas the brokers' log directories hold, as kafka-log-dirs.sh does.
    KafkaLogDirs(crate::log_dirs::LogDirsArguments),
    /// Show what is in the files of a log, as kafka-dump-log.sh does.
    DumpLog(crate::dump_log::DumpLogArguments),
    /// Send lines from standard input to a topic, as kafka-console-producer.sh does.
    KafkaConsoleProducer(crate::console_producer::ProducerArguments),
    /// Print the records of a topic, as kafka-console-consumer.sh does.
    KafkaConsoleConsumer(crate::console_consumer::ConsumerArguments),
}

/// `raftsman server`.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// A server.properties as Kafka's; without one, a node of its own on ports 9092 and 9093.
    pub properties: Option<PathBuf>,
    /// A setting over the file and the environment; may be repeated.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub overrides: Vec<(String, String)>,
}

/// `raftsman health`.
#[derive(Debug, Args)]
pub struct HealthArguments {
    /// The cluster, host:port with commas between.
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// How long to wait for an answer.
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    pub timeout_ms: u64,
    /// Only ask whether a server answers and is in contact with its cluster, as a container's health check should:
    /// that another node is down is no reason to call this one ill.
    #[arg(long)]
    pub server_only: bool,
}

/// Reads `key=value`; the value may be empty.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Arguments::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("raftsman").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map(|arguments| arguments.command).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_with_their_defaults() {
        let Ok(Command::Server(server)) = parse("server a.properties --override a=b --override c=d=e") else {
            panic!()
        };
        assert_eq!(server.properties, Some(PathBuf::from("a.properties")));
        assert_eq!(server.overrides, [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d=e".to_owned())]);
        assert!(matches!(parse("cluster --nodes 3 --base-port 9092 --dir d"), Ok(Command::Cluster(_))));
        assert!(matches!(parse("demo --kills 9 --partitions 6 --tamper swap"), Ok(Command::Demo(_))));
        let Ok(Command::Health(health)) = parse("health --log-level debug") else { panic!() };
        assert_eq!(health.bootstrap_server, "127.0.0.1:9092");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in
            ["", "nonsense", "server --override x", "server --override =x", "cluster --nodes 0", "demo --tamper x"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
