use bytes::{BufMut, BytesMut};

/// Reads zig-zag varints and plain bytes from records, never past their end.
pub(crate) struct VarintReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> VarintReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], position: usize) -> VarintReader<'a> {
        VarintReader { bytes, position }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    /// `None` when the number is cut off or longer than 64 bits can be.
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let mut value: u64 = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(((value >> 1) as i64) ^ -((value & 1) as i64));
            }
        }
        None
    }

    /// A varint that must fit 32 bits.
    pub(crate) fn varint(&mut self) -> Option<i32> {
        i32::try_from(self.varlong()?).ok()
    }

    /// Skips `length` bytes and returns where they start.
    pub(crate) fn skip(&mut self, length: usize) -> Option<usize> {
        if length > self.remaining() {
            return None;
        }
        let start = self.position;
        self.position += length;
        Some(start)
    }
}

pub(crate) fn put_varlong(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.put_u8((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

pub(crate) fn put_varint(out: &mut BytesMut, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Bytes `put_varlong` would write.
pub(crate) fn varlong_length(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let bits = 64 - (zigzag | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_lengths_are_right() {
        for value in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            put_varlong(&mut out, value);
            assert_eq!(out.len(), varlong_length(value), "{value}");
            let mut reader = VarintReader::new(&out, 0);
            assert_eq!(reader.varlong(), Some(value));
            assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn refuses_cut_and_overlong_numbers() {
        assert_eq!(VarintReader::new(&[0x80], 0).varlong(), None);
        assert_eq!(VarintReader::new(&[0xff; 11], 0).varlong(), None);
        let mut out = BytesMut::new();
        put_varlong(&mut out, i64::from(i32::MAX) + 1);
        assert_eq!(VarintReader::new(&out, 0).varint(), None);
        assert_eq!(VarintReader::new(&[1, 2], 1).skip(2), None);
    }
}
