//! Records of Kafka's `__cluster_metadata` (KIP-500, KIP-631): a frame around type, version and content. There are no keys.
//! And what its control records say.

use bytes::Bytes;
use raftsman_protocol::Reader;
use raftsman_records::{ControlRecordType, Record};

use super::json::Json;
use super::schema::Schemas;

const FRAME_VERSION: u32 = 1;

/// The records of the topic.
#[derive(Debug)]
pub struct MetadataRecords {
    schemas: Schemas,
}

impl MetadataRecords {
    /// All that Kafka has.
    ///
    /// # Errors
    /// A schema is none, which tests show not to happen.
    pub fn new() -> Result<MetadataRecords, String> {
        Ok(MetadataRecords { schemas: Schemas::parse(include_str!("schemas/cluster_metadata.txt"))? })
    }

    /// A record as JSON, or what is wrong with it.
    pub fn decode(&self, record: &Record) -> String {
        let value = record.value.as_ref().ok_or_else(|| "it has no value".to_owned());
        match value.and_then(|value| self.json(value)) {
            Ok(json) => json,
            Err(reason) => format!("Error at {}, skipping. {reason}", record.offset),
        }
    }

    fn json(&self, bytes: &Bytes) -> Result<String, String> {
        let mut r = Reader::new(bytes.clone());
        let mut number = |what: &str| {
            let number = r.uvarint().map_err(|_| format!("Error while reading {what}"))?;
            i16::try_from(number).map_err(|_| format!("Value for {what} was too large."))
        };
        let frame = number("frame version")?;
        if u32::try_from(frame) != Ok(FRAME_VERSION) {
            return Err(format!(
                "Could not deserialize metadata record due to unknown frame version {frame}(only frame version \
                 {FRAME_VERSION} is supported)"
            ));
        }
        let (kind, version) = (number("type")?, number("version")?);
        let schema = self.schemas.values.get(&kind).ok_or_else(|| format!("Unknown metadata id {kind}"))?;
        let failed = |error| format!("Failed to deserialize record with type {kind}: {error}");
        let data = schema.read(&mut r, version).map_err(failed)?;
        if r.remaining() > 0 {
            return Err(format!("Found {} byte(s) of garbage after {kind}", r.remaining()));
        }
        Ok(format!(r#"{{"type":"{}","version":{version},"data":{data}}}"#, screaming(schema.name)))
    }
}

/// `TopicRecord` as `TOPIC_RECORD`.
fn screaming(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(c.to_ascii_uppercase());
    }
    words
}

/// What a control record says, in the words of Kafka's tool; `None` of a type that it does not know.
///
/// # Errors
/// The value is not of its type.
pub fn control_words(kind: ControlRecordType, value: &Bytes) -> Result<Option<String>, String> {
    let head = match kind {
        ControlRecordType::LeaderChange => "LeaderChange:",
        ControlRecordType::SnapshotHeader => "SnapshotHeader",
        ControlRecordType::SnapshotFooter => "SnapshotFooter",
        ControlRecordType::KRaftVersion => "KRaftVersion",
        ControlRecordType::KRaftVoters => "KRaftVoters",
        ControlRecordType::Abort | ControlRecordType::Commit | ControlRecordType::Unknown(_) => return Ok(None),
    };
    let schemas = Schemas::parse(include_str!("schemas/control.txt"))?;
    let schema = schemas.values.get(&kind.id()).ok_or_else(|| format!("{head} is of an unknown shape"))?;
    // The first field of each is its version.
    let version = value.first_chunk().map_or(0, |version| i16::from_be_bytes(*version));
    let json: Result<Json, _> = schema.read(&mut Reader::new(value.clone()), version);
    Ok(Some(format!(" {head} {}", json.map_err(|error| error.to_string())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Option<&'static [u8]>) -> String {
        let value = value.map(Bytes::from_static);
        let records = MetadataRecords::new().expect("the schemas are good");
        records.decode(&Record { offset: 8, timestamp: -1, key: None, value, headers: Vec::new() })
    }

    #[test]
    fn a_record_is_named_and_shown() {
        let no_op = r#"{"type":"NO_OP_RECORD","version":0,"data":{}}"#;
        assert_eq!(shown(Some(&[1, 20, 0, 0])), no_op);
        // The leader changes to 3; partition 1 of a topic.
        let mut change = vec![1, 5, 0, 0, 0, 0, 1];
        change.extend([7; 16]);
        change.extend([1, 1, 4, 0, 0, 0, 3]);
        let expected = r#"{"type":"PARTITION_CHANGE_RECORD","version":0,"data":{"partitionId":1,"topicId":"BwcHBwcHBwcHBwcHBwcHBw","leader":3}}"#;
        assert_eq!(shown(Some(change.leak())), expected);
    }

    #[test]
    fn what_is_no_record_is_said_and_not_fatal() {
        let head = "Error at 8, skipping. ";
        for (value, said) in [
            (None, "it has no value"),
            (Some(&[2, 20, 0][..]), "Could not deserialize metadata record due to unknown frame version 2"),
            (Some(&[1, 99, 0][..]), "Unknown metadata id 99"),
            (Some(&[1, 20, 0, 0, 5][..]), "Found 1 byte(s) of garbage after 20"),
            (Some(&[1, 2, 0, 9][..]), "Failed to deserialize record with type 2"),
            (Some(&[1][..]), "Error while reading type"),
        ] {
            let line = shown(value);
            assert!(line.strip_prefix(head).is_some_and(|rest| rest.starts_with(said)), "{line}");
        }
    }
}
