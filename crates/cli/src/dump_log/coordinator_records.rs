//! Records of the topics coordinators keep: a key that begins with its type, a value that begins with its version.

use bytes::Bytes;
use raftsman_protocol::Reader;
use raftsman_records::Record;

use super::json::Json;
use super::schema::{Schema, Schemas};

/// Versions of keys are their types.
const KEY_VERSION: i16 = 0;
/// The classic groups' type.
const GROUP_METADATA: i16 = 2;
/// The protocol of whose members the blobs are known, and what they are.
const CONSUMER_PROTOCOL: &str = "consumer";
const SUBSCRIPTION: i16 = 0;
const ASSIGNMENT: i16 = 1;

/// The records of one such topic.
#[derive(Debug)]
pub struct CoordinatorRecords {
    schemas: Schemas,
    /// What the members of classic groups send each other; empty where there are no groups.
    members: Schemas,
}

impl CoordinatorRecords {
    /// `__consumer_offsets`.
    ///
    /// # Errors
    /// A schema is none, which tests show not to happen.
    pub fn of_groups() -> Result<CoordinatorRecords, String> {
        let schemas = Schemas::parse(include_str!("schemas/consumer_offsets.txt"))?;
        Ok(CoordinatorRecords { schemas, members: Schemas::parse(include_str!("schemas/consumer_protocol.txt"))? })
    }

    /// `__transaction_state`.
    ///
    /// # Errors
    /// A schema is none, which tests show not to happen.
    pub fn of_transactions() -> Result<CoordinatorRecords, String> {
        CoordinatorRecords::of(include_str!("schemas/transaction_state.txt"))
    }

    /// `__share_group_state`.
    ///
    /// # Errors
    /// A schema is none, which tests show not to happen.
    pub fn of_share_groups() -> Result<CoordinatorRecords, String> {
        CoordinatorRecords::of(include_str!("schemas/share_group_state.txt"))
    }

    fn of(text: &'static str) -> Result<CoordinatorRecords, String> {
        Ok(CoordinatorRecords { schemas: Schemas::parse(text)?, members: Schemas::default() })
    }

    /// Key and value as JSON. What cannot be read is said in place of the key, as in Kafka.
    ///
    /// # Errors
    /// There is no key.
    pub fn decode(&self, record: &Record) -> Result<(Option<String>, Option<String>), String> {
        let offset = record.offset;
        let Some(key) = &record.key else {
            return Err(format!(
                "Failed to decode message at offset {offset} using the specified decoder (message had a missing key)"
            ));
        };
        let shown = version("key", key).and_then(|(kind, key)| {
            let (Some(keys), Some(values)) = (self.schemas.keys.get(&kind), self.schemas.values.get(&kind)) else {
                return Ok((format!("Unknown record type {kind} at offset {offset}, skipping."), None));
            };
            let value = record.value.as_ref().map(|value| self.value(kind, values, value)).transpose();
            let key = typed("type", kind, &read("key", keys, key, KEY_VERSION, kind)?);
            Ok((key, Some(value?.unwrap_or_else(|| "<DELETE>".to_owned()))))
        });
        Ok(match shown {
            Ok((key, value)) => (Some(key), value),
            Err(reason) => (Some(format!("Error at offset {offset}, skipping. {reason}")), None),
        })
    }

    fn value(&self, kind: i16, schema: &Schema, bytes: &Bytes) -> Result<String, String> {
        let (version, rest) = version("value", bytes)?;
        if !schema.versions.contain(version) {
            return Err(format!("Found an unknown record version {version} for {kind} type"));
        }
        let mut value = read("value", schema, rest, version, version)?;
        let protocol = value.get("protocolType");
        if kind == GROUP_METADATA && protocol == Some(&Json::Text(CONSUMER_PROTOCOL.to_owned())) {
            self.open_members(&mut value);
        }
        Ok(typed("version", version, &value))
    }

    /// Puts what members sent in place of its bytes. What is nothing of theirs after all stays as it is.
    fn open_members(&self, group: &mut Json) {
        let Some(Json::List(members)) = group.get_mut("members") else { return };
        for member in members {
            for (name, kind) in [("subscription", SUBSCRIPTION), ("assignment", ASSIGNMENT)] {
                let Some(schema) = self.members.values.get(&kind) else { continue };
                let Some(blob) = member.get_mut(name) else { continue };
                let Json::Bytes(bytes) = &*blob else { continue };
                let opened = version(name, bytes).and_then(|(version, rest)| {
                    // Of a later version at least what is known is there.
                    let known = version.min(schema.versions.last);
                    read(name, schema, rest, known, version)
                });
                if let Ok(opened) = opened {
                    *blob = opened;
                }
            }
        }
    }
}

