//! `.txnindex`, `.snapshot` and `leader-epoch-checkpoint`.

use std::io::Write;
use std::path::Path;

use raftsman_log::raw;

use super::segment::optional;
use super::{read, say};
use crate::failure::Failure;

/// Prints the aborted transactions of a segment.
///
/// # Errors
/// The file cannot be read, has entries of an unknown version, or ends within one.
pub fn dump_transaction_index(path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let bytes = read(path)?;
    let (entries, left_over) = raw::raw_aborted_transactions(&bytes);
    for raw::RawAbortedTransaction { version, entry } in entries {
        if version != 0 {
            return Err(Failure::Said(format!(
                "Unexpected aborted transaction version {version} in transaction index {}, current version is 0",
                path.display()
            )));
        }
        say(
            out,
            format_args!(
                "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
                entry.producer_id.0, entry.first_offset, entry.last_offset, entry.last_stable_offset
            ),
        )?;
    }
    match left_over {
        0 => Ok(()),
        _ => Err(Failure::Said(format!(
            "{} ends within an entry: {left_over} bytes are left over at position {}",
            path.display(),
            bytes.len() - left_over
        ))),
    }
}

/// Prints the producers of a snapshot. A damaged one is told of and is no failure, as in Kafka.
///
/// # Errors
/// The file cannot be read.
pub fn dump_producer_snapshot(path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let bytes = read(path)?;
    let entries = match raw::snapshot_entries(&bytes) {
        Ok(entries) => entries,
        Err(reason) => {
            eprintln!("Snapshot {} is corrupt: {reason}", path.display());
            return Ok(());
        }
    };
    for entry in entries {
        let first = entry.current_transaction_first_offset;
        let mut line = format!(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {}",
            entry.producer_id.0,
            entry.producer_epoch.0,
            entry.coordinator_epoch,
            optional((first >= 0).then_some(first)),
            entry.timestamp
        );
        if entry.last_offset >= 0 {
            // Numbers go around at the largest one.
            let first = (i64::from(entry.last_sequence) - i64::from(entry.offset_delta)) & i64::from(i32::MAX);
            line.push_str(&format!(
                " firstSequence: {first} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                entry.last_sequence, entry.last_offset, entry.offset_delta, entry.timestamp
            ));
        }
        say(out, format_args!("{line}"))?;
    }
    Ok(())
}

/// Prints where each leader's records start, which Kafka's tool does not know how to.
///
/// # Errors
/// The file cannot be read, or makes no sense.
pub fn dump_leader_epochs(path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let epochs = raw::leader_epochs(path, &read(path)?).map_err(|error| Failure::Said(error.to_string()))?;
    epochs.iter().try_for_each(|(epoch, start)| say(out, format_args!("epoch: {} startOffset: {start}", epoch.0)))
}
