use bytes::Bytes;
use raftsman_records::Record;

use super::arguments::DumpLogArguments;
use super::coordinator_records::CoordinatorRecords;
use super::metadata_records::MetadataRecords;
use crate::failure::Failure;

/// How records are made readable.
#[derive(Debug)]
pub enum Decoder {
    /// As records of a coordinator's topic.
    Coordinator(CoordinatorRecords),
    /// As records of Kafka's `__cluster_metadata`.
    ClusterMetadata(MetadataRecords),
    /// Key and value each in its own way.
    Plain {
        /// The key's.
        key: Form,
        /// The value's.
        value: Form,
    },
}

/// How bytes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// UTF-8.
    Text,
    /// A big-endian number of 4 bytes.
    Integer,
    /// A big-endian number of 8 bytes.
    Long,
}

impl Decoder {
    /// The one the flags ask for; of several the first, in Kafka's order.
    ///
    /// # Errors
    /// It is a class of Java's, or one for records of tiered storage.
    pub fn chosen(arguments: &DumpLogArguments) -> Result<Decoder, Failure> {
        if arguments.offsets_decoder {
            return CoordinatorRecords::of_groups().map(Decoder::Coordinator).map_err(Failure::Said);
        }
        if arguments.transaction_log_decoder {
            return CoordinatorRecords::of_transactions().map(Decoder::Coordinator).map_err(Failure::Said);
        }
        if arguments.cluster_metadata_decoder {
            return MetadataRecords::new().map(Decoder::ClusterMetadata).map_err(Failure::Said);
        }
        if arguments.remote_log_metadata_decoder {
            return Err(Failure::Usage(
                "--remote-log-metadata-decoder is not possible: it is for the topic of Kafka's tiered storage, which \
                 Raftsman does not have; use Kafka's own kafka-dump-log.sh"
                    .to_owned(),
            ));
        }
        if arguments.share_group_state_decoder {
            return CoordinatorRecords::of_share_groups().map(Decoder::Coordinator).map_err(Failure::Said);
        }
        let key = Form::of_class(arguments.key_decoder_class.as_deref())?;
        Ok(Decoder::Plain { key, value: Form::of_class(arguments.value_decoder_class.as_deref())? })
    }

    /// Key and value as text, as far as there are any.
    ///
    /// # Errors
    /// The bytes are not what they were said to be.
    pub fn decode(&self, record: &Record) -> Result<(Option<String>, Option<String>), String> {
        match self {
            Decoder::Coordinator(records) => records.decode(record),
            Decoder::ClusterMetadata(records) => Ok((None, Some(records.decode(record)))),
            Decoder::Plain { key, value } => {
                let show =
                    |form: &Form, bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| form.show(bytes)).transpose();
                let at = |what: &str, error| format!("the {what} at offset {} {error}", record.offset);
                let key = show(key, &record.key).map_err(|error| at("key", error))?;
                Ok((key, show(value, &record.value).map_err(|error| at("value", error))?))
            }
        }
    }
}

impl Form {
    /// Of Kafka's decoders by name, with or without their package.
    fn of_class(class: Option<&str>) -> Result<Form, Failure> {
        let Some(class) = class else { return Ok(Form::Text) };
        match class.rsplit('.').next() {
            Some("StringDecoder") => Ok(Form::Text),
            Some("IntegerDecoder") => Ok(Form::Integer),
            Some("LongDecoder") => Ok(Form::Long),
            _ => Err(Failure::Usage(format!(
                "{class} is not possible: of Kafka's decoders StringDecoder, IntegerDecoder and LongDecoder are known, \
                 and classes of Java's cannot be loaded"
            ))),
        }
    }

    fn show(self, bytes: &[u8]) -> Result<String, String> {
        let length = bytes.len();
        match self {
            Form::Text => Ok(String::from_utf8_lossy(bytes).into_owned()),
            Form::Integer => match bytes.first_chunk() {
                Some(first) => Ok(i32::from_be_bytes(*first).to_string()),
                None => Err(format!("has {length} bytes and is no integer")),
            },
            Form::Long => match bytes.first_chunk() {
                Some(first) => Ok(i64::from_be_bytes(*first).to_string()),
                None => Err(format!("has {length} bytes and is no long")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
        let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        Record { offset: 7, timestamp: -1, key: bytes(key), value: bytes(value), headers: Vec::new() }
    }

    #[test]
    fn kafkas_decoders_are_known_by_name() {
        let arguments = DumpLogArguments {
            key_decoder_class: Some("org.apache.kafka.tools.api.LongDecoder".to_owned()),
            value_decoder_class: Some("IntegerDecoder".to_owned()),
            ..DumpLogArguments::default()
        };
        let decoder = Decoder::chosen(&arguments).unwrap();
        let decoded = decoder.decode(&record(Some(&[0, 0, 0, 0, 0, 0, 0, 9]), Some(&[255; 4]))).unwrap();
        assert_eq!(decoded, (Some("9".to_owned()), Some("-1".to_owned())));
        let error = decoder.decode(&record(Some(b"short"), None)).unwrap_err();
        assert!(error.contains("key at offset 7"), "{error}");
        let own = DumpLogArguments { value_decoder_class: Some("com.example.Own".to_owned()), ..Default::default() };
        assert!(Decoder::chosen(&own).unwrap_err().to_string().contains("com.example.Own"));
    }

    #[test]
    fn records_of_tiered_storage_cannot_be_decoded() {
        let remote = DumpLogArguments { remote_log_metadata_decoder: true, ..DumpLogArguments::default() };
        assert!(Decoder::chosen(&remote).unwrap_err().to_string().contains("--remote-log-metadata-decoder"));
    }

    #[test]
    fn every_other_decoder_of_kafkas_is_there() {
        let none = DumpLogArguments::default;
        let offsets = DumpLogArguments { offsets_decoder: true, ..none() };
        let transactions = DumpLogArguments { transaction_log_decoder: true, ..none() };
        let metadata = DumpLogArguments { cluster_metadata_decoder: true, ..none() };
        let share = DumpLogArguments { share_group_state_decoder: true, ..none() };
        for arguments in [offsets, transactions, metadata, share] {
            assert!(Decoder::chosen(&arguments).is_ok_and(|decoder| !matches!(decoder, Decoder::Plain { .. })));
            assert!(arguments.prints_contents() && arguments.is_deep(), "{arguments:?}");
        }
    }
}
