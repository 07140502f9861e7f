//! The last segment of a log after a crash. The first bytes choose the shutdown, the recovery point and whether
//! checksums are mended first; the rest is the file.

use super::log_files::{GOOD, check};
use super::record_batch::{mend_batches, some_batches};
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (clean, mend) = (input.flag(), input.flag());
    let recovery_point = i64::from(input.byte());
    let mut segment = input.all().to_vec();
    if mend {
        mend_batches(&mut segment);
    }
    let name = "00000000000000000000.log".to_owned();
    check(&vec![(name, segment), ("partition.metadata".to_owned(), metadata())], clean, recovery_point);
}

/// The good log's `partition.metadata`.
pub(super) fn metadata() -> Vec<u8> {
    let file = GOOD.iter().find(|(name, _)| name == "partition.metadata");
    file.map(|(_, bytes)| bytes.clone()).expect("every log says whose it is")
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all = vec![[&[0, 1, 0][..], &some_batches().concat()].concat()];
    for (name, bytes) in GOOD.iter().filter(|(name, _)| name.ends_with(".log")) {
        let point = u8::from(name.starts_with("00000000000000000000"));
        all.extend([0, 1].map(|clean| [&[clean, 0, point][..], bytes].concat()));
    }
    all
}
