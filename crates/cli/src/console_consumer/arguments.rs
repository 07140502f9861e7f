use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use raftsman_client::StartAt;

use crate::arguments::key_value;
use crate::console_producer::raw_key_value;
use crate::failure::Failure;

/// The flags of kafka-console-consumer.sh, Kafka's deprecated spellings among them.
#[derive(Debug, Clone, Default, Args)]
pub struct ConsumerArguments {
    /// The cluster, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// The topic.
    #[arg(long)]
    pub topic: Option<String>,
    /// The topics whose names match.
    #[arg(long, value_name = "REGEX")]
    pub include: Option<String>,
    /// The older name of --include.
    #[arg(long, value_name = "REGEX", hide = true)]
    pub whitelist: Option<String>,
    /// One partition only.
    #[arg(long)]
    pub partition: Option<i32>,
    /// Where to start in that partition: a number, earliest or latest.
    #[arg(long)]
    pub offset: Option<String>,
    /// Start with the first record there is, where the group has not committed any.
    #[arg(long)]
    pub from_beginning: bool,
    /// End after so many records.
    #[arg(long)]
    pub max_messages: Option<u64>,
    /// End when no record comes for so long.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u64>,
    /// Read as a member of this group.
    #[arg(long)]
    pub group: Option<String>,
    /// read_committed or read_uncommitted.
    #[arg(long, default_value = "read_uncommitted")]
    pub isolation_level: String,
    /// A file with properties of the consumer.
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// The older name of --command-config.
    #[arg(long = "consumer.config", value_name = "FILE", hide = true)]
    pub consumer_config: Option<PathBuf>,
    /// A property of the consumer, over the file; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub command_property: Vec<(String, String)>,
    /// The older name of --command-property.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, hide = true)]
    pub consumer_property: Vec<(String, String)>,
    /// A property of the output: print.timestamp, print.partition, print.offset, print.epoch, print.headers, print.key,
    /// print.value (true or false), key.separator, line.separator, headers.separator, null.literal; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = raw_key_value)]
    pub formatter_property: Vec<(String, String)>,
    /// The older name of --formatter-property.
    #[arg(long, value_name = "KEY=VALUE", value_parser = raw_key_value, hide = true)]
    pub property: Vec<(String, String)>,
    /// A file with properties of the output.
    #[arg(long, value_name = "FILE")]
    pub formatter_config: Option<PathBuf>,
    /// Only Kafka's DefaultMessageFormatter.
    #[arg(long, hide = true)]
    pub formatter: Option<String>,
    /// Only Kafka's StringDeserializer and ByteArrayDeserializer.
    #[arg(long, hide = true)]
    pub key_deserializer: Option<String>,
    /// Only Kafka's StringDeserializer and ByteArrayDeserializer.
    #[arg(long, hide = true)]
    pub value_deserializer: Option<String>,
    /// Accepted for Kafka's sake: no record fails to be printed here.
    #[arg(long, hide = true)]
    pub skip_message_on_error: bool,
    /// Accepted for Kafka's sake.
    #[arg(long, hide = true)]
    pub enable_systest_events: bool,
}

impl ConsumerArguments {
    /// Kafka's checks of what goes together.
    ///
    /// # Errors
    /// Says which flags do not.
    pub fn check(&self) -> Result<(), Failure> {
        let refuse = |words: &str| Err(Failure::Usage(words.to_owned()));
        if self.topic.is_some() == self.filter().is_some() {
            return refuse("Exactly one of the following arguments is required: [topic], [include]");
        }
        if self.partition.is_some() && self.topic.is_none() {
            return refuse("The topic is required when partition is specified.");
        }
        if self.offset.is_some() && self.partition.is_none() {
            return refuse("The partition is required when offset is specified.");
        }
        if self.offset.is_some() && self.from_beginning {
            return refuse("Options from-beginning and offset cannot be specified together.");
        }
        if self.partition.is_some() && self.group.is_some() {
            return refuse("Options group and partition cannot be specified together.");
        }
        if !matches!(self.isolation_level.as_str(), "read_committed" | "read_uncommitted") {
            return refuse("isolation-level must be read_committed or read_uncommitted");
        }
        let is_plain = |name: &Option<String>, known: &[&str]| {
            name.as_deref().is_none_or(|name| known.contains(&name.rsplit('.').next().unwrap_or(name)))
        };
        if !is_plain(&self.formatter, &["DefaultMessageFormatter"]) {
            return refuse("--formatter: only Kafka's DefaultMessageFormatter is supported");
        }
        for deserializer in [&self.key_deserializer, &self.value_deserializer] {
            if !is_plain(deserializer, &["StringDeserializer", "ByteArrayDeserializer"]) {
                return refuse("only Kafka's StringDeserializer and ByteArrayDeserializer are supported");
            }
        }
        self.start().map(|_| ())
    }

