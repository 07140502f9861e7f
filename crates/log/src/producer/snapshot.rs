//! Kafka's producer snapshot, version 1: version, CRC-32C of the rest, an array of producers with the
//! last batch of each.
//!
//! Here a producer is in it once for each batch that is remembered, oldest first: a client with five requests in flight
//! may repeat all of them to a leader that was started since. Kafka goes by the last one of an id, and so reads its own
//! meaning out of it.

use raftsman_records::crc32c;
use raftsman_types::{Offset, ProducerEpoch, ProducerId};

use super::entry::{AppendedBatch, ProducerEntry};
use super::state::ProducerState;

const VERSION: i16 = 1;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;
/// Behind the producers we write, inside of the CRC, the offset the snapshot is of, so that one under a wrong name is noticed;
/// and length and CRC of the index of aborted transactions of the segment that ends there, which has none itself. Kafka reads as
/// many producers as there are and nothing behind them.
const TRAILER_BYTES: usize = 16;

/// What the index of aborted transactions of a complete segment is: its bytes, 0 without a file, and their CRC-32C.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TransactionSeal {
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

impl TransactionSeal {
    /// Of a file with this content.
    pub(crate) fn of(content: &[u8]) -> TransactionSeal {
        match content.is_empty() {
            true => TransactionSeal::default(),
            false => TransactionSeal { length: content.len() as u32, crc: crc32c(content) },
        }
    }
}

/// What a snapshot file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) producers: ProducerState,
    /// `None` in Kafka's.
    pub(crate) seal: Option<TransactionSeal>,
}

pub(crate) fn encode_snapshot(state: &ProducerState, offset: Offset, seal: TransactionSeal) -> Vec<u8> {
    let none = [AppendedBatch { last_sequence: -1, last_offset: -1, offset_delta: 0 }];
    let entries = state.entries();
    let batches_of = |entry: &ProducerEntry| entry.batches.len().max(1);
    let count: usize = entries.iter().map(|(_, entry)| batches_of(entry)).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + count * ENTRY_BYTES + TRAILER_BYTES);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(count as i32).to_be_bytes());
    let each_batch = entries.iter().flat_map(|(id, entry)| {
        let batches = if entry.batches.is_empty() { &none[..] } else { &entry.batches };
        batches.iter().map(move |batch| (id, entry, batch))
    });
    for (id, entry, batch) in each_batch {
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&batch.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&batch.last_offset.to_be_bytes());
        bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.transaction_start.to_be_bytes());
    }
    bytes.extend_from_slice(&offset.to_be_bytes());
    bytes.extend_from_slice(&seal.length.to_be_bytes());
    bytes.extend_from_slice(&seal.crc.to_be_bytes());
    let crc = crc32c(&bytes[6..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// One entry of a producer snapshot as it stands in the file: a producer with one of its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Whose.
    pub producer_id: ProducerId,
    /// In which epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the batch's last record; -1 without a batch.
    pub last_sequence: i32,
    /// The offset of the batch's last record; -1 without a batch.
    pub last_offset: Offset,
    /// How far its last record is from its first.
    pub offset_delta: i32,
    /// When the producer was last heard of, ms since 1970.
    pub timestamp: i64,
    /// Of the coordinator that wrote the last transaction marker; -1 without one.
    pub coordinator_epoch: i32,
    /// First offset of the open transaction; -1 without one.
    pub current_transaction_first_offset: Offset,
}

/// What a snapshot file as of `offset` says, or why that is nothing.
pub(crate) fn decode_snapshot(bytes: &[u8], offset: Offset) -> Result<Snapshot, &'static str> {
    let (entries, trailer) = parts(bytes)?;
    let seal = match trailer.as_array::<TRAILER_BYTES>() {
        Some([a, b, c, d, e, f, g, h, length @ .., i, j, k, l]) => {
            if Offset::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) != offset {
                return Err("it is that of another offset");
            }
            Some(TransactionSeal { length: u32::from_be_bytes(*length), crc: u32::from_be_bytes([*i, *j, *k, *l]) })
        }
        None if trailer.is_empty() => None,
        None => return Err("its count does not fit its length"),
    };
    let entries = entries.iter().map(|entry| decode_entry(entry, offset));
    let entries: Vec<_> =
        entries.collect::<Option<_>>().ok_or("it speaks of batches that cannot be below its offset")?;
    Ok(Snapshot { producers: ProducerState::from_batches(entries.into_iter()), seal })
}

/// The entries of a producer snapshot.
///
/// # Errors
/// Why they cannot be read.
pub fn snapshot_entries(bytes: &[u8]) -> Result<Vec<SnapshotEntry>, &'static str> {
    parts(bytes).map(|(entries, _)| entries)
}

