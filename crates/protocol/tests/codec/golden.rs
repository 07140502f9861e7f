//! Frames that real clients sent, one per file of `tests/golden`: `<client>-<what>.bin`, without the length prefix.

use std::path::Path;

use bytes::Bytes;
use raftsman_protocol::{ApiKey, Reader, RequestHeader, Writer};

use crate::entry::Entry;

#[test]
fn frames_of_real_clients_come_back_byte_for_byte() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let frame = Bytes::from(std::fs::read(&path).unwrap());
        let mut r = Reader::new(frame.clone());
        let header = RequestHeader::decode(&mut r).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let key = ApiKey::from_code(header.api_key).unwrap_or_else(|| panic!("{}: no such API", path.display()));
        let entry = Entry::find(&format!("{key}Request"));
        let body = (entry.recode)(frame.slice(r.position()..), header.api_version)
            .unwrap_or_else(|e| panic!("{}: {key} version {}: {e}", path.display(), header.api_version));
        let mut w = Writer::new();
        header.encode(&mut w).unwrap();
        assert_eq!([w.into_bytes(), body].concat(), frame, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0, "there are no golden frames");
}
