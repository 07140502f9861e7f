//! Which partition a record goes to when nobody says: the same as Kafka's Java producer, so that one key stays in one
//! partition whoever writes it.

/// The partition of a key among `partitions`: murmur2 of the key, its sign bit cut off.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1) as u32) as i32
}

/// Austin Appleby's MurmurHash2, 32 bits, with the seed Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Spreads records without a key: one partition until it has had a batch's worth, then the next (KIP-480).
#[derive(Debug, Default)]
pub(crate) struct StickyPartitioner {
    current: i32,
    bytes: usize,
}

impl StickyPartitioner {
    pub fn next(&mut self, partitions: i32, record_bytes: usize, batch_bytes: usize) -> i32 {
        if self.bytes >= batch_bytes {
            self.current = self.current.wrapping_add(1) & i32::MAX;
            self.bytes = 0;
        }
        self.bytes += record_bytes;
        self.current % partitions.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_client() {
        // Values that Kafka's own `Utils.murmur2` returns.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert!((0..6).contains(&partition_for_key(b"foobar", 6)));
    }

    #[test]
    fn the_sticky_partition_changes_after_a_batch() {
        let mut sticky = StickyPartitioner::default();
        let picked: Vec<i32> = (0..6).map(|_| sticky.next(2, 50, 100)).collect();
        assert_eq!(picked, [0, 0, 1, 1, 0, 0]);
    }
}
