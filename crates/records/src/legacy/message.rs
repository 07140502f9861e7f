use bytes::{BufMut, Bytes, BytesMut};

use crate::crc::crc32;
use crate::error::BatchError;
use crate::header::{LEGACY_LOG_APPEND_TIME_BIT, MIN_LENGTH_FIELD, NO_TIMESTAMP, array_at};

/// Offset and length, in front of what the length counts.
pub(super) const MESSAGE_PREFIX_BYTES: usize = 12;
const CODEC_MASK: u8 = 0b111;
const CRC_BYTES: usize = 4;

/// One entry of a message set: a record, or a wrapper whose value is a compressed message set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LegacyMessage {
    /// As it stands in the bytes: the producer's count, or relative within a wrapper of format 1.
    pub offset: i64,
    /// 0 or 1.
    pub magic: i8,
    /// Codec, and in format 1 the timestamp's type.
    pub attributes: u8,
    /// ms since 1970; -1 in format 0, which has none.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// A message's CRC-32: the one it says, and the one it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crcs {
    pub stored: u32,
    pub computed: u32,
}

impl LegacyMessage {
    /// Reads the message at the start of `bytes`, and how many bytes it takes. Its CRC must be right.
    pub fn parse(bytes: &Bytes) -> Result<(LegacyMessage, usize), BatchError> {
        let (message, end, Crcs { stored, computed }) = LegacyMessage::parse_unchecked(bytes)?;
        if stored != computed {
            return Err(BatchError::CrcMismatch { base_offset: message.offset, stored, computed });
        }
        Ok((message, end))
    }

    /// The same, whatever its CRC.
    pub fn parse_unchecked(bytes: &Bytes) -> Result<(LegacyMessage, usize, Crcs), BatchError> {
        let truncated = |needed| BatchError::Truncated { needed, available: bytes.len() };
        if bytes.len() < MESSAGE_PREFIX_BYTES {
            return Err(truncated(MESSAGE_PREFIX_BYTES));
        }
        let offset = i64::from_be_bytes(array_at(bytes, 0));
        let length = i32::from_be_bytes(array_at(bytes, 8));
        if length < MIN_LENGTH_FIELD {
            return Err(BatchError::InvalidLength { length });
        }
        let end = MESSAGE_PREFIX_BYTES + length as usize;
        if bytes.len() < end {
            return Err(truncated(end));
        }
        let message = bytes.slice(MESSAGE_PREFIX_BYTES..end);
        let magic = message[CRC_BYTES] as i8;
        if !matches!(magic, 0 | 1) {
            return Err(BatchError::UnknownMagic(magic));
        }
        let crcs = Crcs { stored: u32::from_be_bytes(array_at(&message, 0)), computed: crc32(&message[CRC_BYTES..]) };
        let malformed = |what| BatchError::MalformedRecord { base_offset: offset, index: 0, what };
        let mut fields = Fields { bytes: &message, position: CRC_BYTES + 2 };
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            _ => i64::from_be_bytes(fields.take().ok_or_else(|| malformed("no timestamp"))?),
        };
        let key = fields.nullable().ok_or_else(|| malformed("bad key"))?;
        let value = fields.nullable().ok_or_else(|| malformed("bad value"))?;
        if fields.position != message.len() {
            return Err(malformed("length does not fit the fields"));
        }
        Ok((LegacyMessage { offset, magic, attributes: message[CRC_BYTES + 1], timestamp, key, value }, end, crcs))
    }

    /// The codec's number in the attributes; 0 for a record.
    pub fn codec_id(&self) -> u8 {
        self.attributes & CODEC_MASK
    }

    /// Whether the timestamp is the broker's (format 1).
    pub fn is_log_append_time(&self) -> bool {
        self.magic == 1 && self.attributes & LEGACY_LOG_APPEND_TIME_BIT != 0
    }
}

/// Bytes a message of these contents takes.
pub(super) fn message_bytes(magic: i8, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    let timestamp = if magic == 0 { 0 } else { 8 };
    let of = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    MESSAGE_PREFIX_BYTES + CRC_BYTES + 2 + timestamp + 4 + of(key) + 4 + of(value)
}

/// Writes a message behind what `out` holds; format 0 has no place for the timestamp.
pub(super) fn put_message(
    out: &mut BytesMut,
    magic: i8,
    offset: i64,
    attributes: u8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) {
    let length = message_bytes(magic, key, value);
    out.reserve(length);
    let start = out.len();
    out.put_i64(offset);
    out.put_i32((length - MESSAGE_PREFIX_BYTES) as i32);
    out.put_u32(0);
    out.put_i8(magic);
    out.put_u8(attributes);
    if magic != 0 {
        out.put_i64(timestamp);
    }
    for field in [key, value] {
        out.put_i32(field.map_or(-1, |bytes| bytes.len() as i32));
        out.put_slice(field.unwrap_or_default());
    }
    let crc_at = start + MESSAGE_PREFIX_BYTES;
    let crc = crc32(&out[crc_at + CRC_BYTES..]);
    out[crc_at..crc_at + CRC_BYTES].copy_from_slice(&crc.to_be_bytes());
}

/// Walks the fields of one message, never past its end.
struct Fields<'a> {
    bytes: &'a Bytes,
    position: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes.get(self.position..)?.first_chunk::<N>()?;
        self.position += N;
        Some(*taken)
    }

    /// A length (-1 is null) and that many bytes. The outer `None` is malformed input.
    fn nullable(&mut self) -> Option<Option<Bytes>> {
        let length = i32::from_be_bytes(self.take()?);
        let Ok(length) = usize::try_from(length) else { return (length == -1).then_some(None) };
        let start = self.position;
        let end = start.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        self.position = end;
        Some(Some(self.bytes.slice(start..end)))
    }
}
