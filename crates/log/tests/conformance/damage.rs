//! Damage, one kind at a time: what was found when directories were damaged at random (`tests/damage`), and what became of it.

use std::path::Path;

use raftsman_log::fs::FileSystem;
use raftsman_log::{LogError, ReadError};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{DIRECTORY, NOW, Rig, batch, marker, producer_batch, small_segments, stored_batch};

const FIRST: &str = "00000000000000000000.log";

/// Segments of a few batches with two records each, all of them flushed, and the checkpoint says so.
fn filled() -> Rig {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(30, 2);
    rig.log.close(NOW).expect("closed");
    rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
    rig
}

fn flip(rig: &Rig, name: &str, at: u64, mask: u8) {
    let byte = rig.content(name)[at as usize];
    rig.file(name).write_all_at(&[byte ^ mask], at).expect("written");
}

fn remove(rig: &Rig, name: &str) {
    rig.fs.remove_file(&Path::new(DIRECTORY).join(name)).expect("removed");
}

fn batch_bytes(rig: &Rig) -> u64 {
    rig.all()[0].size_in_bytes() as u64
}

/// The offset of a batch is outside of its CRC. Moved up, it made the next batch look like the bad one and the log's end lie
/// above the recovery point: all behind it was cut off as a torn tail.
#[test]
fn a_batch_whose_offset_moved_up_does_not_cut_off_what_was_flushed() {
    let mut rig = filled();
    let last = rig.file_names(".log").pop().expect("segments");
    let expected: Offset = last[..20].parse().expect("an offset");
    flip(&rig, &last, 6, 1);
    let error = rig.try_open(false, 60).expect_err("it is flushed");
    assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { offset, .. } if offset == expected), "{error}");
    assert!(error.to_string().contains("restore this replica"), "{error}");
    // After a clean stop nothing is looked through: who reads it is told.
    rig.open_again(true, 60);
    assert_eq!(rig.log.log_end_offset(), 60);
    let error = rig.log.read(expected, 1, Offset::MAX, true).expect_err("damage");
    assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
}

/// Above the recovery point it is cut off, and not the batch behind it.
#[test]
fn the_batch_that_cannot_be_is_cut_off_and_not_its_neighbour() {
    let mut rig = Rig::new(raftsman_log::LogConfig::default());
    rig.append_batches(5, 2);
    let at = 2 * batch_bytes(&rig);
    flip(&rig, FIRST, at + 6, 1);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!((rig.log.log_end_offset(), rig.all().len()), (4, 2));
    // The same with its leader epoch, which the log never had.
    let mut rig = Rig::new(raftsman_log::LogConfig::default());
    rig.append_batches(5, 2);
    flip(&rig, FIRST, at + 14, 1);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!((rig.log.log_end_offset(), rig.log.latest_epoch()), (4, Some(LeaderEpoch(0))));
}

#[test]
fn what_follows_a_surplus_in_a_complete_segment_is_kept() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(12, 2);
    let before = rig.all();
    rig.fs.kill();
    let file = rig.file(FIRST);
    file.write_all_at(b"something else", file.length().expect("a length")).expect("written");
    let recovery = rig.open_again(false, 0);
    assert_eq!((recovery.truncated_bytes, rig.all()), (14, before));
}

#[test]
fn a_read_gives_no_batch_that_is_not_what_was_written() {
    let size = batch_bytes(&filled());
    // Everything but the length, whose change is a change of what follows.
    for at in (0..size).filter(|at| !(8..12).contains(at)) {
        let mut rig = filled();
        flip(&rig, FIRST, size + at, 4);
        rig.open_again(true, 60);
        let damaged = |from: Offset| match rig.log.read(from, 10_000, Offset::MAX, true) {
            Err(error @ ReadError::Damaged { .. }) => error.error_code().name() == "CORRUPT_MESSAGE",
            other => panic!("byte {at}, from {from}: {other:?}"),
        };
        assert!(damaged(2) && damaged(3), "byte {at}");
        // What is in front is read, with an end where the damage begins; and what is in other segments.
        let front = rig.log.read(0, 10_000, Offset::MAX, true).expect("the first batch is good");
        assert_eq!((front.next_offset, front.len() as u64), (2, size), "byte {at}");
        let next: Offset = rig.file_names(".log")[1][..20].parse().expect("an offset");
        assert_eq!(rig.log.read(next, 1, Offset::MAX, true).expect("another segment").next_offset, next + 2);
    }
}

