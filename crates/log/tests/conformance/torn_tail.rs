//! What is left of a log whose last bytes did not make it to the disk.

use bytes::Bytes;
use raftsman_log::{LogConfig, LogError};
use raftsman_records::{BatchBuilder, Compression, DownConverter, LegacyFormat, RecordBatch};
use raftsman_types::LeaderEpoch;

use super::compaction::settle;
use super::rig::{NOW, Rig, batch, small_segments, stored_batch};

const FIRST: &str = "00000000000000000000.log";

fn three_batches() -> (Rig, Vec<u64>) {
    let mut rig = Rig::new(LogConfig { tail_cache_bytes: 0, ..LogConfig::default() });
    let mut ends = vec![0];
    for i in 0..3 {
        let info = rig.append(batch(2, i), 0);
        ends.push(ends[i as usize] + info.appended_bytes as u64);
    }
    (rig, ends)
}

#[test]
fn a_cut_at_any_byte_leaves_the_longest_whole_prefix() {
    let (_, ends) = three_batches();
    for cut in 0..=ends[3] {
        let (mut rig, _) = three_batches();
        rig.file(FIRST).set_length(cut).expect("cut");
        rig.fs.kill();
        let recovery = rig.open_again(false, 0);
        let whole = ends.iter().filter(|end| **end <= cut).count() as i64 - 1;
        assert_eq!(rig.log.log_end_offset(), 2 * whole, "cut at {cut}");
        assert_eq!(recovery.truncated_bytes, cut - ends[whole as usize]);
        assert_eq!(rig.all().len() as i64, whole);
        // And the log goes on where it ends.
        rig.append(batch(2, 9), 0);
        assert_eq!(rig.all().len() as i64, whole + 1);
    }
}

#[test]
fn a_wrong_byte_anywhere_in_the_last_batch_cuts_it_off() {
    let (_, ends) = three_batches();
    for at in ends[2]..ends[3] {
        // The first 16 bytes but the length are outside the CRC; the offset has a check of its own.
        let in_batch = at - ends[2];
        if (8..16).contains(&in_batch) || in_batch < 8 {
            continue;
        }
        let (mut rig, _) = three_batches();
        let byte = rig.content(FIRST)[at as usize];
        rig.file(FIRST).write_all_at(&[byte ^ 0x40], at).expect("written");
        rig.fs.kill();
        rig.open_again(false, 4);
        assert_eq!(rig.log.log_end_offset(), 4, "byte {in_batch} of the batch");
    }
}

#[test]
fn zeros_behind_the_last_batch_are_cut_off() {
    for zeros in [1, 11, 12, 16, 17, 60, 61, 4096, 300_000] {
        let (mut rig, ends) = three_batches();
        rig.file(FIRST).set_length(ends[3] + zeros).expect("grown");
        rig.fs.kill();
        let recovery = rig.open_again(false, 6);
        assert_eq!((rig.log.log_end_offset(), recovery.truncated_bytes), (6, zeros));
        assert_eq!(rig.content(FIRST).len() as u64, ends[3]);
    }
}

