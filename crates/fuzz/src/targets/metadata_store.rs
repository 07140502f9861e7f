//! What a controller reads back from its disk: a snapshot's file, and the values that log entries are kept in.

use raftsman_controller::hostile;

use crate::input::{Input, piece};
use crate::memory::measured;

/// protobuf's decoder is not ours; see `grpc_message`.
const FACTOR: usize = 1024;
const BESIDE: usize = 64 << 10;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (is_snapshot, mend) = (input.flag(), input.flag());
    let ((), peak) = measured(|| match is_snapshot {
        true => hostile::snapshot(input.all(), mend),
        false => {
            let values: Vec<&[u8]> = (0..=input.below(4)).map(|_| input.piece()).collect();
            hostile::stored_values(&values, mend);
        }
    });
    assert!(peak <= data.len() * FACTOR + BESIDE, "{peak} bytes were held for an input of {}", data.len());
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let (snapshot, values) = hostile::examples();
    let pieces: Vec<u8> = values.iter().flat_map(|value| piece(value)).collect();
    let last = values.len() as u8 - 1;
    vec![
        [&[1, 0][..], &snapshot].concat(),
        [&[1, 1][..], &snapshot].concat(),
        [&[0, 0, last][..], &pieces].concat(),
        [&[0, 1, last][..], &pieces].concat(),
    ]
}
