//! An index of a log that says it was closed cleanly, so that the index is taken at its word. Whatever it says, a read
//! gives the batch asked for or an error.

use super::log_files::{Files, GOOD, check};
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (time, clean, last) = (input.flag(), input.flag(), input.flag());
    let suffix = if time { ".timeindex" } else { ".index" };
    let mut files: Files = GOOD.clone();
    let mut indexes = files.iter_mut().filter(|(name, _)| name.ends_with(suffix));
    let index = if last { indexes.next_back() } else { indexes.next() };
    if let Some((_, bytes)) = index {
        *bytes = input.all().to_vec();
    }
    check(&files, clean, 0);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (name, bytes) in GOOD.iter() {
        let time = match name.rsplit_once('.') {
            Some((_, "timeindex")) => 1,
            Some((_, "index")) => 0,
            _ => continue,
        };
        for (clean, last) in [(0, 0), (1, 0), (1, 1)] {
            all.push([&[time, clean, last][..], bytes].concat());
        }
    }
    all
}
