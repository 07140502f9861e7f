//! A producer snapshot of a log that was closed cleanly. The first byte says whether its checksum is mended first.

use raftsman_records::crc32c;

use super::log_files::{Files, GOOD, check};
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mend, clean) = (input.flag(), input.flag());
    let mut snapshot = input.all().to_vec();
    if mend && snapshot.len() >= 10 {
        let count = ((snapshot.len() - 10) / 46) as u32;
        snapshot.truncate(10 + count as usize * 46);
        snapshot[..2].copy_from_slice(&[0, 1]);
        snapshot[6..10].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c(&snapshot[6..]);
        snapshot[2..6].copy_from_slice(&crc.to_be_bytes());
    }
    let mut files: Files = GOOD.clone();
    // The newest is the one that is read.
    if let Some((_, bytes)) = files.iter_mut().rfind(|(name, _)| name.ends_with(".snapshot")) {
        *bytes = snapshot;
    }
    check(&files, clean, 0);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let snapshots = GOOD.iter().filter(|(name, _)| name.ends_with(".snapshot"));
    snapshots.flat_map(|(_, bytes)| [0, 1].map(|clean| [&[1, clean][..], bytes].concat())).collect()
}
