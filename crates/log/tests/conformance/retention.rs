//! Old segments go; what readers and followers still need stays.

use std::io::ErrorKind;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, Survival};
use raftsman_log::{DeletedSegments, LogConfig, LogError};
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::rig::{NOW, Rig, batch_at, small_segments};

fn ten_batches_a_second_apart(config: LogConfig) -> Rig {
    let mut rig = Rig::new(config);
    for i in 0..20 {
        rig.append(batch_at(2, i, NOW.0 + i * 1_000), 0);
    }
    rig
}

#[test]
fn segments_go_by_age_of_their_newest_record() {
    let config = LogConfig { retention_ms: 5_000, ..small_segments() };
    let mut rig = ten_batches_a_second_apart(config);
    let count = rig.log.segment_count();
    let nothing = rig.log.delete_old_segments(40, WallTime(NOW.0 + 5_000)).expect("looked");
    assert_eq!(nothing, DeletedSegments::default());
    rig.log.delete_old_segments(40, WallTime(NOW.0 + 15_500)).expect("deleted");
    assert!(rig.log.segment_count() < count);
    // The newest record of each segment that is left is young enough, or its successor's start would be.
    let start = rig.log.log_start_offset();
    let found = rig.log.offset_for_timestamp(NOW.0 + 11_000).expect("readable").expect("a record");
    assert!(start <= found.0, "{start} {found:?}");
    rig.restart();
    assert_eq!(rig.log.log_start_offset(), start);
}

#[test]
fn a_checkpointed_start_holds_for_the_log_it_was_written_of() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(10, 2);
    // The file may speak of an earlier partition of the name.
    rig.restart();
    rig.log.restore_log_start_offset(7, NOW).expect("nothing to do");
    assert_eq!(rig.log.log_start_offset(), 0);
    rig.log.recovery_point_checkpointed(20).expect("noted");
    rig.restart();
    rig.log.restore_log_start_offset(7, NOW).expect("restored");
    assert_eq!(rig.log.log_start_offset(), 7);
    // Begun anew, with what its leader has below.
    rig.log.reset_to(0).expect("emptied");
    rig.append_batches(10, 2);
    rig.restart();
    rig.log.restore_log_start_offset(7, NOW).expect("nothing to do");
    assert_eq!(rig.log.log_start_offset(), 0);
    rig.log.recovery_point_checkpointed(20).expect("noted");
    rig.restart();
    rig.log.restore_log_start_offset(50, NOW).expect("at most to the end");
    assert_eq!(rig.log.log_start_offset(), 20);
}

#[test]
fn the_newest_segment_is_rolled_before_it_goes() {
    let config = LogConfig { retention_ms: 5_000, ..small_segments() };
    let mut rig = ten_batches_a_second_apart(config);
    let bytes = rig.log.size_in_bytes();
    let deleted = rig.log.delete_old_segments(40, WallTime(NOW.0 + 1_000_000)).expect("deleted");
    assert_eq!(deleted.bytes, bytes);
    assert_eq!((rig.log.log_start_offset(), rig.log.log_end_offset()), (40, 40));
    rig.append_batches(1, 1);
    rig.restart();
    assert_eq!((rig.log.log_start_offset(), rig.log.log_end_offset()), (40, 41));
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(0)));
}

#[test]
fn nothing_past_the_high_watermark_goes() {
    let config = LogConfig { retention_ms: 0, retention_bytes: 0, ..small_segments() };
    let mut rig = ten_batches_a_second_apart(config);
    rig.log.delete_old_segments(15, WallTime(NOW.0 + 1_000_000)).expect("deleted");
    let start = rig.log.log_start_offset();
    assert!(start > 0 && start <= 15, "{start}");
}

#[test]
fn segments_go_by_size_but_enough_stays() {
    let config = LogConfig { retention_ms: -1, retention_bytes: 1_000, ..small_segments() };
    let mut rig = ten_batches_a_second_apart(config);
    rig.log.delete_old_segments(40, NOW).expect("deleted");
    assert!((1_000..1_000 + 600).contains(&rig.log.size_in_bytes()), "{}", rig.log.size_in_bytes());
    // One file of each kind per segment, and nothing left of the deleted ones.
    let segments = rig.log.segment_count();
    assert_eq!(rig.file_names(".log").len(), segments);
    assert!(rig.file_names(".index").len() <= segments);
    assert!(rig.file_names(".snapshot").len() <= segments);
}

