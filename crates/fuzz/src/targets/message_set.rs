//! A message set of formats 0 and 1 as an old producer sends it. The first byte says whether lengths and checksums are
//! mended first.

use bytes::Bytes;
use flate2::Crc;
use raftsman_records::{
    BatchBuilder, Compression, DownConverter, LegacyFormat, RecordBatch, TargetCompression, ValidationLimits, validate,
};
use raftsman_types::{LeaderEpoch, WallTime};

use super::record_batch::{CONVERSION, UNPACKED};
use crate::input::Input;
use crate::memory::measured;

/// Bytes of the smallest message.
const SMALLEST: usize = 26;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mend = input.flag();
    let target = match input.below(3) {
        0 => TargetCompression::Producer,
        1 => TargetCompression::Codec { codec: Compression::None, level: None },
        _ => TargetCompression::Codec { codec: Compression::Lz4, level: None },
    };
    let mut bytes = input.all().to_vec();
    if mend {
        mend_messages(&mut bytes);
    }
    let limits = ValidationLimits {
        accept_legacy: true,
        target_compression: target,
        require_keys: data.len() % 2 == 1,
        ..ValidationLimits::at(WallTime(1_000_000))
    };
    let (converted, peak) = measured(|| validate(&Bytes::from(bytes), &limits));
    assert!(peak <= data.len() * 8 + CONVERSION, "{peak} bytes were held for an input of {}", data.len());
    let Ok(batch) = converted else { return };
    batch.check_crc().expect("what is taken has its checksum");
    down(&batch, LegacyFormat::V0);
    down(&batch, LegacyFormat::V1);
}

/// Converts a batch to an old format, which the same rules then take again.
fn down(batch: &RecordBatch, format: LegacyFormat) {
    let mut converter = DownConverter::new(format, 0, 1 << 20);
    if converter.push(batch, UNPACKED).is_err() {
        return;
    }
    let limits = ValidationLimits {
        accept_legacy: true,
        max_message_bytes: usize::MAX,
        timestamp_after_max_ms: i64::MAX,
        ..ValidationLimits::at(WallTime(1_000_000))
    };
    let old = converter.into_bytes();
    if !old.is_empty() && !batch.header().is_log_append_time() {
        let again = validate(&old, &limits).expect("what is converted down can be converted up");
        assert_eq!(again.header().record_count, batch.records().count() as i32, "every record comes back");
    }
}

/// Makes lengths, formats and checksums of messages right.
fn mend_messages(bytes: &mut [u8]) {
    let mut at = 0;
    while bytes.len() - at >= SMALLEST {
        let rest = bytes.len() - at;
        let message = &mut bytes[at..];
        let length = u32::from_be_bytes([message[8], message[9], message[10], message[11]]) as usize;
        let size = if (SMALLEST - 12..=rest - 12).contains(&length) { length + 12 } else { rest };
        message[8..12].copy_from_slice(&(size as u32 - 12).to_be_bytes());
        message[16] &= 1;
        let mut crc = Crc::new();
        crc.update(&message[16..size]);
        message[12..16].copy_from_slice(&crc.sum().to_be_bytes());
        at += size;
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];
    let mut all = Vec::new();
    for codec in codecs {
        let mut builder = BatchBuilder::new(codec);
        builder.append(1000, Some(b"key"), Some(b"value value value value"), &[]);
        builder.append(1001, Some(b"k"), None, &[]);
        let batch = RecordBatch::parse(builder.build(0, LeaderEpoch(0))).expect("a good batch");
        for format in [LegacyFormat::V0, LegacyFormat::V1] {
            let mut converter = DownConverter::new(format, 0, 1 << 20);
            converter.push(&batch, UNPACKED).expect("a good batch is converted");
            let old = converter.into_bytes();
            all.extend((0..3).map(|target| [&[1, target][..], &old].concat()));
        }
    }
    all
}
