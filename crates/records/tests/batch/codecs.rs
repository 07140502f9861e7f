use std::io::Write;

use bytes::{Bytes, BytesMut};
use raftsman_records::{BatchBuilder, BatchError, Compression, CompressionError, RecordBatch};
use raftsman_types::LeaderEpoch;

use super::{ALL_CODECS, batch_of};

/// `batch_of(count, None)` with its records packed by somebody else's hand.
fn repacked(count: usize, codec: Compression, pack: impl Fn(&[u8]) -> Vec<u8>) -> RecordBatch {
    let plain = batch_of(count, Compression::None);
    let mut batch = BytesMut::from(&plain[..61]);
    batch.extend_from_slice(&pack(&plain[61..]));
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = codec.id();
    RecordBatch::parse(batch.freeze()).expect("a batch")
}

fn values(batch: &RecordBatch) -> Result<Vec<Bytes>, BatchError> {
    batch.records().map(|record| record.map(|record| record.value.unwrap_or_default())).collect()
}

#[test]
fn raw_snappy_is_read_like_framed_snappy() {
    let raw = repacked(40, Compression::Snappy, |plain| {
        snap::raw::Encoder::new().compress_vec(plain).expect("memory does not fail")
    });
    let plain = RecordBatch::parse(batch_of(40, Compression::None)).expect("a batch");
    assert_eq!(values(&raw), values(&plain));
}

#[test]
fn gzip_in_several_members_is_read_to_its_end() {
    let members = repacked(40, Compression::Gzip, |plain| {
        let (a, b) = plain.split_at(plain.len() / 2);
        [a, b]
            .map(|part| {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).expect("memory does not fail");
                encoder.finish().expect("memory does not fail")
            })
            .concat()
    });
    let plain = RecordBatch::parse(batch_of(40, Compression::None)).expect("a batch");
    assert_eq!(values(&members), values(&plain));
}

#[test]
fn bombs_stop_at_the_limit() {
    for codec in ALL_CODECS.into_iter().filter(|codec| *codec != Compression::None) {
        let mut builder = BatchBuilder::new(codec);
        builder.append(0, None, Some(&vec![0; 8 << 20]), &[]);
        let batch = RecordBatch::parse(builder.build(0, LeaderEpoch(0))).expect("a batch");
        assert!(batch.size_in_bytes() < 1 << 20, "{codec:?} should have packed zeros well");
        let mut records = batch.records_within(1 << 20);
        let first = records.next().expect("an item");
        assert!(
            matches!(first, Err(BatchError::Compression(CompressionError::TooLarge { limit: 1_048_576, .. }))),
            "{codec:?}: {first:?}"
        );
        assert!(records.next().is_none(), "an error is the last item");
        assert_eq!(batch.records_within(9 << 20).filter(Result::is_ok).count(), 1, "{codec:?}");
    }
}

#[test]
fn torn_compressed_data_is_an_error() {
    for codec in ALL_CODECS.into_iter().filter(|codec| *codec != Compression::None) {
        let whole = batch_of(50, codec);
        let mut batch = BytesMut::from(&whole[..whole.len() - 5]);
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let batch = RecordBatch::parse(batch.freeze()).expect("the header is sound");
        assert!(values(&batch).is_err(), "{codec:?}");
    }
}

#[test]
fn a_snappy_length_no_bytes_can_give_is_not_allocated() {
    // A raw block that claims 60 MiB in five bytes.
    let claim = repacked(1, Compression::Snappy, |_| vec![0x80, 0x80, 0x80, 0x1e, 0]);
    let error = values(&claim).expect_err("must be refused");
    assert!(matches!(error, BatchError::Compression(CompressionError::Corrupt { .. })), "{error:?}");
}
