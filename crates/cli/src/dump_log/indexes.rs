//! `.index` and `.timeindex`, checked against the `.log` beside them.

use std::io::Write;
use std::path::Path;

use raftsman_log::raw::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES, offset_index_entries, time_index_entries};

use super::arguments::DumpLogArguments;
use super::findings::Findings;
use super::segment_file::{SegmentFile, Stored};
use super::{base_offset, read, say};
use crate::failure::Failure;

/// Prints an offset index and checks that each entry points to the batch it names.
///
/// # Errors
/// A file cannot be read, the index is not sane, or it points to where no batch is.
pub fn dump_offset_index(
    path: &Path,
    arguments: &DumpLogArguments,
    out: &mut impl Write,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let base = base_offset(path)?;
    let log = SegmentFile::open(&path.with_extension("log"))?;
    let bytes = read(path)?;
    let entries = offset_index_entries(&bytes, base);
    if entries.is_empty() {
        return say(out, format_args!("{} is empty.", path.display()));
    }
    if arguments.index_sanity_check {
        let last = entries.last().map_or(base, |(offset, _)| *offset);
        check_sanity(path, &bytes, OFFSET_ENTRY_BYTES, last, base)?;
        return say(out, format_args!("{} passed sanity check.", path.display()));
    }
    for (i, (offset, position)) in entries.into_iter().enumerate() {
        // A crash may leave zeroes behind the last one.
        if offset == base && i > 0 {
            return Ok(());
        }
        let start = u64::from(position);
        let batch = log.batch_at(start, start + u64::from(arguments.max_message_size))?;
        let found = batch.ok_or_else(|| {
            log.damaged(start, format!("the index has offset {offset} here, and no whole batch follows"))
        })?;
        if found.last_offset() != offset {
            findings.index_mismatch(path, offset, found.last_offset());
        }
        if !arguments.verify_index_only {
            say(out, format_args!("offset: {offset} position: {position}"))?;
        }
    }
    Ok(())
}

/// Prints a time index and checks each entry against the records of the batch it names.
///
/// # Errors
/// A file cannot be read, the index is not sane, or the log is damaged where it points to.
pub fn dump_time_index(
    path: &Path,
    arguments: &DumpLogArguments,
    out: &mut impl Write,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let base = base_offset(path)?;
    let log = SegmentFile::open(&path.with_extension("log"))?;
    let mut offsets = offset_index_entries(&read(&path.with_extension("index"))?, base);
    // The zeroes behind the last one say nothing; through them each entry would be looked for from the beginning of the log.
    if let Some(written) = offsets.iter().skip(1).position(|(offset, _)| *offset == base) {
        offsets.truncate(written + 1);
    }
    let bytes = read(path)?;
    let entries = time_index_entries(&bytes, base);
    if arguments.index_sanity_check {
        if let (Some((first, _)), Some((last, last_offset))) = (entries.first(), entries.last()) {
            if last < first {
                return Err(Failure::Said(format!(
                    "Corrupt time index found, time index file ({}) has non-zero size but the last timestamp is {last} \
                     which is less than the first timestamp {first}",
                    path.display()
                )));
            }
            check_sanity(path, &bytes, TIME_ENTRY_BYTES, *last_offset, base)?;
        } else {
            check_sanity(path, &bytes, TIME_ENTRY_BYTES, base, base)?;
        }
        return say(out, format_args!("{} passed sanity check.", path.display()));
    }
    let mut previous = -1;
    for (i, (timestamp, offset)) in entries.into_iter().enumerate() {
        if offset == base && i > 0 {
            return Ok(());
        }
        // The index is read once more than needed if it is damaged: it need not rise.
        let before = offsets.iter().rev().find(|(indexed, _)| *indexed <= offset);
        let start = before.map_or(0, |(_, position)| u64::from(*position));
        match find(&log, start, offset)? {
            None => findings.offset_not_found(path, offset, -1),
            Some((_, batch)) if batch.last_offset() != offset => {
                findings.offset_not_found(path, offset, batch.last_offset());
            }
            Some((position, batch)) => {
                let largest = batch.largest_timestamp().map_err(|error| log.damaged(position, error))?;
                if largest != timestamp {
                    findings.timestamp_mismatch(path, timestamp, largest);
                }
                if previous >= timestamp {
                    findings.timestamp_out_of_order(path, timestamp, previous);
                }
            }
        }
        if !arguments.verify_index_only {
            say(out, format_args!("timestamp: {timestamp} offset: {offset}"))?;
        }
        previous = timestamp;
    }
    Ok(())
}

/// The first batch from a position on that ends at an offset or past it.
fn find(log: &SegmentFile, start: u64, offset: i64) -> Result<Option<(u64, Stored)>, Failure> {
    let mut position = start;
    while let Some(batch) = log.batch_at(position, u64::MAX)? {
        if batch.last_offset() >= offset {
            return Ok(Some((position, batch)));
        }
        position += batch.size_in_bytes() as u64;
    }
    Ok(None)
}

/// What Kafka checks of an index when a broker starts.
fn check_sanity(path: &Path, bytes: &[u8], entry_bytes: usize, last_offset: i64, base: i64) -> Result<(), Failure> {
    let shown = path.display();
    if last_offset < base {
        return Err(Failure::Said(format!(
            "Corrupt index found, index file ({shown}) has non-zero size but the last offset is {last_offset} which is \
             less than the base offset {base}"
        )));
    }
    match bytes.len() % entry_bytes {
        0 => Ok(()),
        _ => Err(Failure::Said(format!(
            "Index file {shown} is corrupt, found {} bytes which is neither positive nor a multiple of {entry_bytes}",
            bytes.len()
        ))),
    }
}
