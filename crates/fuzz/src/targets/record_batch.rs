//! A run of record batches, as produced or as fetched. The first byte says whether lengths and checksums are mended
//! first, without which nearly no input gets past them.

use bytes::Bytes;
use raftsman_records::{
    BATCH_HEADER_BYTES, BatchBuilder, Compression, DEFAULT_MAX_DECOMPRESSED_BYTES, RecordBatch, ValidationLimits,
    crc32c, end_transaction_marker, split_batches, validate,
};
use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId, WallTime};

use crate::input::Input;
use crate::memory::bounded;

/// What batches are decompressed to at most here.
pub(super) const UNPACKED: usize = 256 << 10;
/// The buffers that a decoder of any codec sets up, and the output, which may be there twice while it grows.
pub(super) const CODEC: usize = (9 << 20) + 3 * UNPACKED;
/// What a conversion unpacks to at most, several times: unpacked, as records, packed again. Each grows by doubling.
pub(super) const CONVERSION: usize = CODEC + 6 * DEFAULT_MAX_DECOMPRESSED_BYTES;
/// Errors, and one record's headers.
const BESIDE: usize = 16 << 10;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mend = input.flag();
    let mut bytes = input.all().to_vec();
    if mend {
        mend_batches(&mut bytes);
    }
    check(&Bytes::from(bytes));
}

/// Drives everything that looks at batches which came from outside.
pub(super) fn check(bytes: &Bytes) {
    let limits = ValidationLimits { require_keys: false, ..ValidationLimits::at(WallTime(1_000_000)) };
    let plain = bytes.get(22).is_none_or(|attributes| attributes & 7 == 0);
    // Both verdicts are right. Where a rule asks for a look at the records they are unpacked, to the crate's own limit.
    drop(bounded(bytes.len(), if plain { BESIDE } else { CONVERSION }, || validate(bytes, &limits)));
    for batch in split_batches(bytes.clone(), true).flatten() {
        check_batch(&batch);
    }
}

fn check_batch(batch: &RecordBatch) {
    let header = batch.header();
    assert_eq!(header.to_bytes()[..16], batch.bytes()[..16], "a header comes back");
    let _ = batch.crc_is_valid();
    let plain = matches!(batch.compression(), Ok(Compression::None));
    let beside = if plain { BESIDE } else { CODEC };
    bounded(batch.size_in_bytes(), beside, || {
        let mut unpacked = 0;
        for record in batch.records_within(UNPACKED) {
            let Ok(record) = record else { break };
            unpacked += record.key.map_or(0, |key| key.len()) + record.value.map_or(0, |value| value.len());
            assert!(header.base_offset <= record.offset, "a record before its batch");
            assert!(record.offset <= header.last_offset(), "a record behind its batch");
        }
        let room = if plain { batch.size_in_bytes() } else { UNPACKED };
        assert!(unpacked <= room, "{unpacked} bytes of records in {room}");
    });
    drop(bounded(batch.size_in_bytes(), beside, || batch.control_record()));
}

/// Makes magic and checksums of the batches right, and the lengths of those whose length leads nowhere.
pub(super) fn mend_batches(bytes: &mut [u8]) {
    let mut at = 0;
    while bytes.len() - at >= BATCH_HEADER_BYTES {
        let rest = bytes.len() - at;
        let batch = &mut bytes[at..];
        batch[16] = 2;
        let length = u32::from_be_bytes([batch[8], batch[9], batch[10], batch[11]]) as usize;
        let size = if (BATCH_HEADER_BYTES - 12..=rest - 12).contains(&length) { length + 12 } else { rest };
        batch[8..12].copy_from_slice(&(size as u32 - 12).to_be_bytes());
        let crc = crc32c(&batch[21..size]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        at += size;
    }
}

/// A few batches of every codec.
pub(super) fn some_batches() -> Vec<Bytes> {
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut all: Vec<Bytes> = codecs
        .into_iter()
        .map(|codec| {
            let mut builder = BatchBuilder::new(codec).producer(ProducerId(9), ProducerEpoch(0), 4);
            builder.append(1000, Some(b"key"), Some(b"value value value"), &[("header", Some(b"h"))]);
            builder.append(1001, None, Some(b"another"), &[]);
            builder.append(999, Some(b""), None, &[("a", None), ("", Some(b""))]);
            builder.build(0, LeaderEpoch(1))
        })
        .collect();
    all.push(end_transaction_marker(ProducerId(9), ProducerEpoch(0), true, 3, 1000));
    all
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let batches = some_batches();
    let mut all: Vec<Vec<u8>> = batches.iter().map(|batch| [&[1][..], batch].concat()).collect();
    all.push([vec![0], batches.concat()].concat());
    all
}
