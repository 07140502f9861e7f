use std::collections::BTreeMap;
use std::io::{self, Write};

use raftsman_client::ConsumerRecord;

use crate::failure::Failure;

/// Writes records as Kafka's `DefaultMessageFormatter` does.
#[derive(Debug)]
pub struct Formatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
}

impl Formatter {
    /// A formatter with these properties.
    ///
    /// # Errors
    /// A property nobody knows, or a flag that is neither true nor false.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Formatter, Failure> {
        let flags = ["timestamp", "partition", "offset", "epoch", "headers", "key", "value"]
            .map(|name| format!("print.{name}"));
        let texts = ["key.separator", "line.separator", "headers.separator", "null.literal"];
        for key in properties.keys() {
            // Deserializers are Kafka classes: bytes are printed as they are, which is what its default does.
            if !flags.contains(key) && !texts.contains(&key.as_str()) && !key.contains("deserializer") {
                let known: Vec<&str> = flags.iter().map(String::as_str).chain(texts).collect();
                return Err(Failure::Usage(format!("unknown property {key}: the formatter has {}", known.join(", "))));
            }
        }
        let flag = |key: &str, default: bool| match properties.get(key).map(|value| value.trim()) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Failure::Usage(format!("{key}={other} is not allowed: expected true or false"))),
        };
        let text = |key: &str, default: &str| {
            properties.get(key).map_or(default, String::as_str).replace("\\t", "\t").replace("\\n", "\n")
        };
        Ok(Formatter {
            timestamp: flag("print.timestamp", false)?,
            partition: flag("print.partition", false)?,
            offset: flag("print.offset", false)?,
            epoch: flag("print.epoch", false)?,
            headers: flag("print.headers", false)?,
            key: flag("print.key", false)?,
            value: flag("print.value", true)?,
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
        })
    }

    /// Writes one record with its line end.
    pub fn write(&self, record: &ConsumerRecord, output: &mut impl Write) -> io::Result<()> {
        let kind = if record.is_log_append_time { "LogAppendTime" } else { "CreateTime" };
        let timestamp = match record.timestamp_ms {
            ..0 => "NO_TIMESTAMP".to_owned(),
            ms => format!("{kind}:{ms}"),
        };
        let epoch = match record.leader_epoch {
            ..0 => "Epoch:NOT_PRESENT".to_owned(),
            epoch => format!("Epoch:{epoch}"),
        };
        let columns = [
            (self.timestamp, timestamp),
            (self.partition, format!("Partition:{}", record.partition)),
            (self.offset, format!("Offset:{}", record.offset)),
            (self.epoch, epoch),
        ];
        let mut separator = "";
        for (_, column) in columns.iter().filter(|(is_wanted, _)| *is_wanted) {
            write!(output, "{separator}{column}")?;
            separator = &self.key_separator;
        }
        if self.headers {
            output.write_all(separator.as_bytes())?;
            self.write_headers(record, output)?;
            separator = &self.key_separator;
        }
        for (_, bytes) in [(self.key, &record.key), (self.value, &record.value)].iter().filter(|(wanted, _)| *wanted) {
            output.write_all(separator.as_bytes())?;
            output.write_all(bytes.as_deref().unwrap_or(self.null_literal.as_bytes()))?;
            separator = &self.key_separator;
        }
        output.write_all(self.line_separator.as_bytes())
    }

    fn write_headers(&self, record: &ConsumerRecord, output: &mut impl Write) -> io::Result<()> {
        if record.headers.is_empty() {
            return output.write_all(b"NO_HEADERS");
        }
        for (i, (name, value)) in record.headers.iter().enumerate() {
            if i > 0 {
                output.write_all(self.headers_separator.as_bytes())?;
            }
            write!(output, "{name}:")?;
            output.write_all(value.as_deref().unwrap_or(self.null_literal.as_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 1,
            offset: 5,
            leader_epoch: 2,
            timestamp_ms: 1_795_227_587_047,
            is_log_append_time: false,
            key: None,
            value: Some("v".into()),
            headers: vec![("h1".to_owned(), Some("v1".into())), ("h2".to_owned(), None)],
        }
    }

    fn line(properties: &[(&str, &str)], record: &ConsumerRecord) -> String {
        let all = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut output = Vec::new();
        Formatter::new(&all).unwrap().write(record, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn lines_are_kafkas() {
        assert_eq!(line(&[], &record()), "v\n");
        let all = ["timestamp", "partition", "offset", "epoch", "headers", "key"].map(|name| format!("print.{name}"));
        let all: Vec<(&str, &str)> = all.iter().map(|key| (key.as_str(), "true")).collect();
        let expected = "CreateTime:1795227587047\tPartition:1\tOffset:5\tEpoch:2\th1:v1,h2:null\tnull\tv\n";
        assert_eq!(line(&all, &record()), expected);
        let bare = ConsumerRecord { headers: Vec::new(), timestamp_ms: -1, leader_epoch: -1, ..record() };
        assert_eq!(line(&all, &bare), "NO_TIMESTAMP\tPartition:1\tOffset:5\tEpoch:NOT_PRESENT\tNO_HEADERS\tnull\tv\n");
    }

    #[test]
    fn separators_and_literals() {
        let properties =
            [("print.key", "true"), ("key.separator", "|"), ("null.literal", "-"), ("line.separator", ";")];
        assert_eq!(line(&properties, &record()), "-|v;");
        assert_eq!(line(&[("print.value", "false"), ("print.key", "true")], &record()), "null\n");
    }

    #[test]
    fn bad_properties_are_refused() {
        for (key, value) in [("print.keys", "true"), ("print.key", "yes")] {
            assert!(Formatter::new(&BTreeMap::from([(key.to_owned(), value.to_owned())])).is_err());
        }
    }
}