#[test]
fn retention_without_limits_keeps_everything() {
    let config = LogConfig { retention_ms: -1, retention_bytes: -1, ..small_segments() };
    let mut rig = ten_batches_a_second_apart(config);
    let deleted = rig.log.delete_old_segments(40, WallTime(i64::MAX)).expect("looked");
    assert_eq!(deleted.segments, 0);
}

#[test]
fn records_without_timestamps_age_by_their_file() {
    let config = LogConfig { retention_ms: 5_000, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    rig.fs.set_now(NOW);
    rig.append(batch_at(1, 0, -1), 0);
    assert_eq!(rig.log.delete_old_segments(1, WallTime(NOW.0 + 5_000)).expect("looked").segments, 0);
    assert_eq!(rig.log.delete_old_segments(1, WallTime(NOW.0 + 5_001)).expect("deleted").segments, 1);
}

#[test]
fn segments_roll_by_the_records_time() {
    let config = LogConfig { segment_ms: 10_000, ..LogConfig::default() };
    let mut rig = ten_batches_a_second_apart(config);
    assert_eq!(rig.log.segment_count(), 2, "the twelfth record is more than ten seconds after the first");
    assert!(!rig.log.roll_if_due(WallTime(NOW.0 + 20_000)).expect("looked"));
    assert!(rig.log.roll_if_due(WallTime(NOW.0 + 40_000)).expect("rolled"));
    assert_eq!(rig.log.segment_count(), 3);
    assert!(!rig.log.roll_if_due(WallTime(NOW.0 + 90_000)).expect("looked"), "an empty segment is not rolled");
}

#[test]
fn a_full_index_rolls_the_segment() {
    let config = LogConfig { segment_index_bytes: 24, index_interval_bytes: 0, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    rig.append_batches(20, 1);
    assert!(rig.log.segment_count() >= 5, "{}", rig.log.segment_count());
    rig.restart();
    assert_eq!(rig.all().len(), 20);
}

#[test]
fn the_log_start_moves_up_only_and_within_the_log() {
    let mut rig = ten_batches_a_second_apart(small_segments());
    rig.log.advance_log_start_offset(11, NOW).expect("advanced");
    rig.log.advance_log_start_offset(5, NOW).expect("ignored");
    assert_eq!(rig.log.log_start_offset(), 11);
    let error = rig.log.advance_log_start_offset(41, NOW).expect_err("past the end");
    assert!(matches!(error, LogError::OffsetOutOfRange { offset: 41, start: 11, end: 40 }));
    assert!(rig.all()[0].last_offset() >= 11);
}

/// A log that is begun anew goes from its end to its front. Cut short, it starts where it did, or nothing is left of it.
#[test]
fn deleted_records_stay_deleted_when_a_log_is_half_begun_anew() {
    const START: Offset = 5;
    // Behind its end, and in front of its start.
    for anew_at in [100, 2] {
        for skip in 0.. {
            let mut rig = Rig::new(small_segments());
            rig.append_batches(20, 2);
            rig.log.flush(NOW).expect("flushed");
            rig.log.advance_log_start_offset(START, NOW).expect("deleted");
            rig.log.recovery_point_checkpointed(rig.log.recovery_point()).expect("noted");
            rig.log.flush(NOW).expect("flushed");
            let recovery_point = rig.log.recovery_point();
            rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::Error(ErrorKind::Other) });
            let done = rig.log.reset_to(anew_at).is_ok();
            rig.fs.crash_with(|_| if skip % 2 == 0 { Survival::Lost } else { Survival::All });
            rig.open_again(false, recovery_point);
            rig.log.restore_log_start_offset(START, NOW).expect("restored");
            let (start, end) = (rig.log.log_start_offset(), rig.log.log_end_offset());
            assert!(start == end || start >= START, "anew at {anew_at}, fault after {skip}: {start}..{end}");
            if start == end {
                // What it gets then is its own, whatever the checkpoint says of the one that was there.
                rig.append_batches(3, 2);
                rig.log.flush(NOW).expect("flushed");
                rig.fs.crash();
                rig.open_again(false, recovery_point);
                rig.log.restore_log_start_offset(START, NOW).expect("restored");
                assert_eq!(
                    (rig.log.log_start_offset(), rig.log.log_end_offset()),
                    (start, end + 6),
                    "{anew_at}, {skip}"
                );
            }
            if done {
                assert!(skip > 5, "it should touch the disk more often");
                assert_eq!(start, anew_at);
                break;
            }
        }
    }
}
