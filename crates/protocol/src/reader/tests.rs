use super::*;

fn reader(bytes: &'static [u8]) -> Reader {
    Reader::new(Bytes::from_static(bytes))
}

#[test]
fn lengths_are_checked_before_anything_is_reserved() {
    // An array that claims two billion elements in a frame of six bytes.
    let claim = [0x7f, 0xff, 0xff, 0xff, 0, 0];
    let result = Reader::new(Bytes::copy_from_slice(&claim)).array(false, 1, Reader::i8);
    assert_eq!(result, Err(DecodeError::BadLength { what: "array", length: 0x7fff_ffff, left: 2, at: 4 }));
    // Two elements of at least four bytes do not fit into seven.
    assert!(reader(&[3, 0, 0, 0, 0, 0, 0, 0]).array(true, 4, Reader::i32).is_err());
    assert_eq!(reader(&[3, 0, 0, 0, 1, 0, 0, 0, 2]).array(true, 4, Reader::i32), Ok(vec![1, 2]));
}

#[test]
fn an_array_beyond_the_element_limit_is_refused() {
    let count = MAX_ARRAY_ELEMENTS + 1;
    let mut bytes = u32::try_from(count).unwrap().to_be_bytes().to_vec();
    bytes.resize(4 + count, 0);
    assert!(matches!(
        Reader::new(bytes.into()).array(false, 1, Reader::i8),
        Err(DecodeError::BadLength { what: "array", .. })
    ));
}

/// An empty name is one byte on the wire and a whole string in memory.
#[test]
fn elements_that_are_larger_in_memory_are_limited_by_the_frame() {
    let dense = |names: usize| {
        let mut bytes = vec![0x80 | (names + 1) as u8, 0x80 | ((names + 1) >> 7) as u8, ((names + 1) >> 14) as u8];
        bytes.resize(3 + names, 1);
        Reader::new(bytes.into()).array(true, 1, |r| r.string(true)).map(|names| names.len())
    };
    assert_eq!(dense(500), Ok(500), "no client's few names are too many");
    assert!(matches!(dense(100_000), Err(DecodeError::TooDense { frame_bytes: 100_003, .. })));
    // Not one array alone, but all of a frame together.
    let mut nested = Vec::new();
    for _ in 0..1_000 {
        nested.extend([101u8; 1]);
        nested.extend([1; 100]);
    }
    let mut r = Reader::new(nested.into());
    let arrays = (0..1_000).map_while(|_| r.array(true, 1, |r| r.string(true)).ok()).count();
    assert!(arrays < 300, "{arrays} arrays of 3200 bytes each from 101 bytes");
}

#[test]
fn varints_end_after_five_bytes() {
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint(), Ok(u32::MAX));
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).uvarint(), Err(DecodeError::BadVarint { at: 5 }));
    assert_eq!(reader(&[0x80; 9]).uvarint(), Err(DecodeError::BadVarint { at: 5 }));
    assert_eq!(reader(&[0xac, 0x02]).uvarint(), Ok(300));
}

#[test]
fn strings_are_slices_checked_for_utf8() {
    let frame = Bytes::from_static(b"\x00\x02ok\x00\x01\xff");
    let mut r = Reader::new(frame.clone());
    let text = r.string(false).unwrap();
    assert_eq!(text.as_bytes().as_ptr(), frame[2..].as_ptr());
    assert_eq!(r.string(false), Err(DecodeError::NotUtf8 { at: 6 }));
    assert_eq!(reader(&[0xff, 0xff]).nullable_string(false), Ok(None));
    assert_eq!(reader(&[0]).string(true), Err(DecodeError::Null { what: "string", at: 1 }));
}

#[test]
fn a_compact_string_keeps_kafkas_limit() {
    let mut bytes = vec![0x81, 0x80, 0x02];
    bytes.resize(3 + 0x8000, b'a');
    assert!(matches!(Reader::new(bytes.into()).string(true), Err(DecodeError::BadLength { what: "string", .. })));
}

#[test]
fn unknown_tagged_fields_are_passed_over_and_bounded() {
    let mut r = reader(&[2, 7, 2, 9, 9, 8, 0, 42]);
    assert_eq!(r.skip_tagged_fields(), Ok(()));
    assert_eq!(r.i8(), Ok(42));
    assert!(r.expect_end().is_ok());
    assert!(matches!(reader(&[0x91, 0x4e]).skip_tagged_fields(), Err(DecodeError::TooManyTaggedFields { .. })));
    assert!(matches!(reader(&[1, 7, 2, 9]).skip_tagged_fields(), Err(DecodeError::BadLength { .. })));
}