/// The entries, and what stands behind them.
fn parts(bytes: &[u8]) -> Result<(Vec<SnapshotEntry>, &[u8]), &'static str> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or("it is cut off")?;
    if i16::from_be_bytes([header[0], header[1]]) != VERSION {
        return Err("its version is not 1");
    }
    if u32::from_be_bytes([header[2], header[3], header[4], header[5]]) != crc32c(&bytes[6..]) {
        return Err("its CRC does not match");
    }
    let count = i32::from_be_bytes([header[6], header[7], header[8], header[9]]);
    let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(ENTRY_BYTES));
    let split = length.and_then(|length| rest.split_at_checked(length));
    let (entries, trailer) = split.ok_or("its count does not fit its length")?;
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    Ok((entries.iter().map(SnapshotEntry::decode).collect(), trailer))
}

impl SnapshotEntry {
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> SnapshotEntry {
        fn at<const N: usize>(bytes: &[u8; ENTRY_BYTES], from: usize) -> [u8; N] {
            std::array::from_fn(|i| bytes[from + i])
        }
        SnapshotEntry {
            producer_id: ProducerId(i64::from_be_bytes(at(bytes, 0))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(at(bytes, 8))),
            last_sequence: i32::from_be_bytes(at(bytes, 10)),
            last_offset: i64::from_be_bytes(at(bytes, 14)),
            offset_delta: i32::from_be_bytes(at(bytes, 22)),
            timestamp: i64::from_be_bytes(at(bytes, 26)),
            coordinator_epoch: i32::from_be_bytes(at(bytes, 34)),
            current_transaction_first_offset: i64::from_be_bytes(at(bytes, 38)),
        }
    }
}

/// A producer, unless its batch or its transaction lies at `upto` or past it: then the file is another log's.
fn decode_entry(raw: &SnapshotEntry, upto: Offset) -> Option<(ProducerId, ProducerEntry)> {
    let SnapshotEntry { last_sequence, last_offset, offset_delta, .. } = *raw;
    let batch = AppendedBatch { last_sequence, last_offset, offset_delta };
    let entry = ProducerEntry {
        epoch: raw.producer_epoch,
        coordinator_epoch: raw.coordinator_epoch,
        last_timestamp: raw.timestamp,
        transaction_start: raw.current_transaction_first_offset,
        batches: if last_offset >= 0 { vec![batch] } else { Vec::new() },
    };
    let is_below = last_offset < upto && entry.transaction_start < upto;
    let is_whole = last_offset < 0 || (0..=last_offset).contains(&i64::from(offset_delta));
    (is_below && is_whole).then_some((raw.producer_id, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot_of(last_offset: Offset, offset_delta: i32, transaction_start: Offset) -> Vec<u8> {
        let entry = ProducerEntry {
            transaction_start,
            batches: vec![AppendedBatch { last_sequence: 4, last_offset, offset_delta }],
            ..ProducerEntry::new(ProducerEpoch(0))
        };
        let seal = TransactionSeal { length: 34, crc: 5 };
        encode_snapshot(&ProducerState::from_batches([(ProducerId(7), entry)].into_iter()), 10, seal)
    }

    #[test]
    fn a_snapshot_speaks_of_what_lies_below_it() {
        assert!(decode_snapshot(&snapshot_of(9, 4, -1), 10).is_ok());
        assert!(decode_snapshot(&snapshot_of(9, 4, 5), 10).is_ok());
        for (last_offset, offset_delta, transaction_start) in
            [(10, 4, -1), (9, 4, 10), (9, 4, i64::MAX), (9, -1, -1), (9, 10, -1), (i64::MAX, i32::MIN, -1)]
        {
            let bytes = snapshot_of(last_offset, offset_delta, transaction_start);
            assert!(decode_snapshot(&bytes, 10).is_err(), "{last_offset} {offset_delta} {transaction_start}");
        }
    }

    #[test]
    fn a_snapshot_under_another_name_is_none_and_kafkas_says_nothing_of_it() {
        let ours = snapshot_of(9, 4, -1);
        assert_eq!(decode_snapshot(&ours, 11), Err("it is that of another offset"));
        let mut kafkas = ours[..ours.len() - TRAILER_BYTES].to_vec();
        let crc = crc32c(&kafkas[6..]);
        kafkas[2..6].copy_from_slice(&crc.to_be_bytes());
        let (kafkas_says, we_say) =
            (decode_snapshot(&kafkas, 11).expect("whole"), decode_snapshot(&ours, 10).expect("whole"));
        assert_eq!(kafkas_says.producers, we_say.producers);
        assert_eq!((kafkas_says.seal, we_say.seal), (None, Some(TransactionSeal { length: 34, crc: 5 })));
        kafkas.push(0);
        let crc = crc32c(&kafkas[6..]);
        kafkas[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode_snapshot(&kafkas, 11), Err("its count does not fit its length"));
    }
}
