//! Records of `__consumer_offsets` as JSON, in the shape and with the field names of Kafka's tool.

use bytes::Bytes;
use raftsman_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition,
};
use raftsman_protocol::messages::group_metadata_record::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use raftsman_protocol::messages::offset_commit_record::{OffsetCommitKey, OffsetCommitValue};
use raftsman_protocol::{DecodeError, Message, Reader, Str};
use raftsman_records::Record;
use serde_json::Value;

/// The key's versions, which say what a record is about.
const OFFSET_COMMIT_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
const GROUP_METADATA_KEY: i16 = 2;
/// The members' blobs of such groups are known.
const CONSUMER_PROTOCOL: &str = "consumer";

/// Key and value as JSON. What cannot be read is said in place of the key, as in Kafka.
///
/// # Errors
/// There is no key.
pub fn decode(record: &Record) -> Result<(Option<String>, Option<String>), String> {
    let offset = record.offset;
    let Some(key) = &record.key else {
        return Err(format!(
            "Failed to decode message at offset {offset} using the specified decoder (message had a missing key)"
        ));
    };
    let described = match version_of(key) {
        Some(kind) if OFFSET_COMMIT_KEYS.contains(&kind) => offset_commit(key, record.value.as_ref()),
        Some(GROUP_METADATA_KEY) => group_metadata(key, record.value.as_ref()),
        Some(kind) => return Ok((Some(format!("Unknown record type {kind} at offset {offset}, skipping.")), None)),
        None => return Ok((Some(format!("Error at offset {offset}, skipping. The key has no type")), None)),
    };
    Ok(match described {
        Ok((key, value)) => (Some(key), Some(value.unwrap_or_else(|| "<DELETE>".to_owned()))),
        Err(error) => (Some(format!("Error at offset {offset}, skipping. {error}")), None),
    })
}

type Described = Result<(String, Option<String>), DecodeError>;

fn offset_commit(key: &Bytes, value: Option<&Bytes>) -> Described {
    let (kind, key) = versioned::<OffsetCommitKey>(key)?;
    let fields = [("group", text(&key.group)), ("topic", text(&key.topic)), ("partition", key.partition.to_string())];
    let key = typed("type", kind, &object(fields));
    let Some(bytes) = value else { return Ok((key, None)) };
    let (version, value) = versioned::<OffsetCommitValue>(bytes)?;
    let mut fields = vec![("offset", value.offset.to_string())];
    if version >= 3 {
        fields.push(("leaderEpoch", value.leader_epoch.to_string()));
    }
    fields.push(("metadata", text(&value.metadata)));
    fields.push(("commitTimestamp", value.commit_timestamp.to_string()));
    if version == 1 {
        fields.push(("expireTimestamp", value.expire_timestamp.to_string()));
    }
    if version >= 4 && !value.topic_id.is_zero() {
        fields.push(("topicId", quoted(&value.topic_id.to_string())));
    }
    Ok((key, Some(typed("version", version, &object(fields)))))
}

fn group_metadata(key: &Bytes, value: Option<&Bytes>) -> Described {
    let (kind, key) = versioned::<GroupMetadataKey>(key)?;
    let key = typed("type", kind, &object([("group", text(&key.group))]));
    let Some(bytes) = value else { return Ok((key, None)) };
    let (version, value) = versioned::<GroupMetadataValue>(bytes)?;
    let mut fields = vec![
        ("protocolType", text(&value.protocol_type)),
        ("generation", value.generation.to_string()),
        ("protocol", nullable(value.protocol.as_ref())),
        ("leader", nullable(value.leader.as_ref())),
    ];
    if version >= 2 {
        fields.push(("currentStateTimestamp", value.current_state_timestamp.to_string()));
    }
    let are_consumers = &*value.protocol_type == CONSUMER_PROTOCOL;
    fields.push(("members", list(value.members.iter().map(|one| member(one, version, are_consumers)))));
    Ok((key, Some(typed("version", version, &object(fields)))))
}

