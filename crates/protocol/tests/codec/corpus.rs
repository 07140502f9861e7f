//! The judge: bodies that Kafka's own classes wrote, for every message and version they know.

use bytes::Bytes;

use crate::entry::Entry;

/// Names the corpus: a file of lines `<message> <version> <body in hexadecimal>`.
const VARIABLE: &str = "RAFTSMAN_CODEC_CORPUS";

fn unhex(text: &str) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).expect("the corpus is hexadecimal") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn what_kafka_wrote_comes_back_byte_for_byte() {
    let Some(path) = std::env::var_os(VARIABLE) else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{VARIABLE} is not set: run through run.sh");
        eprintln!("skipped: {VARIABLE} is not set; tests/compat/codec-oracle/run.sh writes the corpus and sets it");
        return;
    };
    let corpus = std::fs::read_to_string(path).expect("the corpus can be read");
    let mut seen = std::collections::BTreeSet::new();
    for (number, line) in corpus.lines().enumerate() {
        let mut words = line.split(' ');
        let (Some(name), Some(version), Some(hex)) = (words.next(), words.next(), words.next()) else {
            panic!("corpus line {}: {line:?}", number + 1);
        };
        let version: i16 = version.parse().expect("a version is a number");
        let body = unhex(hex);
        let recoded = (Entry::find(name).recode)(body.clone(), version);
        assert_eq!(recoded, Ok(body), "{name} version {version}, corpus line {}", number + 1);
        seen.insert((name, version));
    }
    let missing: Vec<String> = crate::registry::ENTRIES
        .iter()
        .flat_map(|entry| entry.versions.clone().map(|version| (entry.name, version)))
        .filter(|message| !seen.contains(message))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "not in the corpus");
}
