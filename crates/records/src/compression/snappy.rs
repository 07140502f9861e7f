//! Snappy comes in two forms: raw, and in the blocks of the xerial library that Java clients use: an
//! eight-byte mark, two version numbers, then blocks of a big-endian length and raw snappy.

use std::io;

use bytes::Bytes;

use super::CompressionError;

const XERIAL_MARK: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// Snappy's densest element, a three-byte copy, gives 64 bytes: nothing unpacks further than that.
const MAX_RATIO: usize = 64;

pub(super) fn compress_xerial(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = Vec::with_capacity(XERIAL_HEADER_BYTES + plain.len() / 2);
    packed.extend_from_slice(&XERIAL_MARK);
    packed.extend_from_slice(&1i32.to_be_bytes());
    packed.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder.compress_vec(block).map_err(io::Error::other)?;
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(packed)
}

pub(super) fn decompress(packed: &[u8], limit: usize) -> Result<Bytes, CompressionError> {
    let mut plain = Vec::new();
    if !packed.starts_with(&XERIAL_MARK) {
        decompress_raw(packed, limit, &mut plain)?;
        return Ok(Bytes::from(plain));
    }
    let mut rest = packed.get(XERIAL_HEADER_BYTES..).ok_or_else(|| corrupt("the xerial header is cut off"))?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("a block length is cut off"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let block = after.get(..length).ok_or_else(|| corrupt("a block is cut off"))?;
        decompress_raw(block, limit, &mut plain)?;
        rest = &after[length..];
    }
    Ok(Bytes::from(plain))
}

fn decompress_raw(block: &[u8], limit: usize, plain: &mut Vec<u8>) -> Result<(), CompressionError> {
    let length = snap::raw::decompress_len(block).map_err(corrupt)?;
    let start = plain.len();
    if length > limit.saturating_sub(start) {
        return Err(CompressionError::TooLarge { codec: "snappy", limit });
    }
    if length > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("a block claims more than its bytes can hold"));
    }
    plain.resize(start + length, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut plain[start..]).map_err(corrupt)?;
    plain.truncate(start + written);
    Ok(())
}

fn corrupt(reason: impl ToString) -> CompressionError {
    CompressionError::Corrupt { codec: "snappy", reason: reason.to_string() }
}
