//! `.log` files, and Kafka's `.checkpoint` snapshots, which are batches too.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use raftsman_records::{BatchHeader, ControlRecordType, NO_SEQUENCE, Record, RecordBatch};

use super::arguments::DumpLogArguments;
use super::decoder::Decoder;
use super::findings::Findings;
use super::metadata_records::control_words;
use super::segment_file::{SegmentFile, Stored};
use super::{legacy, say};
use crate::failure::Failure;

pub const RECORD_INDENT: &str = "|";

/// Prints each batch, and each record if asked for.
///
/// # Errors
/// The file cannot be read, or a batch cannot be one.
pub fn dump(
    path: &Path,
    arguments: &DumpLogArguments,
    decoder: &Decoder,
    out: &mut impl Write,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    match name.strip_suffix(".checkpoint") {
        None => say(out, format_args!("Log starting offset: {}", super::base_offset(path)?))?,
        Some("bootstrap") => say(out, format_args!("KRaft bootstrap snapshot"))?,
        Some(stem) => {
            let id = stem.split_once('-').and_then(|(offset, epoch)| Some((offset.parse().ok()?, epoch.parse().ok()?)));
            let (offset, epoch): (i64, i32) = id.ok_or_else(|| {
                Failure::Said(format!("{}: its name is not that of a snapshot, <offset>-<epoch>", path.display()))
            })?;
            say(out, format_args!("Snapshot end offset: {offset}, epoch: {epoch}"))?;
        }
    }
    let file = SegmentFile::open(path)?;
    let end = file.length.min(u64::from(arguments.max_bytes));
    let mut position = 0;
    let mut last_offset = -1_i64;
    while let Some(stored) = file.batch_at(position, end)? {
        let size = stored.size_in_bytes() as u64;
        let lines = match &stored {
            Stored::Batch(batch) => batch_lines(batch, position, arguments, decoder),
            Stored::Message(message) => legacy::lines(message, position, arguments, decoder),
        };
        for line in lines.map_err(|error| file.damaged(position, error))? {
            let line = line.map_err(|error| file.damaged(position, error))?;
            if let Some(offset) = line.offset {
                if last_offset.checked_add(1) != Some(offset) {
                    findings.gap(path, last_offset, offset);
                }
                last_offset = offset;
            }
            say(out, format_args!("{}", line.text))?;
        }
        position += size;
    }
    if end > position && arguments.is_unlimited() {
        say(out, format_args!("Found {} invalid bytes at the end of {name}", end - position))?;
    }
    Ok(())
}

/// One line of the output.
pub struct Line {
    /// Of a record: its offset.
    pub offset: Option<i64>,
    pub text: String,
}

/// The lines of a batch or message, made one by one: what can be read is shown in front of what cannot.
pub type Lines<'a> = Box<dyn Iterator<Item = Result<Line, String>> + 'a>;

fn batch_lines<'a>(
    batch: &'a RecordBatch,
    position: u64,
    arguments: &'a DumpLogArguments,
    decoder: &'a Decoder,
) -> Result<Lines<'a>, String> {
    let codec = batch.compression().map_err(|error| error.to_string())?;
    let head = std::iter::once(Ok(Line { offset: None, text: batch_line(batch, position, codec.name()) }));
    if !arguments.is_deep() {
        return Ok(Box::new(head));
    }
    let records = batch.records().map(move |record| {
        let record = record.map_err(|error| error.to_string())?;
        let text = record_line(batch, &record, arguments, decoder)?;
        Ok(Line { offset: Some(record.offset), text })
    });
    Ok(Box::new(head.chain(records)))
}

fn batch_line(batch: &RecordBatch, position: u64, codec: &str) -> String {
    let header = batch.header();
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} position: {position} {}: {} \
         size: {} magic: {} compresscodec: {codec} crc: {} isvalid: {}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        if header.base_sequence == NO_SEQUENCE { NO_SEQUENCE } else { header.last_sequence() },
        header.producer_id.0,
        header.producer_epoch.0,
        header.partition_leader_epoch.0,
        header.is_transactional(),
        header.is_control(),
        optional(header.delete_horizon_ms()),
        timestamp_type(header),
        header.max_timestamp,
        batch.size_in_bytes(),
        header.magic,
        header.crc,
        batch.crc_is_valid(),
    )
}

/// As Java shows an `OptionalLong`.
pub fn optional(value: Option<i64>) -> String {
    value.map_or_else(|| "OptionalLong.empty".to_owned(), |value| format!("OptionalLong[{value}]"))
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    if header.is_log_append_time() { "LogAppendTime" } else { "CreateTime" }
}

fn record_line(
    batch: &RecordBatch,
    record: &Record,
    arguments: &DumpLogArguments,
    decoder: &Decoder,
) -> Result<String, String> {
    let header = batch.header();
    let mut line = String::new();
    if !arguments.skip_record_metadata {
        let keys: Vec<_> = record.headers.iter().map(|header| String::from_utf8_lossy(&header.key)).collect();
        line = format!(
            "{RECORD_INDENT} offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
            record.offset,
            timestamp_type(header),
            record.timestamp,
            size(&record.key),
            size(&record.value),
            sequence(header, record),
            keys.join(",")
        );
        if header.is_control() {
            line.push_str(&control(record)?);
        }
    }
    if arguments.prints_contents() && !header.is_control() {
        line.push_str(&contents(record, arguments, decoder)?);
    }
    Ok(line)
}

/// How many bytes there are, -1 of none at all.
pub fn size(bytes: &Option<Bytes>) -> i64 {
    bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64)
}

/// What a record says, behind what is said of it.
pub fn contents(record: &Record, arguments: &DumpLogArguments, decoder: &Decoder) -> Result<String, String> {
    let mut line = String::new();
    let mut before = if arguments.skip_record_metadata { "| " } else { " " };
    let (key, value) = decoder.decode(record)?;
    for (word, text) in [("key", key), ("payload", value)] {
        if let Some(text) = text {
            line.push_str(&format!("{before}{word}: {text}"));
            before = " ";
        }
    }
    Ok(line)
}

/// A record's own sequence number: they go around at the largest one.
fn sequence(header: &BatchHeader, record: &Record) -> i64 {
    if header.base_sequence == NO_SEQUENCE {
        return i64::from(NO_SEQUENCE);
    }
    let delta = record.offset - header.base_offset;
    (i64::from(header.base_sequence) + delta) & i64::from(i32::MAX)
}

fn control(record: &Record) -> Result<String, String> {
    let malformed = |what: &str| format!("the control record at offset {} {what}", record.offset);
    let key = record.key.as_deref().unwrap_or_default();
    let [_, _, a, b, ..] = key else { return Err(malformed("has no type")) };
    let kind = ControlRecordType::from_id(i16::from_be_bytes([*a, *b]));
    let value = record.value.clone().unwrap_or_default();
    let said = match (kind, &value[..]) {
        (ControlRecordType::Abort | ControlRecordType::Commit, [_, _, a, b, c, d, ..]) => {
            let word = if kind == ControlRecordType::Abort { "ABORT" } else { "COMMIT" };
            Some(format!(" endTxnMarker: {word} coordinatorEpoch: {}", i32::from_be_bytes([*a, *b, *c, *d])))
        }
        (ControlRecordType::Abort | ControlRecordType::Commit, _) => return Err(malformed("is too short")),
        _ => control_words(kind, &value).map_err(|error| malformed(&format!("cannot be read: {error}")))?,
    };
    // Kafka calls types it does not know so, whatever they are.
    Ok(said.unwrap_or_else(|| format!(" controlType: UNKNOWN({})", kind.id())))
}
