//! What the tool prints of a log and of its damaged copies. That it is what Kafka's prints is shown elsewhere, with
//! Kafka's tool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsman_log::fs::RealFs;
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{LeaderEpoch, TopicId, Uuid, WallTime};
use tempfile::TempDir;

use super::*;

const NOW: WallTime = WallTime(1_700_000_000_000);
const SEGMENT: &str = "00000000000000000000.log";

/// A log of two batches, of two records and one, closed in good order.
fn log() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("t-0");
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let id = TopicId(Uuid([7; 16]));
    let (mut log, _) = Log::open(Arc::new(RealFs::new()), directory.clone(), id, config, true, 0, NOW).unwrap();
    for values in [&["a", "b"][..], &["c"]] {
        let mut builder = BatchBuilder::new(Compression::None);
        for value in values {
            builder.append(NOW.0, Some(b"key"), Some(value.as_bytes()), &[]);
        }
        log.append_as_leader(builder.build(0, LeaderEpoch::NONE), LeaderEpoch(3), NOW).unwrap();
    }
    log.close(NOW).unwrap();
    (temporary, directory)
}

fn dumped(path: &Path, arguments: &DumpLogArguments) -> (Vec<String>, Vec<String>, Option<String>) {
    let (mut out, mut findings) = (Vec::new(), Findings::default());
    let decoder = Decoder::chosen(arguments).unwrap();
    let done = dump(path, arguments, &decoder, &mut out, &mut findings);
    let lines = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    (lines, findings.lines(), done.err().map(|failure| failure.to_string()))
}

fn limits() -> DumpLogArguments {
    DumpLogArguments { max_message_size: 5 << 20, max_bytes: i32::MAX as u32, ..DumpLogArguments::default() }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn batches_and_records_are_shown() {
    let (_temporary, directory) = log();
    let path = directory.join(SEGMENT);
    let (lines, findings, failure) = dumped(&path, &DumpLogArguments { print_data_log: true, ..limits() });
    assert_eq!((findings, failure), (Vec::new(), None));
    assert_eq!(lines[..2], [format!("Dumping {}", path.display()), "Log starting offset: 0".to_owned()]);
    assert!(lines[2].starts_with("baseOffset: 0 lastOffset: 1 count: 2 "), "{}", lines[2]);
    assert!(lines[2].contains(" partitionLeaderEpoch: 3 ") && lines[2].ends_with(" isvalid: true"), "{}", lines[2]);
    let record =
        "| offset: 1 CreateTime: 1700000000000 keySize: 3 valueSize: 1 sequence: -1 headerKeys: [] key: key payload: b";
    assert_eq!(lines[4], record);
    assert_eq!(lines.len(), 2 + 2 + 3, "{lines:?}");
    let (lines, ..) = dumped(&directory.join("leader-epoch-checkpoint"), &limits());
    assert_eq!(lines[1..], ["epoch: 3 startOffset: 0"]);
}

#[test]
fn damage_is_shown_or_named() {
    let (_temporary, directory) = log();
    let path = directory.join(SEGMENT);
    let whole = std::fs::read(&path).unwrap();
    change(&path, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let (lines, _, failure) = dumped(&path, &limits());
    assert_eq!(failure, None);
    assert!(lines[2].ends_with("isvalid: true") && lines[3].ends_with("isvalid: false"), "{lines:?}");
    change(&path, |bytes| bytes.truncate(whole.len() - 1));
    let (lines, ..) = dumped(&path, &limits());
    let second_at = 12 + i32::from_be_bytes([whole[8], whole[9], whole[10], whole[11]]) as usize;
    let left_over = whole.len() - 1 - second_at;
    assert_eq!(lines[3], format!("Found {left_over} invalid bytes at the end of {SEGMENT}"));
    change(&path, |bytes| bytes[second_at + 8..second_at + 12].fill(0));
    let (lines, _, failure) = dumped(&path, &limits());
    assert_eq!(lines.len(), 3, "what stands before it is shown");
    assert!(failure.is_some_and(|said| said.contains(&format!("at position {second_at}: Found record size 0"))));
}

#[test]
fn an_index_is_checked_against_the_log() {
    let (_temporary, directory) = log();
    let path = directory.join("00000000000000000000.index");
    let (lines, findings, _) = dumped(&path, &limits());
    assert!(lines.len() > 1 && findings.is_empty(), "{lines:?} {findings:?}");
    change(&path, |bytes| bytes[3] ^= 4);
    let (_, findings, failure) = dumped(&path, &limits());
    assert_eq!((findings.len(), failure), (2, None), "{findings:?}");
    assert!(findings[0].starts_with("Mismatches in :"), "{findings:?}");
    change(&path, |bytes| bytes.push(0));
    let sanity = DumpLogArguments { index_sanity_check: true, ..limits() };
    assert!(dumped(&path, &sanity).2.is_some_and(|said| said.contains("is corrupt")));
    change(&path, |bytes| bytes[4] = 1);
    let (_, _, failure) = dumped(&path, &limits());
    assert!(failure.is_some_and(|said| said.contains("no whole batch follows")));
}

#[test]
fn zeroes_behind_the_last_entry_of_an_index_are_none() {
    let (_temporary, directory) = log();
    for kind in ["index", "timeindex"] {
        let path = directory.join("00000000000000000000").with_extension(kind);
        let (lines, ..) = dumped(&path, &limits());
        assert!(lines.len() > 1, "{lines:?}");
        // As a killed broker leaves it, which had made room for more.
        change(&path, |bytes| bytes.resize(bytes.len() + 240, 0));
        assert_eq!(dumped(&path, &limits()), (lines, Vec::new(), None), "{kind}");
    }
}
