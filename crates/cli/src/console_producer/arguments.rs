use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use raftsman_client::{Acks, ProducerOptions};
use raftsman_records::Compression;

use crate::arguments::key_value;
use crate::failure::Failure;
use crate::kafka::ClientProperties;

/// The flags of kafka-console-producer.sh, Kafka's deprecated spellings among them.
#[derive(Debug, Clone, Args)]
pub struct ProducerArguments {
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// The cluster, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,
    /// The older name of --bootstrap-server.
    #[arg(long, value_name = "HOST:PORT", hide = true)]
    pub broker_list: Option<String>,
    /// Wait for each record's acknowledgement before the next is sent.
    #[arg(long)]
    pub sync: bool,
    /// gzip, snappy, lz4, zstd or none; gzip without a value.
    #[arg(long, num_args = 0..=1, default_missing_value = "gzip", value_name = "CODEC")]
    pub compression_codec: Option<String>,
    /// A batch is not filled beyond this, in bytes.
    #[arg(long, value_name = "BYTES")]
    pub batch_size: Option<usize>,
    /// The older name of --batch-size.
    #[arg(long, value_name = "BYTES", hide = true)]
    pub max_partition_memory_bytes: Option<usize>,
    /// How long a batch waits for more records, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub timeout: Option<u64>,
    /// 0, 1 or all (-1).
    #[arg(long, allow_hyphen_values = true, value_name = "ACKS")]
    pub request_required_acks: Option<String>,
    /// How long a broker may wait for its replicas, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub request_timeout_ms: Option<u64>,
    /// How long to wait for the topic's metadata, in milliseconds.
    #[arg(long, default_value_t = 60_000, value_name = "MS")]
    pub max_block_ms: u64,
    /// A file with properties of the producer.
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// The older name of --command-config.
    #[arg(long = "producer.config", value_name = "FILE", hide = true)]
    pub producer_config: Option<PathBuf>,
    /// A property of the producer, over the file; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub command_property: Vec<(String, String)>,
    /// The older name of --command-property.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, hide = true)]
    pub producer_property: Vec<(String, String)>,
    /// A property of the line reader: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator,
    /// headers.key.separator, null.marker, ignore.error; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = raw_key_value)]
    pub reader_property: Vec<(String, String)>,
    /// The older name of --reader-property.
    #[arg(long, value_name = "KEY=VALUE", value_parser = raw_key_value, hide = true)]
    pub property: Vec<(String, String)>,
    /// A file with properties of the line reader.
    #[arg(long, value_name = "FILE")]
    pub reader_config: Option<PathBuf>,
    /// Accepted for Kafka's sake: there is one line reader.
    #[arg(long, hide = true)]
    pub line_reader: Option<String>,
    /// Accepted for Kafka's sake: records are tried until the delivery timeout.
    #[arg(long, hide = true)]
    pub message_send_max_retries: Option<u64>,
    /// Accepted for Kafka's sake.
    #[arg(long, hide = true)]
    pub retry_backoff_ms: Option<u64>,
    /// Accepted for Kafka's sake.
    #[arg(long, hide = true)]
    pub metadata_expiry_ms: Option<u64>,
    /// Accepted for Kafka's sake.
    #[arg(long, hide = true)]
    pub max_memory_bytes: Option<u64>,
    /// Accepted for Kafka's sake.
    #[arg(long, hide = true)]
    pub socket_buffer_size: Option<u64>,
}

/// As `key_value`, but a separator made of blanks keeps them.
pub fn raw_key_value(text: &str) -> Result<(String, String), String> {
    let (key, _) = key_value(text)?;
    let value = text.split_once('=').map_or("", |(_, value)| value);
    Ok((key, value.to_owned()))
}

impl ProducerArguments {
    /// The cluster's address under either name.
    ///
    /// # Errors
    /// Neither is given.
    pub fn bootstrap_server(&self) -> Result<&str, Failure> {
        let missing = || Failure::Usage("Missing required option(s) [bootstrap-server]".to_owned());
        self.bootstrap_server.as_deref().or(self.broker_list.as_deref()).ok_or_else(missing)
    }

    /// The file with properties, under either name.
    pub fn config_file(&self) -> Option<&Path> {
        self.command_config.as_deref().or(self.producer_config.as_deref())
    }

    /// The properties given one by one.
    pub fn properties(&self) -> Vec<(String, String)> {
        self.producer_property.iter().chain(&self.command_property).cloned().collect()
    }