#[test]
fn no_entry_of_an_index_leads_astray() {
    let names = |rig: &Rig| [rig.file_names(".index"), rig.file_names(".timeindex")].concat();
    for name in names(&filled()) {
        for at in 0..filled().content(&name).len() as u64 {
            let mut rig = filled();
            let expected = rig.all();
            flip(&rig, &name, at, 0x10);
            rig.open_again(true, 60);
            assert_eq!(rig.all(), expected, "{name} at {at}");
            for from in 0..60 {
                let read = rig.log.read(from, 1, Offset::MAX, true).expect("readable");
                assert_eq!(read.next_offset, from / 2 * 2 + 2, "{name} at {at}");
                let found = rig.log.offset_for_timestamp(NOW.0 + from).expect("readable");
                let expected = (from <= 58).then(|| (from + 1) / 2 * 2);
                assert_eq!(found.map(|(offset, ..)| offset), expected, "{name} at {at}");
            }
        }
    }
}

#[test]
fn a_lost_first_segment_is_not_an_advanced_start() {
    for clean in [true, false] {
        let mut rig = filled();
        remove(&rig, FIRST);
        let error = rig.try_open(clean, 60).expect_err("it is gone");
        assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { offset: 0, .. }), "{error}");
        // Taken away by retention, it is no loss.
        rig = filled();
        rig.log.advance_log_start_offset(20, NOW).expect("advanced");
        rig.fs.kill();
        rig.open_again(clean, 60);
        assert!(rig.log.log_start_offset() > 0);
    }
}

/// The mark of a clean stop is believed where the log ends at its recovery point.
#[test]
fn a_clean_mark_that_came_too_late_is_not_believed() {
    let mut rig = filled();
    rig.append(batch(2, 99), 0);
    rig.fs.kill();
    let last = rig.file_names(".log").pop().expect("segments");
    let length = rig.content(&last).len() as u64;
    flip(&rig, &last, length - 1, 1);
    let recovery = rig.open_again(true, 60);
    assert!(recovery.scanned_bytes > 0);
    assert_eq!(rig.log.log_end_offset(), 60);
}

#[test]
fn an_index_of_aborted_transactions_is_missed_and_made_anew() {
    let with_transactions = || {
        let mut rig = Rig::new(small_segments());
        for round in 0..6 {
            let data = raftsman_records::BatchBuilder::new(raftsman_records::Compression::None);
            let ids = (raftsman_types::ProducerId(5), raftsman_types::ProducerEpoch(0));
            let mut data = data.producer(ids.0, ids.1, round).transactional(true);
            data.append(NOW.0, Some(b"k"), Some(b"aborted"), &[]);
            rig.append(data.build(0, LeaderEpoch(0)), 0);
            rig.append_batches(1, 2);
            rig.append(marker(5, 0, false), 0);
        }
        rig.log.close(NOW).expect("closed");
        rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
        rig
    };
    let rig = with_transactions();
    let end = rig.log.log_end_offset();
    let expected = rig.log.aborted_transactions(0, end).expect("read");
    assert_eq!(expected.len(), 6);
    let names = rig.file_names(".txnindex");
    assert!(names.len() > 2, "{names:?}");
    for name in &names {
        for damage in 0..4 {
            let mut rig = with_transactions();
            let content = rig.content(name);
            match damage {
                0 => remove(&rig, name),
                1 => rig.replace(name, &[]),
                2 => rig.replace(name, &content[..content.len() - 34]),
                _ => flip(&rig, name, 17, 1),
            }
            rig.open_again(true, end);
            assert_eq!(rig.log.aborted_transactions(0, end).expect("read"), expected, "{name}, damage {damage}");
            rig.restart();
            assert_eq!(rig.log.aborted_transactions(0, end).expect("read"), expected, "{name}, damage {damage}, later");
            assert_eq!(rig.content(name), content);
        }
    }
    // After a crash, and after a cut through the middle.
    let mut rig = with_transactions();
    rig.fs.kill();
    names.iter().for_each(|name| remove(&rig, name));
    rig.open_again(false, 0);
    assert_eq!(rig.log.aborted_transactions(0, end).expect("read"), expected);
    let cut = expected[3].last_offset;
    rig.log.truncate_to(cut).expect("cut");
    assert_eq!(rig.log.aborted_transactions(0, end).expect("read"), expected[..3]);
    rig.restart();
    assert_eq!(rig.log.aborted_transactions(0, end).expect("read"), expected[..3]);
}

