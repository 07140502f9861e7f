//! What a codec makes of bytes that no honest compressor wrote, bombs among them: a batch around them is right in every
//! other way.

use std::io::Write;

use bytes::Bytes;
use raftsman_records::{BATCH_HEADER_BYTES, BatchBuilder, Compression};
use raftsman_types::LeaderEpoch;

use super::record_batch::{check, mend_batches};
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = input.below(4) as u8 + 1;
    let records = input.byte();
    let batch = batch_around(codec, records, input.all());
    check(&Bytes::from(batch));
}

fn batch_around(codec: u8, records: u8, packed: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(1000, None, Some(b"v"), &[]);
    let mut batch = builder.build(0, LeaderEpoch(0))[..BATCH_HEADER_BYTES].to_vec();
    batch[22] = codec;
    batch[23..27].copy_from_slice(&u32::from(records).to_be_bytes());
    batch[57..61].copy_from_slice(&(u32::from(records) + 1).to_be_bytes());
    batch.extend_from_slice(packed);
    let length = batch.len() as u32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    mend_batches(&mut batch);
    batch
}

/// The same bytes packed by the codec of this number, several ways where there are.
fn packed(codec: u8, plain: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).expect("memory takes everything");
            vec![encoder.finish().expect("memory takes everything")]
        }
        1 => {
            let raw = snap::raw::Encoder::new().compress_vec(plain).expect("short enough");
            let head = [&b"\x82SNAPPY\0"[..], &1u32.to_be_bytes(), &1u32.to_be_bytes()].concat();
            let framed = [&head[..], &(raw.len() as u32).to_be_bytes(), &raw].concat();
            vec![raw, framed]
        }
        2 => {
            let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).expect("memory takes everything");
            encoder.write_all(plain).expect("memory takes everything");
            vec![encoder.finish().0]
        }
        _ => vec![
            zstd::stream::encode_all(plain, 1).expect("memory takes everything"),
            zstd::bulk::compress(plain, 19).expect("memory takes everything"),
        ],
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let record = [&[14u8, 0, 0, 0, 1, 2, b'v', 0][..]; 4].concat();
    let bomb = vec![0; 4 << 20];
    let mut all = Vec::new();
    for codec in 0..4 {
        for plain in [&record[..], &bomb] {
            all.extend(packed(codec, plain).into_iter().map(|bytes| [&[codec, 3][..], &bytes].concat()));
        }
    }
    all
}
