use raftsman_types::Offset;
use siphasher::sip128::SipHasher13;

/// The offset of the newest record of each key, in a bounded memory: an open hash table of keyed 128-bit hashes, for
/// keys may be of any length. Two of a hundred million keys share a hash with a probability of 1 in 10²².
#[derive(Debug)]
pub(crate) struct KeyOffsets {
    hasher: SipHasher13,
    slots: Vec<Slot>,
    keys: usize,
    keys_max: usize,
}

/// 24 bytes; all zero is free.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset plus one.
    next_offset: i64,
}

const SLOT_BYTES: usize = size_of::<Slot>();

impl KeyOffsets {
    /// Room for as many keys as fit `bytes` when filled up to `load_factor`, but not for more than `records_max`.
    pub(crate) fn new(bytes: usize, load_factor: f64, records_max: u64, hash_key: &[u8; 16]) -> KeyOffsets {
        let load_factor = load_factor.clamp(0.1, 0.95);
        let wanted = (records_max as f64 / load_factor).min((bytes / SLOT_BYTES) as f64) as usize;
        // One free slot always ends a search.
        let count = wanted.max(16);
        KeyOffsets {
            hasher: SipHasher13::new_with_key(hash_key),
            slots: vec![Slot::default(); count],
            keys: 0,
            keys_max: ((count as f64 * load_factor) as usize).min(count - 1),
        }
    }

    /// Takes a record in; false, and nothing is done, if there is no room for another key.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let (at, is_new) = self.find(key);
        if is_new {
            if self.keys >= self.keys_max {
                return false;
            }
            self.keys += 1;
            self.slots[at].hash = self.hash(key);
        }
        let slot = &mut self.slots[at];
        slot.next_offset = slot.next_offset.max(offset + 1);
        true
    }

    /// The offset of the key's newest record, if any was taken in.
    pub(crate) fn newest(&self, key: &[u8]) -> Option<Offset> {
        let (at, is_new) = self.find(key);
        (!is_new).then(|| self.slots[at].next_offset - 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let hash = self.hasher.hash(key);
        [hash.h1, hash.h2]
    }

    /// The key's slot, or the free one where it belongs.
    fn find(&self, key: &[u8]) -> (usize, bool) {
        let hash = self.hash(key);
        let count = self.slots.len();
        let mut at = ((u128::from(hash[0]) * count as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot.next_offset == 0 {
                return (at, true);
            }
            if slot.hash == hash {
                return (at, false);
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_no_more_keys_than_fit_and_goes_on_with_known_ones() {
        let mut keys = KeyOffsets::new(100 * SLOT_BYTES, 0.9, u64::MAX, &[1; 16]);
        let taken = (0..200u32).take_while(|i| keys.put(&i.to_be_bytes(), i64::from(*i))).count();
        assert_eq!((taken, keys.len()), (90, 90));
        assert!(keys.put(&5u32.to_be_bytes(), 500), "a known key needs no room");
        assert_eq!(keys.newest(&5u32.to_be_bytes()), Some(500));
        assert_eq!(keys.newest(&199u32.to_be_bytes()), None);
    }

    #[test]
    fn takes_no_more_memory_than_the_records_can_need() {
        assert!(KeyOffsets::new(1 << 30, 0.9, 1_000, &[1; 16]).slots.len() < 1_200);
        let mut tiny = KeyOffsets::new(0, 0.9, 0, &[1; 16]);
        assert!(tiny.put(b"a", 0), "some room there always is, or a pass would get nowhere");
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(puts in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..3), 0i64..1_000), 0..300)) {
            let mut keys = KeyOffsets::new(1 << 20, 0.9, 300, &[7; 16]);
            let mut model: HashMap<Vec<u8>, i64> = HashMap::new();
            for (key, offset) in puts {
                prop_assert!(keys.put(&key, offset));
                let newest = model.entry(key).or_insert(offset);
                *newest = (*newest).max(offset);
            }
            prop_assert_eq!(keys.len(), model.len());
            for (key, offset) in model {
                prop_assert_eq!(keys.newest(&key), Some(offset));
            }
        }
    }
}
