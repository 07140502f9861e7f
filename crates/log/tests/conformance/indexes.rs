//! Indexes are caches: whatever happens to their files, the log answers the same.

use raftsman_types::Offset;

use super::rig::{NOW, Rig, small_segments};

fn filled() -> Rig {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(40, 3);
    rig.log.close(NOW).expect("closed");
    rig
}

/// Everything a reader can ask for.
fn answers(rig: &Rig) -> Vec<(Offset, Offset)> {
    let log = &rig.log;
    let mut answers = Vec::new();
    for from in 0..log.log_end_offset() {
        let data = log.read(from, 1, Offset::MAX, true).expect("readable");
        let first = raftsman_records::RecordBatch::parse(data.chunks[0].clone()).expect("a batch");
        assert!(first.base_offset() <= from && from <= first.last_offset());
        answers.push((first.base_offset(), data.next_offset));
        let timestamp = NOW.0 + from;
        let found = log.offset_for_timestamp(timestamp).expect("readable");
        answers.push(found.map_or((-1, -1), |(offset, timestamp, _)| (offset, timestamp)));
    }
    answers.push(log.max_timestamp().expect("readable").expect("a record"));
    answers
}

#[test]
fn lookups_find_every_offset_and_timestamp() {
    let rig = filled();
    assert!(rig.log.segment_count() > 5);
    for (i, (base, next)) in answers(&rig).into_iter().step_by(2).take(120).enumerate() {
        let expected = i as i64 / 3 * 3;
        assert_eq!((base, next), (expected, expected + 3));
    }
}

#[test]
fn damaged_indexes_are_seen_and_made_anew() {
    let good = filled();
    let expected = answers(&good);
    let names: Vec<String> = ["index", "timeindex"].iter().flat_map(|suffix| good.file_names(suffix)).collect();
    assert!(names.len() > 10);
    type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;
    let damages: Vec<(&str, Damage)> = vec![
        ("missing", |_| None),
        ("empty", |_| Some(Vec::new())),
        ("cut in an entry", |mut bytes| {
            bytes.truncate(bytes.len().saturating_sub(3));
            Some(bytes)
        }),
        ("grown by half an entry", |mut bytes| {
            bytes.extend_from_slice(&[0; 5]);
            Some(bytes)
        }),
        ("grown by zeros", |mut bytes| {
            bytes.extend_from_slice(&[0; 24]);
            Some(bytes)
        }),
        ("garbage", |bytes| Some(vec![0xa5; bytes.len()])),
    ];
    for name in &names {
        for (what, damage) in &damages {
            // A short time index of whole entries cannot be told from a good one.
            if *what == "empty" && name.ends_with(".timeindex") {
                continue;
            }
            let mut rig = filled();
            match damage(rig.content(name)) {
                Some(content) => rig.replace(name, &content),
                None => {
                    let path = std::path::Path::new(super::rig::DIRECTORY).join(name);
                    raftsman_log::fs::FileSystem::remove_file(&rig.fs, &path).expect("removed");
                }
            }
            rig.open_again(true, rig.log.recovery_point());
            assert!(answers(&rig) == expected, "{name} {what}");
            // And a second time, from what the first left behind.
            let rebuilt = rig.restart();
            assert_eq!(rebuilt.rebuilt_indexes, 0, "{name} {what}");
            assert!(answers(&rig) == expected, "{name} {what}, later");
        }
    }
}

#[test]
fn the_index_of_another_segment_is_not_believed() {
    let mut rig = filled();
    let expected = answers(&rig);
    for suffix in [".index", ".timeindex"] {
        let names = rig.file_names(suffix);
        let (first, last) = (rig.content(&names[0]), rig.content(&names[names.len() - 2]));
        rig.replace(&names[0], &last);
        rig.replace(&names[names.len() - 2], &first);
    }
    rig.open_again(true, rig.log.recovery_point());
    assert!(answers(&rig) == expected);
}

#[test]
fn indexes_without_a_log_and_left_over_files_go_away() {
    let mut rig = filled();
    let strays = ["00000000000000009999.index", "00000000000000009999.timeindex", "x.tmp"];
    let kafkas = ["00000000000000000000.log.deleted", "00000000000000000000.log.cleaned"];
    for stray in strays.iter().chain(&kafkas) {
        rig.replace(stray, b"stray");
    }
    rig.restart();
    let left = rig.file_names("");
    assert!(!left.iter().any(|name| strays.contains(&name.as_str()) || kafkas.contains(&name.as_str())), "{left:?}");
}