#[test]
fn a_snapshot_of_another_offset_is_not_believed() {
    let mut rig = Rig::new(small_segments());
    for sequence in 0..20 {
        rig.append(producer_batch(7, 0, sequence, 1), 0);
    }
    rig.log.close(NOW).expect("closed");
    rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
    let snapshots = rig.file_names(".snapshot");
    let (older, newest) = (&snapshots[0], snapshots.last().expect("snapshots"));
    assert!(snapshots.len() > 2);
    rig.replace(newest, &rig.content(older));
    rig.open_again(true, 20);
    let again = rig.append(producer_batch(7, 0, 19, 1), 0);
    assert_eq!(again.duplicate_of, Some((19, 19)));
}

/// A follower of a compacted log gets batches behind gaps; its segments meet all the same, so that the end of one cannot be
/// lost unnoticed.
#[test]
fn segments_of_a_follower_meet_where_the_leaders_log_has_gaps() {
    let follower = || {
        let mut rig = Rig::new(small_segments());
        for i in 0..20 {
            rig.log.append_as_follower(stored_batch(2, i * 7, 0), NOW).expect("appended");
        }
        rig.log.close(NOW).expect("closed");
        rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
        rig
    };
    let mut rig = follower();
    let (before, end) = (rig.all(), rig.log.log_end_offset());
    rig.fs.kill();
    rig.open_again(false, end);
    assert_eq!(rig.all(), before);
    let rig = follower();
    let second = rig.file_names(".log")[1].clone();
    let size = before[0].size_in_bytes() as u64;
    rig.file(&second).set_length(size).expect("cut");
    for clean in [true, false] {
        let error = rig.try_open(clean, end).expect_err("its end is lost");
        assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { .. }), "{error}");
    }
}

/// No batch stands in a log before the file of the epochs says so: after a kill the file is the whole truth of a follower, too.
#[test]
fn a_followers_file_of_epochs_is_written_before_its_batches() {
    let mut rig = Rig::new(small_segments());
    rig.log.append_as_follower(stored_batch(2, 0, 3), NOW).expect("appended");
    rig.log.append_as_follower(stored_batch(2, 2, 5), NOW).expect("appended");
    assert_eq!(rig.content("leader-epoch-checkpoint"), b"0\n2\n3 0\n5 2\n");
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!((rig.log.log_end_offset(), rig.log.latest_epoch()), (4, Some(LeaderEpoch(5))));
}

/// Four batches of epoch 0 and four of epoch 1 in one segment, one record each, not flushed past `flushed`.
fn two_epochs(flushed: usize) -> Rig {
    let mut rig = Rig::new(raftsman_log::LogConfig::default());
    for i in 0..8 {
        rig.append(batch(1, i), i32::from(i >= 4));
        if i as usize + 1 == flushed {
            rig.log.flush(NOW).expect("flushed");
            rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
        }
    }
    rig
}