    /// The line reader's properties: the file, then the flags over it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reader_properties(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        if let Some(path) = &self.reader_config {
            let text = fs::read_to_string(path).map_err(Failure::system(format!("cannot read {}", path.display())))?;
            let read = raftsman_server::config::properties::parse(&text);
            let read = read.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            all.extend(read.into_iter().map(|property| (property.key, property.value)));
        }
        all.extend(self.property.iter().chain(&self.reader_property).cloned());
        Ok(all)
    }

    /// How the producer sends: flags, then properties, then the defaults of Kafka's tool.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub fn producer_options(&self, properties: &ClientProperties) -> Result<ProducerOptions, Failure> {
        let codec = self.compression_codec.as_deref().or(properties.get("compression.type")).unwrap_or("none");
        let acks = self.request_required_acks.as_deref().or(properties.get("acks")).unwrap_or("-1");
        let linger = self.timeout.map(Duration::from_millis).or(properties.millis("linger.ms")?);
        let batch = self.batch_size.or(self.max_partition_memory_bytes).or(properties.number("batch.size")?);
        let defaults = ProducerOptions::default();
        let request_timeout = self.request_timeout_ms.map(Duration::from_millis);
        let idempotent = properties.get("enable.idempotence").unwrap_or("true");
        Ok(ProducerOptions {
            acks: parse_acks(acks)?,
            is_idempotent: idempotent.eq_ignore_ascii_case("true"),
            batch_bytes: batch.unwrap_or(defaults.batch_bytes),
            // Kafka's tool waits a whole second by default; nobody typing lines wants that.
            linger: linger.unwrap_or(Duration::from_millis(5)),
            compression: parse_codec(codec)?,
            delivery_timeout: properties.millis("delivery.timeout.ms")?.unwrap_or(defaults.delivery_timeout),
            request_timeout: request_timeout
                .or(properties.millis("request.timeout.ms")?)
                .unwrap_or(defaults.request_timeout),
        })
    }
}

fn parse_acks(text: &str) -> Result<Acks, Failure> {
    match text {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "-1" | "all" => Ok(Acks::All),
        other => Err(Failure::Usage(format!("acks={other} is not allowed: expected 0, 1, -1 or all"))),
    }
}

fn parse_codec(text: &str) -> Result<Compression, Failure> {
    match text {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "snappy" => Ok(Compression::Snappy),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        other => {
            Err(Failure::Usage(format!("Unknown compression codec {other}: expected none, gzip, snappy, lz4 or zstd")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> ProducerArguments {
        use clap::Parser;
        let all = ["raftsman", "kafka-console-producer", "--topic", "t"].iter().chain(words);
        match crate::arguments::Arguments::try_parse_from(all).unwrap().command {
            crate::arguments::Command::KafkaConsoleProducer(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn old_and_new_spellings() {
        let old = parse(&["--broker-list", "h:1", "--producer-property", "acks=1", "--property", "parse.key=true"]);
        let new = parse(&[
            "--bootstrap-server",
            "h:1",
            "--command-property",
            "acks=1",
            "--reader-property",
            "parse.key=true",
        ]);
        for arguments in [old, new] {
            assert_eq!(arguments.bootstrap_server().unwrap(), "h:1");
            let properties = ClientProperties::read(None, &arguments.properties()).unwrap();
            assert_eq!(arguments.producer_options(&properties).unwrap().acks, Acks::Leader);
            assert_eq!(arguments.reader_properties().unwrap()["parse.key"], "true");
        }
        assert!(parse(&[]).bootstrap_server().is_err());
    }

    #[test]
    fn values_with_meaning() {
        let none = ClientProperties::default();
        let options = |words: &[&str]| parse(words).producer_options(&none);
        assert_eq!(options(&["--compression-codec"]).unwrap().compression, Compression::Gzip);
        assert_eq!(options(&["--compression-codec", "zstd"]).unwrap().compression, Compression::Zstd);
        assert_eq!(options(&["--request-required-acks", "-1"]).unwrap().acks, Acks::All);
        assert!(options(&["--request-required-acks", "2"]).is_err());
        assert!(options(&["--compression-codec", "rar"]).is_err());
        assert_eq!(parse(&["--property", "key.separator= "]).reader_properties().unwrap()["key.separator"], " ");
    }
}
