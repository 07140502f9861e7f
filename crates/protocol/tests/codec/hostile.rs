//! Bytes that nobody should send: decoding them may fail, but never panics and never reserves more than they justify.

use bytes::Bytes;
use proptest::prelude::*;

use crate::random::{self, Random};
use crate::registry::ENTRIES;

/// Runs every version on the bytes; what decodes must encode again.
fn try_all(body: &Bytes) {
    for entry in ENTRIES {
        for version in entry.versions.clone() {
            if let Ok(recoded) = (entry.recode)(body.clone(), version) {
                assert!(recoded.len() <= body.len() + 16, "{} version {version} grew", entry.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_all(&Bytes::from(body));
    }

    /// Bytes that look like small lengths get further into a message than noise does.
    #[test]
    fn small_numbers_never_panic(body in proptest::collection::vec(0u8..6, 0..300)) {
        try_all(&Bytes::from(body));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for entry in ENTRIES {
        for version in entry.versions.clone() {
            let whole = Bytes::from(random::body(entry.name, version, &mut Random(7), false));
            for length in 0..whole.len() {
                let result = (entry.recode)(whole.slice(..length), version);
                assert!(result.is_err(), "{} version {version} decodes {length} of {} bytes", entry.name, whole.len());
            }
        }
    }
}

#[test]
fn mutations_never_panic() {
    let mut random = Random(99);
    for entry in ENTRIES {
        for version in entry.versions.clone() {
            for _ in 0..40 {
                let mut body = random::body(entry.name, version, &mut random, true);
                for _ in 0..=random.below(3) {
                    let Some(last) = (body.len() as u64).checked_sub(1) else { break };
                    let at = random.below(last + 1) as usize;
                    body[at] = [0x00, 0x7f, 0x80, 0xff, random.next() as u8][random.below(5) as usize];
                }
                // The outcome is free; arriving here is the test.
                let _ = (entry.recode)(body.into(), version);
            }
        }
    }
}
