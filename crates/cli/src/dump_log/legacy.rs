//! Messages of logs from before Kafka 0.11, of which each is a batch of its own for Kafka.

use raftsman_records::{DEFAULT_MAX_DECOMPRESSED_BYTES, Record, StoredMessage};

use super::arguments::DumpLogArguments;
use super::decoder::Decoder;
use super::segment::{Line, Lines, RECORD_INDENT, contents, size};

/// The lines of a message, and of its records.
///
/// # Errors
/// It is compressed in an unknown way.
pub fn lines<'a>(
    message: &'a StoredMessage,
    position: u64,
    arguments: &'a DumpLogArguments,
    decoder: &'a Decoder,
) -> Result<Lines<'a>, String> {
    let codec = message.codec.map_err(|codec| format!("Unknown compression type id: {codec}"))?;
    let text = format!(
        "offset: {} position: {position} {}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        message.offset,
        timestamp_type(message),
        message.timestamp,
        message.size_in_bytes,
        message.magic,
        codec.name(),
        message.crc,
        message.crc_is_valid,
    );
    let head = std::iter::once(Ok(Line { offset: None, text }));
    if !arguments.is_deep() {
        return Ok(Box::new(head));
    }
    let (records, damage) = match message.records(DEFAULT_MAX_DECOMPRESSED_BYTES) {
        Ok(records) => (records, None),
        Err(error) => (Vec::new(), Some(Err(error.to_string()))),
    };
    let records = records.into_iter().map(move |record| {
        let text = record_line(message, &record, arguments, decoder)?;
        Ok(Line { offset: Some(record.offset), text })
    });
    Ok(Box::new(head.chain(records).chain(damage)))
}

fn record_line(
    wrapper: &StoredMessage,
    record: &StoredMessage,
    arguments: &DumpLogArguments,
    decoder: &Decoder,
) -> Result<String, String> {
    let mut line = String::new();
    if !arguments.skip_record_metadata {
        line = format!(
            "{RECORD_INDENT} offset: {} {}: {} keySize: {} valueSize: {} isValid: {} crc: {}",
            record.offset,
            timestamp_type(wrapper),
            record.timestamp,
            size(&record.key),
            size(&record.value),
            record.crc_is_valid,
            record.crc,
        );
    }
    if arguments.prints_contents() {
        let StoredMessage { offset, timestamp, key, value, .. } = record.clone();
        line.push_str(&contents(&Record { offset, timestamp, key, value, headers: Vec::new() }, arguments, decoder)?);
    }
    Ok(line)
}

fn timestamp_type(message: &StoredMessage) -> &'static str {
    match (message.magic, message.is_log_append_time) {
        (0, _) => "NoTimestampType",
        (_, true) => "LogAppendTime",
        (_, false) => "CreateTime",
    }
}
