use bytes::Bytes;
use raftsman_types::Uuid;

use crate::{EncodeError, Frame, Records, Str};

/// Bytes shorter than this are copied into the buffer; from here on a piece of its own in the vectored write is cheaper.
const BY_REFERENCE_BYTES: usize = 1024;
const PREFIX_BYTES: usize = 4;

/// Gathers an encoded message: small fields in one growing buffer, big `bytes` and records by reference.
#[derive(Debug)]
pub struct Writer {
    /// Starts with room for the length prefix.
    buffer: Vec<u8>,
    /// Bytes to go out between `buffer[..at]` and `buffer[at..]`, in order.
    inserts: Vec<(usize, Bytes)>,
    inserted: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::with_capacity(124)
    }

    /// An empty writer whose buffer has room for `capacity` bytes of small fields.
    pub fn with_capacity(capacity: usize) -> Writer {
        let mut buffer = Vec::with_capacity(PREFIX_BYTES + capacity);
        buffer.extend_from_slice(&[0; PREFIX_BYTES]);
        Writer { buffer, inserts: Vec::new(), inserted: 0 }
    }

    /// Bytes written so far, without the length prefix.
    pub fn len(&self) -> usize {
        self.buffer.len() - PREFIX_BYTES + self.inserted
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame, length prefix included.
    ///
    /// # Panics
    /// When 2 GiB or more were written, which the prefix cannot say. `encode_request` and `encode_response` refuse that before.
    pub fn finish(mut self) -> Frame {
        let length = i32::try_from(self.len()).expect("a frame is shorter than 2 GiB");
        self.buffer[..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        Frame::new(self.into_chunks(0))
    }

    /// What was written, in one piece and without a length prefix: for the blobs that travel inside other messages.
    pub fn into_bytes(self) -> Bytes {
        Frame::new(self.into_chunks(PREFIX_BYTES)).into_contiguous()
    }

    fn into_chunks(self, start: usize) -> Vec<Bytes> {
        let small = Bytes::from(self.buffer);
        let mut chunks = Vec::with_capacity(2 * self.inserts.len() + 1);
        let mut from = start;
        for (at, bytes) in self.inserts {
            if at > from {
                chunks.push(small.slice(from..at));
            }
            chunks.push(bytes);
            from = at;
        }
        if from < small.len() {
            chunks.push(small.slice(from..));
        }
        chunks
    }

    /// Writes a `bool` as one byte.
    pub fn bool(&mut self, value: bool) {
        self.buffer.push(u8::from(value));
    }

    /// Writes an `int8`.
    pub fn i8(&mut self, value: i8) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes an `int16`.
    pub fn i16(&mut self, value: i16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a `uint16`.
    pub fn u16(&mut self, value: u16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes an `int32`.
    pub fn i32(&mut self, value: i32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a `uint32`.
    pub fn u32(&mut self, value: u32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes an `int64`.
    pub fn i64(&mut self, value: i64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a `float64`.
    pub fn f64(&mut self, value: f64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a `uuid`.
    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.extend_from_slice(&value.0);
    }

    /// Writes an unsigned variable-length integer.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    fn length(&mut self, what: &'static str, length: usize, flexible: bool) -> Result<(), EncodeError> {
        // One less than i32::MAX, so that the compact form's "plus one" is a positive number to Java as well.
        let narrow = i32::try_from(length).ok().filter(|length| *length < i32::MAX);
        let length = narrow.ok_or(EncodeError::TooLong { what, length })?;
        if flexible {
            self.uvarint(length.cast_unsigned() + 1)
        } else {
            self.i32(length)
        }
        Ok(())
    }

    /// Writes a string.
    pub fn string(&mut self, value: &Str, flexible: bool) -> Result<(), EncodeError> {
        let bytes = value.as_bytes();
        let Ok(length) = i16::try_from(bytes.len()) else {
            return Err(EncodeError::TooLong { what: "string", length: bytes.len() });
        };
        if flexible {
            self.uvarint(u32::from(length.cast_unsigned()) + 1)
        } else {
            self.i16(length)
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a string or null.
    pub fn nullable_string(&mut self, value: Option<&Str>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.string(value, flexible)?,
            None if flexible => self.uvarint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    fn null_length(&mut self, flexible: bool) {
        if flexible { self.uvarint(0) } else { self.i32(-1) }
    }

    fn append(&mut self, bytes: &Bytes) {
        if bytes.len() < BY_REFERENCE_BYTES {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.inserted += bytes.len();
            self.inserts.push((self.buffer.len(), bytes.clone()));
        }
    }

    /// Writes bytes.
    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<(), EncodeError> {
        self.length("bytes field", value.len(), flexible)?;
        self.append(value);
        Ok(())
    }

    /// Writes bytes or null.
    pub fn nullable_bytes(&mut self, value: Option<&Bytes>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(value, flexible)?,
            None => self.null_length(flexible),
        }
        Ok(())
    }

    /// Writes records or null.
    pub fn nullable_records(&mut self, value: Option<&Records>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(records) => {
                self.length("records field", records.len(), flexible)?;
                records.chunks().iter().for_each(|chunk| self.append(chunk));
            }
            None => self.null_length(flexible),
        }
        Ok(())
    }

    /// Writes a struct or null.
    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| write(self, value))
    }

    /// Writes an array.
    pub fn array<T>(
        &mut self,
        elements: &[T],
        flexible: bool,
        mut write: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length("array", elements.len(), flexible)?;
        elements.iter().try_for_each(|element| write(self, element))
    }

    /// Writes an array or null.
    pub fn nullable_array<T>(
        &mut self,
        elements: Option<&[T]>,
        flexible: bool,
        write: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.array(elements, flexible, write)?,
            None => self.null_length(flexible),
        }
        Ok(())
    }

    /// Writes a tagged field: tag, size, content. Tags of a struct go in ascending order, behind their count.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.uvarint(tag);
        let (start, before, first_insert) = (self.buffer.len(), self.len(), self.inserts.len());
        write(self)?;
        let size = self.len() - before;
        let end = self.buffer.len();
        // The size goes in front of content whose size is known only now: append it, then rotate it into place.
        self.uvarint(u32::try_from(size).map_err(|_| EncodeError::TooLong { what: "tagged field", length: size })?);
        let shift = self.buffer.len() - end;
        self.buffer[start..].rotate_right(shift);
        self.inserts[first_insert..].iter_mut().for_each(|(at, _)| *at += shift);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_bytes_go_out_by_reference_in_their_place() {
        let big = Bytes::from(vec![7u8; 5000]);
        let mut w = Writer::new();
        w.i16(1);
        w.bytes(&big, false).unwrap();
        w.nullable_records(Some(&Records::from(vec![big.clone(), Bytes::from_static(b"xy")])), true).unwrap();
        w.i8(2);
        let frame = w.finish();
        assert_eq!(frame.len(), 4 + 2 + 4 + 5000 + 2 + 5002 + 1);
        assert_eq!(frame.chunks().len(), 5);
        assert_eq!(frame.chunks()[1].as_ptr(), big.as_ptr());
        let whole = frame.clone().into_contiguous();
        assert_eq!(whole[..4], i32::try_from(frame.len() - 4).unwrap().to_be_bytes());
        assert_eq!(whole.len(), frame.len());
        assert_eq!(whole[4 + 2 + 4 + 5000..][..2], [0x8b, 0x27]);
        assert_eq!(whole[whole.len() - 3..], *b"xy\x02");
    }

    #[test]
    fn a_tagged_fields_size_goes_before_content_with_inserts() {
        let big = Bytes::from(vec![9u8; 2000]);
        let mut w = Writer::new();
        w.tagged_field(3, |w| {
            w.i8(1);
            w.bytes(&big, true)
        })
        .unwrap();
        let whole = w.into_bytes();
        // Tag 3, size 2003 = 0xd3 0x0f, then 1, compact length 2001 = 0xd1 0x0f.
        assert_eq!(whole[..6], [3, 0xd3, 0x0f, 1, 0xd1, 0x0f]);
        assert_eq!(whole[6..], big);
    }

    #[test]
    fn a_string_over_32767_bytes_is_refused() {
        let long = Str::from("a".repeat(0x8000));
        assert!(Writer::new().string(&long, true).is_err());
        assert!(Writer::new().string(&long, false).is_err());
    }
}
