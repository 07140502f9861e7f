//! Where targets start from: frames that real clients sent, and simple mutations for runs without a fuzzer.

use std::path::Path;

/// Frames of real clients, without the length prefix.
///
/// # Panics
/// If they are not where the protocol's tests keep them: this runs in the repository only.
pub fn golden_frames() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/golden");
    let entries = std::fs::read_dir(&directory).expect("the golden frames are in the repository");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let frames = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "bin"));
    frames.map(|path| std::fs::read(path).expect("a golden frame is readable")).collect()
}

/// SplitMix64: the same seed gives the same inputs on every machine.
#[derive(Debug, Clone)]
pub struct Mutator(u64);

impl Mutator {
    /// One that begins with this seed.
    pub fn new(seed: u64) -> Mutator {
        Mutator(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// The input with one to four changes: a byte set to an extreme, a bit turned, a cut, a piece doubled or removed.
    pub fn mutated(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(self.next() as u8),
                0 => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][self.below(5)],
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                3 => {
                    let end = (at + 1 + self.below(16)).min(bytes.len());
                    bytes.extend_from_within(at..end);
                }
                4 => drop(bytes.drain(at..(at + 1 + self.below(8)).min(input.len()).min(bytes.len()).max(at))),
                _ => bytes.insert(at, self.next() as u8),
            }
        }
        bytes
    }
}