fn version(what: &str, bytes: &Bytes) -> Result<(i16, Bytes), String> {
    match bytes.first_chunk() {
        Some(version) => Ok((i16::from_be_bytes(*version), bytes.slice(2..))),
        None => Err(format!("Could not read version from {what}'s buffer.")),
    }
}

/// `said` is the version it has in the words of Kafka's tool.
fn read(what: &str, schema: &Schema, bytes: Bytes, version: i16, said: i16) -> Result<Json, String> {
    let read = schema.read(&mut Reader::new(bytes), version);
    read.map_err(|error| format!("Could not read record with version {said} from {what}'s buffer due to: {error}."))
}

fn typed(word: &str, number: i16, data: &Json) -> String {
    format!(r#"{{"{word}":"{number}","data":{data}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
        let bytes = |bytes: Option<&'static [u8]>| bytes.map(Bytes::from_static);
        Record { offset: 5, timestamp: -1, key: bytes(key), value: bytes(value), headers: Vec::new() }
    }

    #[test]
    fn what_is_no_record_of_the_topic_is_said_and_not_fatal() {
        let groups = CoordinatorRecords::of_groups().expect("the schemas are good");
        assert!(groups.decode(&record(None, None)).unwrap_err().contains("offset 5"));
        let shown = |key, value| groups.decode(&record(Some(key), value)).unwrap().0.unwrap();
        assert_eq!(shown(&[0, 99, 1], None), "Unknown record type 99 at offset 5, skipping.");
        assert!(
            shown(&[0, 1, 0, 9], None).starts_with("Error at offset 5, skipping. Could not read record with version 1")
        );
        assert_eq!(shown(&[0], None), "Error at offset 5, skipping. Could not read version from key's buffer.");
        let unknown = "Error at offset 5, skipping. Found an unknown record version 9 for 2 type";
        assert_eq!(shown(&[0, 2, 0, 1, b'g'], Some(&[0, 9, 1])), unknown);
        let (key, value) = groups.decode(&record(Some(&[0, 2, 0, 1, b'g']), None)).unwrap();
        assert_eq!(key.as_deref(), Some(r#"{"type":"2","data":{"group":"g"}}"#));
        assert_eq!(value.as_deref(), Some("<DELETE>"));
    }

    #[test]
    fn fields_are_in_kafkas_order_and_tagged_ones_only_if_they_say_something() {
        let transactions = CoordinatorRecords::of_transactions().expect("the schemas are good");
        let key: &[u8] = &[0, 0, 0, 1, b't'];
        // Version 1: producer 7 of epoch 2, 60 s, ongoing, no partitions, timestamps 8 and 9; tags 0 = -1 (the default) and 2 = 2.
        let value: &[u8] = &[
            0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 2, 0, 0, 0xea, 0x60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9,
            2, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255, 2, 2, 0, 2,
        ];
        let (key, value) = transactions.decode(&record(Some(key), Some(value))).unwrap();
        assert_eq!(key.as_deref(), Some(r#"{"type":"0","data":{"transactionalId":"t"}}"#));
        let expected = r#"{"version":"1","data":{"producerId":7,"producerEpoch":2,"transactionTimeoutMs":60000,"transactionStatus":1,"transactionPartitions":null,"transactionLastUpdateTimestampMs":8,"transactionStartTimestampMs":9,"clientTransactionVersion":2}}"#;
        assert_eq!(value.as_deref(), Some(expected));
    }

    #[test]
    fn all_schemas_are_read() {
        let groups = CoordinatorRecords::of_groups().expect("the schemas are good");
        let kinds = |schemas: &std::collections::BTreeMap<i16, Schema>| schemas.keys().copied().collect::<Vec<i16>>();
        assert_eq!(kinds(&groups.schemas.keys), kinds(&groups.schemas.values));
        assert_eq!(groups.members.values.len(), 2);
        let share = CoordinatorRecords::of_share_groups().expect("the schemas are good");
        assert_eq!((share.schemas.keys.len(), share.schemas.values.len()), (2, 2));
    }
}
