//! The five codecs of Kafka's batches. What they unpack to is always bounded by the caller.

mod lz4;
mod snappy;

use std::io::{self, Read, Write};

use bytes::Bytes;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in xerial's framing (Java's) or raw (librdkafka's); both are read, the first is written.
    Snappy,
    /// LZ4's frame format.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// The number in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec with this number.
    pub fn from_id(id: u8) -> Option<Compression> {
        match id {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Kafka's name for it in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The codec of this name.
    pub fn from_name(name: &str) -> Option<Compression> {
        let all = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
        all.into_iter().find(|codec| codec.name() == name)
    }
}

/// Why records cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// The bytes are not what the codec makes.
    #[error("{codec} data is corrupt: {reason}")]
    Corrupt {
        /// The codec's name.
        codec: &'static str,
        /// What it found.
        reason: String,
    },
    /// The output passes the limit: a bomb, or a limit too small.
    #[error("{codec} data unpacks to more than {limit} bytes")]
    TooLarge {
        /// The codec's name.
        codec: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Compresses a batch's records; `level` is in the codec's own scale, `None` its default (KIP-390).
pub(crate) fn compress(codec: Compression, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    write_compressed(codec, level, plain).expect("codecs write to memory, which does not fail")
}

/// Compresses the messages of a wrapper of format 0 or 1.
pub(crate) fn compress_legacy(codec: Compression, magic: i8, plain: &[u8]) -> Vec<u8> {
    let mut packed = compress(codec, None, plain);
    if codec == Compression::Lz4 && magic == 0 {
        lz4::set_checksum_of_magic_0(&mut packed);
    }
    packed
}

fn write_compressed(codec: Compression, level: Option<i32>, plain: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Compression::None => Ok(plain.to_vec()),
        Compression::Gzip => {
            // The default of the library is Kafka's -1.
            let level = level.and_then(|level| u32::try_from(level).ok()).map(flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level.unwrap_or_default());
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Compression::Snappy => snappy::compress_xerial(plain),
        Compression::Lz4 => lz4::compress(plain, level),
        Compression::Zstd => zstd::stream::encode_all(plain, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)),
    }
}

/// Decompresses a batch's records into at most `limit` bytes. Memory grows with what really comes out,
/// not with what a header promises.
pub(crate) fn decompress(codec: Compression, packed: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    match codec {
        Compression::None => Ok(packed.clone()),
        Compression::Gzip => {
            bounded(codec, limit, |limit| read_bounded(flate2::read::MultiGzDecoder::new(&packed[..]), limit))
        }
        Compression::Snappy => snappy::decompress(packed, limit),
        Compression::Lz4 => bounded(codec, limit, |limit| lz4::decompress(&packed[..], limit)),
        Compression::Zstd => bounded(codec, limit, |limit| {
            zstd::stream::read::Decoder::with_buffer(&packed[..]).and_then(|decoder| read_bounded(decoder, limit))
        }),
    }
}

/// Decompresses the messages of a wrapper of format 0 or 1 into at most `limit` bytes.
pub(crate) fn decompress_legacy(
    codec: Compression,
    magic: i8,
    packed: &Bytes,
    limit: usize,
) -> Result<Bytes, CompressionError> {
    if codec == Compression::Lz4 && magic == 0 {
        return bounded(codec, limit, |limit| lz4::decompress_magic_0(packed, limit));
    }
    decompress(codec, packed, limit)
}

fn bounded(
    codec: Compression,
    limit: usize,
    read: impl FnOnce(usize) -> io::Result<Vec<u8>>,
) -> Result<Bytes, CompressionError> {
    let corrupt = |error: io::Error| CompressionError::Corrupt { codec: codec.name(), reason: error.to_string() };
    let plain = read(limit).map_err(corrupt)?;
    if plain.len() > limit {
        return Err(CompressionError::TooLarge { codec: codec.name(), limit });
    }
    Ok(Bytes::from(plain))
}

/// Reads one byte past `limit` at most, so that the caller sees that there was more.
fn read_bounded(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}