#[test]
fn damage_below_the_recovery_point_is_told_and_nothing_is_cut() {
    let (mut rig, ends) = three_batches();
    rig.log.flush(NOW).expect("flushed");
    rig.log.recovery_point_checkpointed(6).expect("noted");
    let mut content = rig.content(FIRST);
    content[ends[1] as usize + 70] ^= 1;
    rig.replace(FIRST, &content);
    let error = rig.try_open(false, 6).expect_err("damage");
    let LogError::DamagedBelowRecoveryPoint { position, offset, recovery_point, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((position, offset, recovery_point), (ends[1], 2, 6));
    assert_eq!(rig.content(FIRST), content, "the file must stay as it is");
    // The same damage past the recovery point is a torn tail.
    let (log, recovery) = rig.try_open(false, 2).expect("opened");
    assert_eq!((log.log_end_offset(), recovery.truncated_bytes), (2, ends[3] - ends[1]));
}

/// Such as Kafka stored before 0.11: no crash leaves it, so it is not cut off, flushed or not.
#[test]
fn messages_of_before_v2_are_told_and_nothing_is_cut() {
    let old = |format, base_offset| {
        let mut converter = DownConverter::new(format, base_offset, 1 << 20);
        converter.push(&RecordBatch::parse(stored_batch(2, base_offset, 0)).expect("a batch"), 1 << 20).expect("old");
        converter.into_bytes()
    };
    for (format, magic) in [(LegacyFormat::V0, 0), (LegacyFormat::V1, 1)] {
        let mut rig = Rig::new(small_segments());
        rig.append_batches(12, 2);
        rig.log.close(NOW).expect("closed");
        let end = rig.log.log_end_offset();
        rig.log.recovery_point_checkpointed(end).expect("noted");
        let names = rig.file_names(".log");
        let second: i64 = names[1][..20].parse().expect("an offset");
        let v2 = rig.content(&names[1]);
        for (name, base_offset) in [(&names[0], 0), (&names[1], second)] {
            let before = rig.content(name);
            rig.replace(name, &[&old(format, base_offset)[..], &old(format, base_offset + 2)].concat());
            let contents = || names.iter().map(|name| rig.content(name)).collect::<Vec<_>>();
            let left = contents();
            for (clean, recovery_point) in [(false, 0), (false, end), (true, end), (true, 0)] {
                let error = rig.try_open(clean, recovery_point).expect_err("not read here");
                let LogError::LegacyFormat { position, offset, magic: found, .. } = error else { panic!("{error}") };
                assert_eq!((position, offset, found), (0, base_offset, magic));
                assert_eq!(contents(), left, "every file stays as it is");
            }
            rig.replace(name, &before);
        }
        // Kafka was about to put a compacted segment in the place of others, which may be gone.
        let swap = format!("{}.swap", names[0]);
        rig.replace(&swap, &old(format, 0));
        let error = rig.try_open(false, 0).expect_err("not read here");
        assert!(matches!(error, LogError::LegacyFormat { .. }), "{error}");
        assert_eq!(rig.content(&swap), old(format, 0));
        rig.replace(&swap, b"");
        // Behind batches of v2 in one segment. What a crash may have left is cut off all the same.
        let message = old(format, second + v2.len() as i64);
        let mut broken = message.to_vec();
        broken[20] ^= 1;
        for (tail, is_told) in [(&message[..], true), (&broken, false), (&message[..30], false)] {
            rig.replace(&names[1], &[&v2, tail].concat());
            match rig.try_open(false, second) {
                Err(LogError::LegacyFormat { position, .. }) => {
                    assert_eq!((position, is_told), (v2.len() as u64, true))
                }
                opened => assert!(!is_told && opened.is_ok(), "{:?}", opened.err()),
            }
        }
    }
}

/// Kafka went over to v2 within one segment, which is the first one left: nothing of it need be read to open the log.
#[test]
fn messages_of_before_v2_are_told_in_front_of_batches_and_their_index() {
    for (format, magic, header_bytes) in [(LegacyFormat::V0, 0, 26), (LegacyFormat::V1, 1, 34)] {
        let mut rig = Rig::new(small_segments());
        rig.append_batches(12, 2);
        settle(&mut rig.log);
        rig.log.close(NOW).expect("closed");
        let end = rig.log.log_end_offset();
        let name = &rig.file_names(".log")[0];
        let mut content = rig.content(name);
        let first_bytes = RecordBatch::parse(Bytes::from(content.clone())).expect("a batch").bytes().len();
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(NOW.0, None, Some(&vec![7; first_bytes - header_bytes]), &[]);
        let mut converter = DownConverter::new(format, 0, 1 << 20);
        let one = RecordBatch::parse(builder.build(0, LeaderEpoch(0))).expect("a batch");
        converter.push(&one, 1 << 20).expect("old");
        let message = converter.into_bytes();
        assert_eq!(message.len(), first_bytes);
        content[..first_bytes].copy_from_slice(&message);
        rig.replace(name, &content);
        for (clean, recovery_point) in [(true, end), (false, end)] {
            let error = rig.try_open(clean, recovery_point).expect_err("not read here");
            let LogError::LegacyFormat { position, offset, magic: found, .. } = error else { panic!("{error}") };
            assert_eq!((position, offset, found), (0, 0, magic), "clean: {clean}");
            assert_eq!(rig.content(name), content, "the file stays as it is");
        }
    }
}

#[test]
fn flushed_data_that_is_gone_is_told() {
    for clean in [true, false] {
        let (mut rig, ends) = three_batches();
        rig.log.close(NOW).expect("closed");
        rig.log.recovery_point_checkpointed(6).expect("noted");
        rig.file(FIRST).set_length(ends[2]).expect("cut");
        let error = rig.try_open(clean, 6).expect_err("damage");
        assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { offset: 4, .. }), "{error}");
    }
}

#[test]
fn a_half_batch_behind_a_clean_mark_is_not_trusted() {
    let (mut rig, ends) = three_batches();
    rig.log.close(NOW).expect("closed");
    rig.file(FIRST).write_all_at(&[1, 2, 3], ends[3]).expect("written");
    let recovery = rig.open_again(true, 6);
    assert_eq!((rig.log.log_end_offset(), recovery.truncated_bytes), (6, 3));
}

#[test]
fn a_lost_segment_in_the_middle_is_told_or_cut_behind() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(12, 2);
    rig.log.flush(NOW).expect("flushed");
    rig.log.recovery_point_checkpointed(24).expect("noted");
    let logs = rig.file_names(".log");
    assert!(logs.len() >= 3, "{logs:?}");
    let middle: i64 = logs[1][..20].parse().expect("an offset");
    let lost = std::path::Path::new(super::rig::DIRECTORY).join(&logs[1]);
    raftsman_log::fs::FileSystem::remove_file(&rig.fs, &lost).expect("removed");

    let error = rig.try_open(false, 24).expect_err("flushed data is gone");
    assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { .. }), "{error}");
    let error = rig.try_open(true, 24).expect_err("flushed data is gone");
    assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { .. }), "{error}");

    let recovery = rig.open_again(false, middle);
    assert_eq!(rig.log.log_end_offset(), middle);
    assert_eq!(recovery.removed_segments, logs.len() - 2);
    assert_eq!(rig.file_names(".log").len(), 1);
    rig.append_batches(3, 2);
    assert_eq!(rig.all().len() as i64, middle / 2 + 3);
}

#[test]
fn segments_that_overlap_are_not_both_believed() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(12, 2);
    let logs = rig.file_names(".log");
    let second: i64 = logs[1][..20].parse().expect("an offset");
    // The second file again, under a name whose offset the first one still covers.
    let content = rig.content(&logs[1]);
    rig.replace(&format!("{:020}.log", second - 2), &content);
    rig.fs.kill();
    rig.open_again(false, 0);
    // The first file ends at `second`; the copy, whose batches are what it says they are not, goes.
    assert_eq!(rig.log.log_end_offset(), 24);
    let read: Vec<i64> = rig.all().iter().map(|batch| batch.base_offset()).collect();
    assert_eq!(read, (0..24).step_by(2).collect::<Vec<i64>>());
}
