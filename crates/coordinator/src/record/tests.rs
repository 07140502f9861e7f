use raftsman_protocol::messages::group_metadata_record::MemberMetadata;

use super::*;

fn offset(value: Option<OffsetCommitValue>) -> Record {
    Record::Offset { group: "g".into(), topic: "t".into(), partition: 3, value }
}

fn round_trip(record: &Record) -> Record {
    let (key, value) = record.encode().unwrap();
    Record::decode(key, value).unwrap().unwrap()
}

#[test]
fn an_offset_takes_the_lowest_version_that_holds_it() {
    let plain = OffsetCommitValue {
        offset: 42,
        leader_epoch: 7,
        metadata: "m".into(),
        commit_timestamp: 1_000,
        ..OffsetCommitValue::default()
    };
    let with_id = OffsetCommitValue { topic_id: Uuid([9; 16]), ..plain.clone() };
    let expiring = OffsetCommitValue { leader_epoch: -1, expire_timestamp: 2_000, ..plain.clone() };
    for (value, version) in [(plain, 3), (with_id, 4), (expiring, 1)] {
        let record = offset(Some(value));
        let (_, bytes) = record.encode().unwrap();
        assert_eq!(bytes.unwrap()[..2], [0, version]);
        assert_eq!(round_trip(&record), record);
    }
    assert_eq!(round_trip(&offset(None)), offset(None));
}

#[test]
fn any_negative_expiry_is_none() {
    let value = OffsetCommitValue { offset: 42, expire_timestamp: i64::MIN, ..OffsetCommitValue::default() };
    let mut w = Writer::new();
    w.i16(EXPIRING_OFFSET_VALUE);
    value.encode(&mut w, EXPIRING_OFFSET_VALUE).unwrap();
    let (key, _) = offset(None).encode().unwrap();
    let read = Record::decode(key, Some(w.into_bytes())).unwrap().unwrap();
    assert_eq!(read, offset(Some(OffsetCommitValue { expire_timestamp: -1, ..value })));
    assert_eq!(round_trip(&read), read);
}

#[test]
fn golden_bytes_are_kafkas() {
    let value = OffsetCommitValue {
        offset: 5,
        leader_epoch: 1,
        metadata: "".into(),
        commit_timestamp: 16,
        ..OffsetCommitValue::default()
    };
    let (key, value) = offset(Some(value)).encode().unwrap();
    assert_eq!(key[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    let expected = [0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16];
    assert_eq!(value.unwrap()[..], expected);

    let group = GroupMetadataValue {
        protocol_type: "c".into(),
        generation: 2,
        protocol: Some("r".into()),
        leader: None,
        current_state_timestamp: 16,
        members: vec![],
    };
    let (key, value) = Record::Group { group: "g".into(), value: Some(group) }.encode().unwrap();
    assert_eq!(key[..], [0, 2, 0, 1, b'g']);
    let expected = [0, 3, 0, 1, b'c', 0, 0, 0, 2, 0, 1, b'r', 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0];
    assert_eq!(value.unwrap()[..], expected);
}

#[test]
fn a_group_comes_back_with_all_its_members() {
    let member = MemberMetadata {
        member_id: "m-1".into(),
        group_instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: 60_000,
        session_timeout: 10_000,
        subscription: Bytes::from_static(b"s"),
        assignment: Bytes::from_static(b"a"),
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 1,
        protocol: Some("range".into()),
        leader: Some("m-1".into()),
        current_state_timestamp: 5,
        members: vec![member],
    };
    let record = Record::Group { group: "g".into(), value: Some(value) };
    assert_eq!(round_trip(&record), record);
}

#[test]
fn other_kinds_are_none_and_damage_is_an_error() {
    let of = |key: &'static [u8], value: Option<&'static [u8]>| {
        Record::decode(Bytes::from_static(key), value.map(Bytes::from_static))
    };
    assert_eq!(of(&[0, 3, 0, 1, b'g'], Some(&[0, 0])), Ok(None));
    assert_eq!(of(&[0, 99], None), Ok(None));
    assert!(matches!(of(&[0], None), Err(RecordError::Malformed(_))));
    assert!(matches!(of(&[0, 2, 0, 9, b'g'], None), Err(RecordError::Malformed(_))));
    let newer = of(&[0, 2, 0, 1, b'g'], Some(&[0, 9]));
    assert_eq!(newer, Err(RecordError::UnknownVersion { kind: "group", version: 9 }));
}