/// A batch at the border of two epochs that says its neighbour's: neither the batches around it nor its CRC contradict it, but the
/// file of the epochs does, which is written before any batch of an epoch is.
#[test]
fn an_epoch_that_became_its_neighbours_is_noticed_after_a_kill() {
    for (at, mask) in [(3, 1), (4, 1)] {
        let rig = two_epochs(6);
        let position = at * batch_bytes(&rig) + 15;
        flip(&rig, FIRST, position, mask);
        rig.fs.kill();
        let error = rig.try_open(false, 6).expect_err("it was flushed");
        let offset_then = at as Offset;
        assert!(
            matches!(error, LogError::DamagedBelowRecoveryPoint { offset, .. } if offset == offset_then),
            "{error}"
        );
        assert!(error.to_string().contains("leader-epoch-checkpoint"), "{error}");

        // Not flushed, it stays, and so does all behind it: who reads it is told.
        let mut rig = two_epochs(0);
        flip(&rig, FIRST, position, mask);
        rig.fs.kill();
        rig.open_again(false, 0);
        assert_eq!(rig.log.log_end_offset(), 8);
        assert_eq!(rig.log.end_offset_for(LeaderEpoch(0)), Some((LeaderEpoch(0), 4)));
        for offset in 0..8 {
            let read = rig.log.read(offset, 1, Offset::MAX, true);
            assert_eq!(read.is_err(), offset == offset_then, "{offset}: {read:?}");
        }
    }
}

/// What a power cut leaves of the file may be older than the batches. All of an epoch it does not know contradict it.
#[test]
fn a_file_of_epochs_that_is_older_than_the_batches_is_not_believed() {
    let mut rig = two_epochs(4);
    let older = b"0\n1\n0 0\n";
    rig.replace("leader-epoch-checkpoint", older);
    rig.fs.kill();
    rig.open_again(false, 4);
    assert_eq!(rig.log.log_end_offset(), 8);
    assert_eq!(rig.log.end_offset_for(LeaderEpoch(0)), Some((LeaderEpoch(0), 4)));
    assert_eq!(rig.all().len(), 8);
}

/// A copy of a segment under a name it cannot have is in the way of what is not flushed: the copy goes, not the log's end.
#[test]
fn a_segment_that_does_not_belong_there_takes_nothing_with_it() {
    for name_off_by in [-1, 1] {
        let mut rig = Rig::new(small_segments());
        rig.append_batches(30, 2);
        let names = rig.file_names(".log");
        let original = &names[names.len() - 2];
        let base: Offset = original[..20].parse().expect("an offset");
        rig.replace(&format!("{:020}.log", base + name_off_by), &rig.content(original));
        rig.fs.kill();
        let recovery = rig.open_again(false, 0);
        assert_eq!((rig.log.log_end_offset(), recovery.removed_segments), (60, 1), "{name_off_by}");
        assert_eq!(rig.all().len(), 30);
        assert_eq!(rig.file_names(".log"), names);
    }
}

/// Two segments changed places. Each batch by itself is what it was, and follows the one before it.
#[test]
fn a_segment_of_batches_that_belong_behind_it_is_damage() {
    let mut rig = filled();
    let names = rig.file_names(".log");
    let (one, other) = (&names[1], names.last().expect("segments"));
    let (base, last): (Offset, Offset) =
        (one[..20].parse().expect("an offset"), other[..20].parse().expect("an offset"));
    let contents = (rig.content(one), rig.content(other));
    rig.replace(one, &contents.1);
    rig.replace(other, &contents.0);
    rig.fs.kill();
    for recovery_point in [base + 2, last, 60] {
        let error = rig.try_open(false, recovery_point).expect_err("flushed batches are gone");
        assert!(matches!(error, LogError::DamagedBelowRecoveryPoint { offset, .. } if offset == base), "{error}");
    }
    // Nothing of it was flushed: it is cut where it is wrong.
    rig.open_again(false, base);
    assert_eq!(rig.log.log_end_offset(), base);
}

/// What a compaction puts in the place of others is as long as they are, and never takes the newest one's.
#[test]
fn a_swap_that_ends_where_no_segment_begins_takes_nobodys_place() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(30, 2);
    rig.log.flush(NOW).expect("flushed");
    rig.log.recovery_point_checkpointed(20).expect("noted");
    let names = rig.file_names(".log");
    let size = rig.all()[0].size_in_bytes();
    for name in [&names[1], &names[names.len() - 2], &names[names.len() - 1]] {
        let mut prefix = rig.content(name);
        prefix.truncate(size);
        rig.replace(&format!("{name}.swap"), &prefix);
        rig.fs.kill();
        rig.open_again(false, 20);
        assert_eq!(rig.log.log_end_offset(), 60, "{name}");
        assert_eq!(rig.all().len(), 30, "{name}");
        assert!(rig.file_names(".swap").is_empty());
    }
}
