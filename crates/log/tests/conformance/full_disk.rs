//! A disk without room: nothing half written stays behind, and everything goes on once there is room again.

use std::path::Path;

use raftsman_log::AppendError;
use raftsman_log::fs::FileSystem;
use raftsman_types::LeaderEpoch;

use super::rig::{DIRECTORY, NOW, Rig, batch, producer_batch, small_segments};

/// Fills the disk, whose room ends at any byte, in a log that rolls, indexes and snapshots as it goes.
#[test]
fn wherever_the_room_ends_the_log_stays_whole() {
    let used = used_bytes(&Rig::new(small_segments()));
    for room in (0..4_000).step_by(13) {
        let mut rig = Rig::new(small_segments());
        rig.fs.set_capacity(Some(used + room));
        let mut appended = 0;
        loop {
            let next =
                if appended % 3 == 0 { producer_batch(7, 0, appended / 3, 1) } else { batch(1, i64::from(appended)) };
            match rig.log.append_as_leader(next, LeaderEpoch(0), NOW) {
                Ok(info) => assert_eq!(info.first_offset, i64::from(appended)),
                Err(AppendError::Storage(error)) if error.is_out_of_space() => break,
                Err(other) => panic!("with {room} bytes: {other}"),
            }
            appended += 1;
            assert!(appended < 1_000, "the disk never fills");
        }
        assert!(rig.log.offline_error().is_none(), "with {room} bytes");
        assert_eq!(rig.log.log_end_offset(), i64::from(appended), "with {room} bytes");
        assert_eq!(rig.all().len() as i32, appended, "reads go on");
        let log_bytes: u64 = rig.file_names(".log").iter().map(|name| rig.content(name).len() as u64).sum();
        assert_eq!(log_bytes, rig.log.size_in_bytes(), "with {room} bytes: half a batch is left");
        assert_eq!(rig.file_names(".tmp"), [""; 0], "with {room} bytes: half a file is left");

        rig.fs.set_capacity(None);
        let next =
            if appended % 3 == 0 { producer_batch(7, 0, appended / 3, 1) } else { batch(1, i64::from(appended)) };
        rig.append(next, 0);
        let all = rig.all();
        rig.fs.kill();
        rig.open_again(false, 0);
        assert_eq!(rig.all(), all, "with {room} bytes");
    }
}

#[test]
fn retention_makes_room_on_a_full_disk() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(20, 2);
    let end = rig.log.log_end_offset();
    rig.fs.set_capacity(Some(0));
    rig.config.retention_ms = 1;
    rig.log.set_config(rig.config.clone());
    let segments = rig.log.segment_count();
    let later = raftsman_types::WallTime(NOW.0 + 1_000_000);
    let deleted = rig.log.delete_old_segments(end, later).expect("deleting needs no room");
    // Only a new segment in place of the newest would have needed some.
    assert_eq!((deleted.segments, rig.log.segment_count()), (segments - 1, 1));
    assert!(rig.log.offline_error().is_none());
    rig.fs.set_capacity(None);
    let deleted = rig.log.delete_old_segments(end, later).expect("there is room");
    assert_eq!((deleted.segments, rig.log.log_start_offset()), (1, end));
}

#[test]
fn a_leader_begins_its_epoch_on_a_full_disk() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(2, 1);
    rig.log.flush(NOW).expect("flushed");
    rig.fs.set_capacity(Some(0));
    rig.log.assign_epoch_start(LeaderEpoch(5), 2).expect("the next flush writes it down");
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(5)));
    let error = rig.log.flush(NOW).expect_err("it cannot be written down yet");
    assert!(error.is_out_of_space(), "{error}");
    assert!(rig.log.offline_error().is_none());
    rig.fs.set_capacity(None);
    rig.log.flush(NOW).expect("there is room");
    rig.fs.crash();
    rig.open_again(false, 2);
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(5)));
}

fn used_bytes(rig: &Rig) -> u64 {
    let entries = rig.fs.list(Path::new(DIRECTORY)).expect("a listing");
    entries.iter().map(|entry| entry.length).sum()
}