    /// The expression of topics to read, under either name.
    pub fn filter(&self) -> Option<&str> {
        self.include.as_deref().or(self.whitelist.as_deref())
    }

    /// Where to start where no offset is committed.
    ///
    /// # Errors
    /// `--offset` is none of a number, earliest and latest.
    pub fn start(&self) -> Result<StartAt, Failure> {
        match self.offset.as_deref() {
            Some("earliest") => Ok(StartAt::Earliest),
            Some("latest") => Ok(StartAt::Latest),
            None if self.from_beginning => Ok(StartAt::Earliest),
            None => Ok(StartAt::Latest),
            Some(text) => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(StartAt::Offset(offset)),
                _ => Err(Failure::Usage(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
                ))),
            },
        }
    }

    /// The file with properties, under either name.
    pub fn config_file(&self) -> Option<&Path> {
        self.command_config.as_deref().or(self.consumer_config.as_deref())
    }

    /// The properties given one by one.
    pub fn properties(&self) -> Vec<(String, String)> {
        self.consumer_property.iter().chain(&self.command_property).cloned().collect()
    }

    /// The output's properties: the file, then the flags over it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn formatter_properties(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        if let Some(path) = &self.formatter_config {
            let text = fs::read_to_string(path).map_err(Failure::system(format!("cannot read {}", path.display())))?;
            let read = raftsman_server::config::properties::parse(&text);
            let read = read.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            all.extend(read.into_iter().map(|property| (property.key, property.value)));
        }
        all.extend(self.property.iter().chain(&self.formatter_property).cloned());
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> ConsumerArguments {
        use clap::Parser;
        let words = ["raftsman", "kafka-console-consumer", "--bootstrap-server", "h:1"].into_iter();
        let all = words.chain(line.split_whitespace());
        match crate::arguments::Arguments::try_parse_from(all).unwrap().command {
            crate::arguments::Command::KafkaConsoleConsumer(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_to_start() {
        for (line, start) in [
            ("--topic t", StartAt::Latest),
            ("--topic t --from-beginning", StartAt::Earliest),
            ("--topic t --partition 0 --offset earliest", StartAt::Earliest),
            ("--topic t --partition 0 --offset 7", StartAt::Offset(7)),
        ] {
            let arguments = parse(line);
            arguments.check().unwrap();
            assert_eq!(arguments.start().unwrap(), start, "{line}");
        }
    }

    #[test]
    fn flags_that_do_not_go_together() {
        for (line, words) in [
            ("", "[topic], [include]"),
            ("--topic t --include u", "[topic], [include]"),
            ("--topic t --offset 3", "partition is required"),
            ("--topic t --partition 0 --offset 3 --from-beginning", "cannot be specified together"),
            ("--topic t --partition 0 --group g", "cannot be specified together"),
            ("--include t --partition 0", "topic is required"),
            ("--topic t --partition 0 --offset soon", "'soon' is incorrect"),
            ("--topic t --isolation-level dirty", "read_committed"),
            ("--topic t --formatter my.Formatter", "DefaultMessageFormatter"),
            ("--topic t --value-deserializer my.Avro", "StringDeserializer"),
        ] {
            let error = parse(line).check().unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn old_and_new_spellings() {
        for line in [
            "--topic t --consumer-property a=b --property print.key=true",
            "--topic t --command-property a=b --formatter-property print.key=true",
        ] {
            let arguments = parse(line);
            assert_eq!(arguments.properties(), [("a".to_owned(), "b".to_owned())]);
            assert_eq!(arguments.formatter_properties().unwrap()["print.key"], "true");
        }
    }
}
