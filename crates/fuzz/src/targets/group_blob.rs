//! What consumers put into a group's opaque bytes, and the records of `__consumer_offsets`.

use bytes::Bytes;
use raftsman_coordinator::{Record, State};
use raftsman_protocol::messages::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use raftsman_protocol::messages::group_metadata_record::{GroupMetadataKey, GroupMetadataValue};
use raftsman_protocol::messages::offset_commit_record::{OffsetCommitKey, OffsetCommitValue};
use raftsman_protocol::{Message, Writer};

use super::message::{BESIDE, check_body};
use crate::input::{Input, piece};
use crate::memory::bounded;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(3) {
        0 => versioned::<ConsumerProtocolSubscription>(&mut input),
        1 => versioned::<ConsumerProtocolAssignment>(&mut input),
        _ => offsets_record(&mut input),
    }
}

fn versioned<M: Message>(input: &mut Input<'_>) {
    let version = M::VERSIONS.start() + input.below((M::VERSIONS.end() - M::VERSIONS.start() + 1) as usize) as i16;
    // Whether it is taken is free.
    drop(check_body::<M>(Bytes::copy_from_slice(input.all()), version));
}

fn offsets_record(input: &mut Input<'_>) {
    let key = Bytes::copy_from_slice(input.piece());
    let value = input.flag().then(|| Bytes::copy_from_slice(input.all()));
    let length = key.len() + value.as_ref().map_or(0, Bytes::len);
    // What is kept is copied, so both may be there at once.
    let Ok(Some(record)) = bounded(length, 2 * BESIDE, || Record::decode(key, value)) else { return };
    let mut state = State::default();
    state.replay(&record);
    if let Ok((key, value)) = record.encode() {
        assert_eq!(Record::decode(key, value), Ok(Some(record)), "a record comes back");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for version in ConsumerProtocolSubscription::VERSIONS {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["topic".into(), "other".into()],
            ..ConsumerProtocolSubscription::default()
        };
        all.push([&[0, version as u8][..], &body(&subscription, version)].concat());
    }
    for version in ConsumerProtocolAssignment::VERSIONS {
        all.push([&[1, version as u8][..], &body(&ConsumerProtocolAssignment::default(), version)].concat());
    }
    let offset_key = [&[0, 1][..], &body(&OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 }, 1)];
    for version in OffsetCommitValue::VERSIONS {
        all.push(record(&offset_key.concat(), version, &body(&OffsetCommitValue::default(), version)));
    }
    let group_key = [&[0, 2][..], &body(&GroupMetadataKey { group: "g".into() }, 2)].concat();
    for version in GroupMetadataValue::VERSIONS {
        all.push(record(&group_key, version, &body(&GroupMetadataValue::default(), version)));
    }
    all
}

fn record(key: &[u8], version: i16, value: &[u8]) -> Vec<u8> {
    [&[2][..], &piece(key), &[1], &version.to_be_bytes(), value].concat()
}

fn body(message: &impl Message, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("seeds are ours");
    w.into_bytes().to_vec()
}
