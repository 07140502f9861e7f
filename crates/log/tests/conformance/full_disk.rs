//! A disk without room: nothing half written stays behind, and everything goes on once there is room again.

use std::path::Path;

use raftsman_log::fs::FileSystem;
use raftsman_log::{AppendError, LogConfig};
use raftsman_types::LeaderEpoch;

use super::rig::{DIRECTORY, NOW, Rig, batch, producer_batch, small_segments};

/// Fills the disk, whose room ends at any byte, in a log that rolls, indexes and snapshots as it goes.
#[test]
fn wherever_the_room_ends_the_log_stays_whole() {
    // Segments that set their room aside ask for more of it, and go on without.
    for (room, preallocate) in (0..4_000).step_by(13).map(|room| (room, room % 2 == 0)) {
        let mut rig = Rig::new(LogConfig { preallocate, ..small_segments() });
        let used = used_bytes(&rig);
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

#[test]
fn a_segment_for_which_no_room_can_be_set_aside_begins_without() {
    let mut rig = Rig::new(LogConfig { preallocate: true, ..small_segments() });
    let (capacity, tight) = (1 << 40, 400);
    rig.fs.set_capacity(Some(capacity));
    let free = |rig: &Rig| rig.fs.space(Path::new(DIRECTORY)).expect("known").free;
    let used = capacity - free(&rig);
    assert!(used >= 600, "{used}: room is set aside");
    rig.fs.set_capacity(Some(used + tight));
    let mut appended = 0;
    while rig.log.append_as_leader(batch(1, appended), LeaderEpoch(0), NOW).is_ok() {
        appended += 1;
        assert!(appended < 100, "the disk never fills");
    }
    assert!(rig.log.segment_count() > 1 && rig.log.offline_error().is_none());
    // All of it was used, and what could not be set aside as a whole was given back.
    let unused = free(&rig);
    assert!(unused < 80, "{unused} bytes would have done for another batch");
    assert_eq!(used + tight - unused, used_bytes(&rig));
}

fn used_bytes(rig: &Rig) -> u64 {
    let entries = rig.fs.list(Path::new(DIRECTORY)).expect("a listing");
    entries.iter().map(|entry| entry.length).sum()
}
