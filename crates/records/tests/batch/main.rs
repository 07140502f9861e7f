//! The record batch from outside: what is built can be read, what is broken is refused, nothing panics.

mod codecs;
mod legacy;
mod roundtrip;
mod validation;

use bytes::{Bytes, BytesMut};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::LeaderEpoch;

const ALL_CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A batch of `count` small records at offset 0.
fn batch_of(count: usize, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    for i in 0..count {
        let value = format!("value-{i}");
        builder.append(1_000 + i as i64, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build(0, LeaderEpoch(0))
}

/// `batch` with some bytes overwritten and the CRC made right again.
fn altered(batch: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = BytesMut::from(&batch[..]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = raftsman_records::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}