fn member(member: &MemberMetadata, version: i16, is_consumer: bool) -> String {
    let mut fields = vec![("memberId", text(&member.member_id))];
    if version >= 3 {
        fields.push(("groupInstanceId", nullable(member.group_instance_id.as_ref())));
    }
    fields.push(("clientId", text(&member.client_id)));
    fields.push(("clientHost", text(&member.client_host)));
    if version >= 1 {
        fields.push(("rebalanceTimeout", member.rebalance_timeout.to_string()));
    }
    fields.push(("sessionTimeout", member.session_timeout.to_string()));
    let blob = |bytes: &Bytes, read: fn(&Bytes) -> Result<String, DecodeError>| match is_consumer {
        // What is not such a blob after all stays as it is.
        true => read(bytes).unwrap_or_else(|_| base64(bytes)),
        false => base64(bytes),
    };
    fields.push(("subscription", blob(&member.subscription, subscription)));
    fields.push(("assignment", blob(&member.assignment, assignment)));
    object(fields)
}

fn subscription(bytes: &Bytes) -> Result<String, DecodeError> {
    let (version, read) = versioned::<ConsumerProtocolSubscription>(bytes)?;
    let mut fields =
        vec![("topics", list(read.topics.iter().map(text))), ("userData", nullable_bytes(read.user_data.as_ref()))];
    if version >= 1 {
        fields.push(("ownedPartitions", list(read.owned_partitions.iter().map(partitions))));
    }
    if version >= 2 {
        fields.push(("generationId", read.generation_id.to_string()));
    }
    if version >= 3 {
        fields.push(("rackId", nullable(read.rack_id.as_ref())));
    }
    Ok(object(fields))
}

fn assignment(bytes: &Bytes) -> Result<String, DecodeError> {
    let (_, read) = versioned::<ConsumerProtocolAssignment>(bytes)?;
    Ok(object([
        ("assignedPartitions", list(read.assigned_partitions.iter().map(partitions))),
        ("userData", nullable_bytes(read.user_data.as_ref())),
    ]))
}

fn partitions(of: &TopicPartition) -> String {
    object([("topic", text(&of.topic)), ("partitions", list(of.partitions.iter().map(ToString::to_string)))])
}

fn version_of(bytes: &Bytes) -> Option<i16> {
    bytes.first_chunk().map(|version| i16::from_be_bytes(*version))
}

/// A message behind its version.
fn versioned<M: Message>(bytes: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut r = Reader::new(bytes.clone());
    let version = r.i16()?;
    Ok((version, M::decode(&mut r, version)?))
}

fn typed(word: &str, number: i16, data: &str) -> String {
    format!(r#"{{"{word}":"{number}","data":{data}}}"#)
}

/// In this order: a JSON library's map would sort them.
fn object(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", fields.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn text(text: &Str) -> String {
    quoted(text)
}

fn nullable(text: Option<&Str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| quoted(text))
}

fn nullable_bytes(bytes: Option<&Bytes>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| base64(bytes))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    quoted(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_of_the_topic_is_said_and_not_fatal() {
        let record = |key: Option<&'static [u8]>| Record {
            offset: 5,
            timestamp: -1,
            key: key.map(Bytes::from_static),
            value: None,
            headers: Vec::new(),
        };
        assert!(decode(&record(None)).unwrap_err().contains("offset 5"));
        let shown = |key| decode(&record(Some(key))).unwrap().0.unwrap();
        assert_eq!(shown(&[0, 17, 1]), "Unknown record type 17 at offset 5, skipping.");
        assert!(shown(&[0, 1, 0, 9]).starts_with("Error at offset 5, skipping. "));
        assert!(shown(&[0]).starts_with("Error at offset 5, skipping. "));
        let (key, value) = decode(&record(Some(&[0, 2, 0, 1, b'g']))).unwrap();
        assert_eq!(key.as_deref(), Some(r#"{"type":"2","data":{"group":"g"}}"#));
        assert_eq!(value.as_deref(), Some("<DELETE>"));
    }
}
