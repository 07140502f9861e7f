//! The five codecs of Kafka's batches. What they unpack to is always bounded by the caller.

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

/// Compresses a batch's records.
pub(crate) fn compress(codec: Compression, plain: &[u8]) -> Vec<u8> {
    write_compressed(codec, plain).expect("codecs write to memory, which does not fail")
}

fn write_compressed(codec: Compression, plain: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Compression::None => Ok(plain.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Compression::Snappy => snappy::compress_xerial(plain),
        Compression::Lz4 => {
            // Java's reader takes independent blocks only.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(plain)?;
            encoder.finish().map_err(io::Error::other)
        }
        Compression::Zstd => zstd::stream::encode_all(plain, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// Decompresses a batch's records into at most `limit` bytes. Memory grows with what really comes out,
/// not with what a header promises.
pub(crate) fn decompress(codec: Compression, packed: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    let corrupt = |error: io::Error| CompressionError::Corrupt { codec: codec.name(), reason: error.to_string() };
    let plain = match codec {
        Compression::None => return Ok(packed.clone()),
        Compression::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(&packed[..]), limit),
        Compression::Snappy => return snappy::decompress(packed, limit),
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(&packed[..]), limit),
        Compression::Zstd => {
            zstd::stream::read::Decoder::with_buffer(&packed[..]).and_then(|decoder| read_bounded(decoder, limit))
        }
    };
    let plain = plain.map_err(corrupt)?;
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
