use bytes::{Buf, Bytes};
use raftsman_types::Offset;

use super::message::LegacyMessage;
use crate::compression::{Compression, decompress_legacy};
use crate::error::BatchError;

/// An entry of a log from before Kafka 0.11, as it stands there: a record, or a wrapper around compressed ones. For tools
/// that look at files, damaged ones too; a broker stores no such thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its offset; a wrapper's is that of its last record.
    pub offset: Offset,
    /// 0 or 1.
    pub magic: i8,
    /// ms since 1970; -1 in format 0, which has none.
    pub timestamp: i64,
    /// Whether the timestamp is the broker's (format 1, KIP-32).
    pub is_log_append_time: bool,
    /// How a wrapper is compressed; the number of none that is known stays one.
    pub codec: Result<Compression, u8>,
    /// The CRC-32 it says.
    pub crc: u32,
    /// Whether that is the one it has.
    pub crc_is_valid: bool,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; a wrapper's is what it is around.
    pub value: Option<Bytes>,
    /// All of it, offset and length included.
    pub size_in_bytes: usize,
}

impl StoredMessage {
    /// The entry at the start of `bytes`, which must be whole. Its CRC need not be right.
    ///
    /// # Errors
    /// What no message of these formats can have.
    pub fn parse(bytes: &Bytes) -> Result<StoredMessage, BatchError> {
        let (message, size_in_bytes, crcs) = LegacyMessage::parse_unchecked(bytes)?;
        let (is_log_append_time, codec) = (message.is_log_append_time(), message.codec_id());
        let LegacyMessage { offset, magic, timestamp, key, value, .. } = message;
        Ok(StoredMessage {
            offset,
            magic,
            timestamp,
            is_log_append_time,
            codec: Compression::from_id(codec).ok_or(codec),
            crc: crcs.stored,
            crc_is_valid: crcs.stored == crcs.computed,
            key,
            value,
            size_in_bytes,
        })
    }

    /// The records: itself, or what it is a wrapper around, unpacked to at most `max_decompressed_bytes`, with the offsets they
    /// have in the log.
    ///
    /// # Errors
    /// What it is around is damaged, or no wrapper of its format can have it.
    pub fn records(&self, max_decompressed_bytes: usize) -> Result<Vec<StoredMessage>, BatchError> {
        let malformed = |what| BatchError::MalformedRecord { base_offset: self.offset, index: 0, what };
        let codec = self.codec.map_err(BatchError::UnknownCodec)?;
        if codec == Compression::None {
            return Ok(vec![self.clone()]);
        }
        if codec == Compression::Zstd {
            // Younger than these formats (KIP-110).
            return Err(BatchError::UnknownCodec(codec.id()));
        }
        let packed = self.value.as_ref().ok_or_else(|| malformed("a wrapper around nothing"))?;
        let mut rest = decompress_legacy(codec, self.magic, packed, max_decompressed_bytes)?;
        let mut records = Vec::new();
        while !rest.is_empty() {
            let record = StoredMessage::parse(&rest)?;
            if record.codec != Ok(Compression::None) {
                return Err(malformed("a wrapper within a wrapper"));
            }
            rest.advance(record.size_in_bytes);
            records.push(record);
        }
        let last = records.last().ok_or_else(|| malformed("a wrapper around nothing"))?.offset;
        // Format 1 counts within a wrapper (KIP-31). A few producers left the wrapper's own offset 0.
        let base = match (self.magic, self.offset) {
            (0, _) | (_, 0) => 0,
            (_, offset) if offset < last => return Err(malformed("a wrapper's records reach past its offset")),
            (_, offset) => {
                offset.checked_sub(last).ok_or_else(|| malformed("a wrapper's last record at no offset there is"))?
            }
        };
        for record in &mut records {
            record.offset = base.saturating_add(record.offset);
            if self.is_log_append_time && record.magic == 1 {
                record.timestamp = self.timestamp;
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use raftsman_types::LeaderEpoch;

    use super::super::message::put_message;
    use super::super::{DownConverter, LegacyFormat};
    use super::*;
    use crate::{BatchBuilder, RecordBatch};

    const LIMIT: usize = 1 << 20;

    fn converted(format: LegacyFormat, codec: Compression) -> Bytes {
        let mut builder = BatchBuilder::new(codec);
        for (i, value) in ["a", "b", "c"].iter().enumerate() {
            builder.append(100 + i as i64, Some(b"key"), Some(value.as_bytes()), &[]);
        }
        let batch = RecordBatch::parse(builder.build(40, LeaderEpoch(0))).unwrap();
        let mut converter = DownConverter::new(format, 0, LIMIT);
        converter.push(&batch, LIMIT).unwrap();
        converter.into_bytes()
    }

    #[test]
    fn a_wrappers_records_have_the_offsets_and_times_of_the_log() {
        for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            for (format, times) in [(LegacyFormat::V0, [-1; 3]), (LegacyFormat::V1, [100, 101, 102])] {
                let bytes = converted(format, codec);
                let wrapper = StoredMessage::parse(&bytes).unwrap();
                assert_eq!((wrapper.offset, wrapper.size_in_bytes, wrapper.codec), (42, bytes.len(), Ok(codec)));
                assert!(wrapper.crc_is_valid);
                let records = wrapper.records(LIMIT).unwrap();
                assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [40, 41, 42], "{codec:?}");
                assert_eq!(records.iter().map(|record| record.timestamp).collect::<Vec<_>>(), times, "{codec:?}");
                assert_eq!(records[2].value.as_deref(), Some(&b"c"[..]));
            }
        }
    }

    #[test]
    fn a_wrong_crc_is_told_and_bytes_behind_are_left_alone() {
        let mut bytes = BytesMut::from(&converted(LegacyFormat::V1, Compression::None)[..]);
        let first = StoredMessage::parse(&bytes.clone().freeze()).unwrap();
        assert_eq!(first.records(LIMIT).unwrap(), std::slice::from_ref(&first));
        assert!(first.crc_is_valid && first.size_in_bytes < bytes.len());
        let last = first.size_in_bytes - 1;
        bytes[last] ^= 1;
        let damaged = StoredMessage::parse(&bytes.freeze()).unwrap();
        assert_eq!((damaged.crc, damaged.crc_is_valid), (first.crc, false));
    }

    #[test]
    fn what_no_wrapper_has_is_refused() {
        let wrapper = |offset, value: Option<&[u8]>| {
            let mut bytes = BytesMut::new();
            put_message(&mut bytes, 1, offset, Compression::Gzip.id(), 7, None, value);
            StoredMessage::parse(&bytes.freeze()).unwrap()
        };
        assert!(wrapper(3, None).records(LIMIT).is_err());
        assert!(wrapper(3, Some(b"no gzip")).records(LIMIT).is_err());
        let whole = StoredMessage::parse(&converted(LegacyFormat::V1, Compression::Gzip)).unwrap();
        assert!(wrapper(1, whole.value.as_deref()).records(LIMIT).is_err(), "its last record is the third");
        assert_eq!(wrapper(0, whole.value.as_deref()).records(LIMIT).unwrap()[2].offset, 2);
    }
}
