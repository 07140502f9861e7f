use bytes::Bytes;
use raftsman_types::Uuid;

use crate::{DecodeError, Records, Str};

/// The most elements an array may have.
pub const MAX_ARRAY_ELEMENTS: usize = 1_000_000;
/// The most tagged fields a struct may carry.
pub const MAX_TAGGED_FIELDS: u32 = 10_000;
/// Kafka's limit for strings, in both length encodings.
const MAX_STRING_BYTES: usize = 0x7fff;
/// What decoding may allocate for each byte of the frame, and beside that for any frame. An empty name takes one byte
/// on the wire and 32 in memory: without a limit a frame of 100 MB could ask for gigabytes. The densest messages that
/// clients really send (many topics of two or three letters) stay well below it.
const MEMORY_PER_FRAME_BYTE: usize = 8;
const MEMORY_FOR_ANY_FRAME: usize = 16 << 10;

/// Reads a frame from front to back. Lengths are checked against the bytes that are left before anything is
/// allocated; `flexible` picks the compact encodings of KIP-482.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    position: usize,
    /// Bytes that decoding may still allocate.
    allowance: usize,
}

impl Reader {
    /// A reader at the start of `frame`, which is without its length prefix.
    pub fn new(frame: Bytes) -> Reader {
        let allowance = frame.len().saturating_mul(MEMORY_PER_FRAME_BYTE).saturating_add(MEMORY_FOR_ANY_FRAME);
        Reader { frame, position: 0, allowance }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Fails unless everything has been read.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes { left, at: self.position }),
        }
    }

    fn take(&mut self, needed: usize) -> Result<&[u8], DecodeError> {
        let at = self.position;
        match self.frame.get(at..).and_then(|rest| rest.get(..needed)) {
            Some(bytes) => {
                self.position = at + needed;
                Ok(bytes)
            }
            None => Err(DecodeError::Truncated { needed, left: self.frame.len() - at, at }),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.position;
        match self.frame.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => {
                self.position = at + N;
                Ok(*bytes)
            }
            None => Err(DecodeError::Truncated { needed: N, left: self.frame.len() - at, at }),
        }
    }

    /// Reads a byte; anything but zero is true, as in Kafka.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>()?[0] != 0)
    }

    /// Reads an `int8`.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// Reads an `int16`.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// Reads a `uint16`.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// Reads an `int32`.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// Reads a `uint32`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Reads an `int64`.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Reads a `float64`.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// Reads a `uuid`.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    /// Reads an unsigned variable-length integer of at most five bytes.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value: u32 = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed::<1>()?;
            // The fifth byte has room for four bits only.
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::BadVarint { at: self.position })
    }

    /// A length: `None` is null. Any negative number is null to Kafka, not only -1.
    fn length(&mut self, flexible: bool, narrow: bool) -> Result<Option<u32>, DecodeError> {
        if flexible {
            return Ok(self.uvarint()?.checked_sub(1));
        }
        let length = if narrow { i32::from(self.i16()?) } else { self.i32()? };
        Ok(u32::try_from(length).ok())
    }

    fn slice(&mut self, what: &'static str, length: u32, limit: usize) -> Result<Bytes, DecodeError> {
        let size = length as usize;
        if size > self.remaining() || size > limit {
            return Err(DecodeError::BadLength { what, length, left: self.remaining(), at: self.position });
        }
        let bytes = self.frame.slice(self.position..self.position + size);
        self.position += size;
        Ok(bytes)
    }

    /// Reads a string that may be null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<Str>, DecodeError> {
        let Some(length) = self.length(flexible, true)? else { return Ok(None) };
        let at = self.position;
        let bytes = self.slice("string", length, MAX_STRING_BYTES)?;
        Str::from_utf8(bytes).map(Some).map_err(|_| DecodeError::NotUtf8 { at })
    }

    /// Reads a string.
    pub fn string(&mut self, flexible: bool) -> Result<Str, DecodeError> {
        self.nullable_string(flexible)?.ok_or(DecodeError::Null { what: "string", at: self.position })
    }

    /// Reads bytes that may be null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let Some(length) = self.length(flexible, false)? else { return Ok(None) };
        self.slice("bytes field", length, usize::MAX).map(Some)
    }

    /// Reads bytes.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::Null { what: "bytes field", at: self.position })
    }

    /// Reads records that may be null.
    pub fn nullable_records(&mut self, flexible: bool) -> Result<Option<Records>, DecodeError> {
        let Some(bytes) = self.nullable_bytes(flexible)? else { return Ok(None) };
        if !bytes.is_empty() {
            self.afford(size_of::<Bytes>())?;
        }
        Ok(Some(Records::from(bytes)))
    }

    /// Takes what is about to be allocated from the frame's allowance.
    fn afford(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.allowance.checked_sub(bytes) {
            Some(left) => {
                self.allowance = left;
                Ok(())
            }
            None => Err(DecodeError::TooDense { frame_bytes: self.frame.len(), at: self.position }),
        }
    }

    /// Reads a struct that may be null: a byte, negative for null, goes before it.
    pub fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// Reads an array that may be null. `min_size` is the least number of bytes an element takes.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        mut read: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(length) = self.length(flexible, false)? else { return Ok(None) };
        let count = length as usize;
        if count > self.remaining() / min_size.max(1) || count > MAX_ARRAY_ELEMENTS {
            return Err(DecodeError::BadLength { what: "array", length, left: self.remaining(), at: self.position });
        }
        // An element may take more room in memory than on the wire; all of a frame's together are limited.
        self.afford(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(Some(elements))
    }

    /// Reads an array. `min_size` is the least number of bytes an element takes.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        read: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, min_size, read)?.ok_or(DecodeError::Null { what: "array", at: self.position })
    }

    /// Reads the number of tagged fields that follow.
    pub fn tagged_field_count(&mut self) -> Result<u32, DecodeError> {
        let count = self.uvarint()?;
        if count > MAX_TAGGED_FIELDS {
            return Err(DecodeError::TooManyTaggedFields { count, at: self.position });
        }
        Ok(count)
    }

    /// Reads a tagged field's tag and size: gives the tag and the position where the field must end.
    pub fn tagged_field(&mut self) -> Result<(u32, usize), DecodeError> {
        let tag = self.uvarint()?;
        let length = self.uvarint()?;
        if length as usize > self.remaining() {
            let (left, at) = (self.remaining(), self.position);
            return Err(DecodeError::BadLength { what: "tagged field", length, left, at });
        }
        Ok((tag, self.position + length as usize))
    }

    /// Fails unless the known tagged field just read ends where its size said.
    pub fn end_tagged_field(&self, tag: u32, end: usize) -> Result<(), DecodeError> {
        if self.position == end {
            return Ok(());
        }
        Err(DecodeError::BadTaggedField { tag, end, at: self.position })
    }

    /// Passes over an unknown tagged field.
    pub fn skip_tagged_field(&mut self, end: usize) -> Result<(), DecodeError> {
        self.take(end.saturating_sub(self.position)).map(drop)
    }

    /// Passes over the tagged fields of a struct that knows none in this version.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.tagged_field_count()? {
            let (_, end) = self.tagged_field()?;
            self.skip_tagged_field(end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
