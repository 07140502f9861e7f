//! LZ4's frame format, and what clients of message format 0 made of it: they compute the checksum of the frame's
//! header over its mark as well (KAFKA-3160), and take no other.

use std::io::{self, Read, Write};

use ::lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, EncoderBuilder, liblz4::BlockChecksum};
use twox_hash::XxHash32;

/// Kafka's default level, at which its library uses the fast compressor (KIP-390).
const DEFAULT_LEVEL: i32 = 9;
/// From this level on LZ4 searches longer instead of compressing fast.
const SLOW_FROM: i32 = 3;
const MARK_BYTES: usize = 4;
const HAS_CONTENT_SIZE: u8 = 1 << 3;
const HAS_DICTIONARY: u8 = 1;

pub(super) fn compress(plain: &[u8], level: Option<i32>) -> io::Result<Vec<u8>> {
    let level = level.filter(|level| *level != DEFAULT_LEVEL).map_or(0, |level| level.max(SLOW_FROM));
    // Java's reader takes independent blocks only.
    let mut encoder = EncoderBuilder::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB)
        .block_checksum(BlockChecksum::NoBlockChecksum)
        .checksum(ContentChecksum::NoChecksum)
        .level(level.unsigned_abs())
        .build(Vec::new())?;
    encoder.write_all(plain)?;
    let (packed, finished) = encoder.finish();
    finished.map(|()| packed)
}

/// Reads one byte past `limit` at most.
pub(super) fn decompress(packed: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new(packed)?;
    let mut plain = Vec::new();
    let read = decoder.by_ref().take(limit as u64 + 1).read_to_end(&mut plain)?;
    if read <= limit {
        // At the end of cut-off data the decoder just has nothing more, which only this tells.
        decoder.finish().1.map_err(|_| io::Error::other("the frame is cut off"))?;
    }
    Ok(plain)
}

/// The same for a frame whose header has the checksum of format 0, or any: Kafka does not look at it.
pub(super) fn decompress_magic_0(packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let at = checksum_at(packed).ok_or_else(|| io::Error::other("the frame's header is cut off"))?;
    let mut header = packed[..=at].to_vec();
    header[at] = checksum(&packed[MARK_BYTES..at]);
    decompress(header.chain(&packed[at + 1..]), limit)
}

/// Gives a frame the header checksum that clients of format 0 expect.
pub(super) fn set_checksum_of_magic_0(packed: &mut [u8]) {
    if let Some(at) = checksum_at(packed) {
        packed[at] = checksum(&packed[..at]);
    }
}

/// Where the header's checksum is, if the bytes go so far.
fn checksum_at(packed: &[u8]) -> Option<usize> {
    let flags = *packed.get(MARK_BYTES)?;
    let content_size = if flags & HAS_CONTENT_SIZE == 0 { 0 } else { 8 };
    let dictionary = if flags & HAS_DICTIONARY == 0 { 0 } else { 4 };
    let at = MARK_BYTES + 2 + content_size + dictionary;
    (at < packed.len()).then_some(at)
}

fn checksum(header: &[u8]) -> u8 {
    (XxHash32::oneshot(0, header) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_format_0_has_its_own_checksum_and_both_are_read() {
        let plain = vec![7; 200_000];
        let good = compress(&plain, None).expect("memory does not fail");
        let mut old = good.clone();
        set_checksum_of_magic_0(&mut old);
        assert_ne!(old, good);
        assert!(decompress(&old[..], plain.len()).is_err(), "the true reader looks at the checksum");
        for frame in [&old, &good] {
            assert_eq!(decompress_magic_0(frame, plain.len()).expect("a frame"), plain);
        }
        for cut in [0, 3, 5, 6, 20, old.len() - 1] {
            assert!(decompress_magic_0(&old[..cut], plain.len()).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_higher_level_packs_tighter_and_the_default_is_the_fast_one() {
        let plain: Vec<u8> = (0..60_000u32).flat_map(|i| (i * i % 1_009).to_le_bytes()).collect();
        let size = |level| compress(&plain, level).expect("memory does not fail").len();
        assert_eq!(size(None), size(Some(DEFAULT_LEVEL)));
        assert!(size(Some(17)) < size(None), "{} {}", size(Some(17)), size(None));
        assert_eq!(decompress(&compress(&plain, Some(17)).expect("memory")[..], plain.len()).expect("a frame"), plain);
    }
}
