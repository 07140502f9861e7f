//! Values that prove themselves: a checksum over key and value, and for log entries the index and term they belong to, so
//! that a value which the store mixed up is found by the reader and not by the cluster.

use std::io;

use super::checksum::crc32c;

/// The longest value given to the store: sled moves larger tree pages to files that it never flushes.
pub(in crate::raft) const MAX_VALUE_BYTES: usize = 8 << 10;

const CHUNK_HEADER_BYTES: usize = 4 + 8 + 8 + 2 + 2;
const MAX_CHUNK_BYTES: usize = MAX_VALUE_BYTES - CHUNK_HEADER_BYTES;

fn corrupt(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the metadata store is damaged: {what}"))
}

/// A small value with its checksum.
pub(in crate::raft) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = crc32c(&[key, value]).to_be_bytes().to_vec();
    sealed.extend_from_slice(value);
    sealed
}

/// The value that was sealed under this key.
pub(in crate::raft) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> io::Result<&'a [u8]> {
    let damaged = || corrupt(format_args!("value of {:?}", String::from_utf8_lossy(key)));
    let (crc, value) = sealed.split_first_chunk::<4>().ok_or_else(damaged)?;
    if u32::from_be_bytes(*crc) != crc32c(&[key, value]) {
        return Err(damaged());
    }
    Ok(value)
}

/// The values that a log entry's bytes are cut into.
pub(in crate::raft) fn seal_chunks(index: u64, term: u64, entry: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let count = entry.len().div_ceil(MAX_CHUNK_BYTES).max(1);
    let count = u16::try_from(count)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a log entry is too large for the metadata store"))?;
    let mut pieces = entry.chunks(MAX_CHUNK_BYTES);
    Ok((0..count)
        .map(|number| {
            let piece = pieces.next().unwrap_or_default();
            let mut body = Vec::with_capacity(CHUNK_HEADER_BYTES + piece.len());
            body.extend_from_slice(&[0; 4]);
            body.extend_from_slice(&index.to_be_bytes());
            body.extend_from_slice(&term.to_be_bytes());
            body.extend_from_slice(&number.to_be_bytes());
            body.extend_from_slice(&count.to_be_bytes());
            body.extend_from_slice(piece);
            let crc = crc32c(&[&body[4..]]);
            body[..4].copy_from_slice(&crc.to_be_bytes());
            body
        })
        .collect())
}

/// One chunk of a log entry, as it was read back.
#[derive(Debug)]
pub(in crate::raft) struct Chunk<'a> {
    /// The entry's term.
    pub term: u64,
    /// How many chunks the entry has.
    pub count: u16,
    /// This chunk's part of the entry.
    pub piece: &'a [u8],
}

/// Reads a chunk back and checks that it is the one it should be.
pub(in crate::raft) fn unseal_chunk(index: u64, number: u16, value: &[u8]) -> io::Result<Chunk<'_>> {
    let damaged = |how: &str| corrupt(format_args!("part {number} of log entry {index} {how}"));
    if value.len() < CHUNK_HEADER_BYTES {
        return Err(damaged("is too short"));
    }
    let (header, piece) = value.split_at(CHUNK_HEADER_BYTES);
    let field = |from: usize, length: usize| {
        header[from..from + length].iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte))
    };
    if field(0, 4) != u64::from(crc32c(&[&value[4..]])) {
        return Err(damaged("has a wrong checksum"));
    }
    if field(4, 8) != index || field(20, 2) != u64::from(number) {
        return Err(damaged("belongs to another place"));
    }
    Ok(Chunk { term: field(12, 8), count: field(22, 2) as u16, piece })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_from_their_chunks() {
        for length in [0, 1, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1, 256 << 10] {
            let entry: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            let chunks = seal_chunks(9, 4, &entry).unwrap();
            let mut back = Vec::new();
            for (number, value) in chunks.iter().enumerate() {
                assert!(value.len() <= MAX_VALUE_BYTES);
                let chunk = unseal_chunk(9, number as u16, value).unwrap();
                assert_eq!((chunk.term, usize::from(chunk.count)), (4, chunks.len()));
                back.extend_from_slice(chunk.piece);
            }
            assert_eq!(back, entry);
        }
    }

    #[test]
    fn damage_and_mix_ups_are_found() {
        let chunk = seal_chunks(9, 4, b"entry").unwrap().remove(0);
        assert!(unseal_chunk(10, 0, &chunk).is_err());
        assert!(unseal_chunk(9, 1, &chunk).is_err());
        for position in 0..chunk.len() {
            let mut damaged = chunk.clone();
            damaged[position] ^= 1;
            assert!(unseal_chunk(9, 0, &damaged).is_err(), "byte {position}");
            assert!(unseal_chunk(9, 0, &chunk[..position]).is_err(), "cut at {position}");
        }
        let sealed = seal(b"vote", b"value");
        assert_eq!(unseal(b"vote", &sealed).unwrap(), b"value");
        assert!(unseal(b"committed", &sealed).is_err());
        assert!(unseal(b"vote", &sealed[..3]).is_err());
    }
}
