use bytes::Bytes;

use crate::random::{self, Random};
use crate::registry::ENTRIES;

#[test]
fn every_version_of_every_message_comes_back_byte_for_byte() {
    for entry in ENTRIES {
        for version in entry.versions.clone() {
            for seed in 0..60 {
                let body = Bytes::from(random::body(entry.name, version, &mut Random(seed), true));
                let recoded = (entry.recode)(body.clone(), version);
                assert_eq!(recoded, Ok(body), "{} version {version}, seed {seed}", entry.name);
            }
        }
    }
}

#[test]
fn defaults_can_be_written_in_every_version_and_come_back() {
    for entry in ENTRIES {
        for version in entry.versions.clone() {
            let survives = (entry.default_survives)(version);
            assert_eq!(survives, Ok(true), "{} version {version}", entry.name);
        }
    }
}

#[test]
fn versions_outside_the_range_are_refused() {
    for entry in ENTRIES {
        for version in [entry.versions.start() - 1, entry.versions.end() + 1] {
            let expected = format!("{} has no version {version}", entry.name);
            assert_eq!((entry.recode)(Bytes::new(), version), Err(expected.clone()));
            assert_eq!((entry.default_survives)(version), Err(expected));
        }
    }
}

#[test]
fn the_registry_and_the_schemas_name_the_same_messages() {
    let mut described: Vec<&str> =
        random::SCHEMAS.iter().flat_map(|file| &file.messages).map(|message| message.name.as_str()).collect();
    let mut listed: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
    described.sort_unstable();
    listed.sort_unstable();
    assert_eq!(described, listed);
    assert!(listed.len() >= 60);
}
