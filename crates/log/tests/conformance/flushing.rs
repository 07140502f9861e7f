//! Flushes run beside the log; what they promise must hold.

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget};
use raftsman_log::{LogConfig, LogError};
use raftsman_types::{ErrorCode, LeaderEpoch, WallTime};

use super::rig::{NOW, Rig, batch, small_segments};

#[test]
fn a_flush_promises_what_was_there_when_it_began() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(2, 2);
    let ticket = rig.log.begin_flush().expect("something to flush");
    ticket.sync().expect("synced");
    rig.append_batches(1, 2);
    assert_eq!(rig.log.flushed_offset(), 0, "not before it is completed");
    assert_eq!(rig.log.complete_flush(ticket).expect("completed"), 4);
    assert_eq!(rig.log.flushed_offset(), 4);
    rig.fs.crash();
    rig.open_again(false, 4);
    assert_eq!(rig.log.log_end_offset(), 4);
    assert!(rig.log.begin_flush().is_none(), "what recovery leaves is flushed");
}

#[test]
fn a_flush_covers_all_segments_since_the_last() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(20, 2);
    assert!(rig.log.segment_count() > 3);
    let flushed = rig.log.flush(NOW).expect("flushed");
    rig.log.recovery_point_checkpointed(flushed).expect("noted");
    assert_eq!(rig.log.flush(NOW).expect("flushed"), flushed);
    rig.fs.crash();
    let recovery = rig.open_again(false, rig.log.recovery_point());
    assert_eq!(rig.all().len(), 20);
    assert_eq!(recovery.rebuilt_indexes, 1, "the flush also synced the indexes of the segments it passed");
    assert!(rig.file_names(".snapshot").len() > 2);
}

#[test]
fn a_truncation_makes_older_flushes_worthless() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(3, 2);
    let before = rig.log.begin_flush().expect("something to flush");
    before.sync().expect("synced");
    rig.log.truncate_to(2).expect("truncated");
    rig.append_batches(4, 2);
    // The ticket says 6, and 6 is within the log again; but it is other data.
    assert_eq!(rig.log.complete_flush(before).expect("completed"), 0);
    let late = rig.log.begin_flush().expect("something to flush");
    rig.log.truncate_to(4).expect("truncated");
    late.sync().expect("synced");
    let flushed = rig.log.complete_flush(late).expect("completed");
    assert!(flushed <= 4, "{flushed}");
    assert_eq!(rig.log.flush(NOW).expect("flushed"), 4);
}

#[test]
fn a_dropped_or_unsynced_ticket_loses_nothing() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(10, 2);
    drop(rig.log.begin_flush().expect("something to flush"));
    let unsynced = rig.log.begin_flush().expect("still something to flush");
    assert_eq!(rig.log.complete_flush(unsynced).expect("completed"), 0);
    assert_eq!(rig.log.flush(NOW).expect("flushed"), 20);
    rig.fs.crash();
    rig.open_again(false, 20);
    assert_eq!(rig.all().len(), 10);
}

#[test]
fn a_failed_sync_is_final() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(2, 2);
    let ticket = rig.log.begin_flush().expect("something to flush");
    let fault = Fault::Error(std::io::ErrorKind::PermissionDenied);
    rig.fs.inject(FaultPlan { target: FaultTarget::Sync, skip: 0, fault });
    assert!(ticket.sync().is_err());
    assert!(ticket.sync().is_err(), "a second try must not look like success");
    let error = rig.log.complete_flush(ticket).expect_err("failed");
    assert_eq!(error.error_code(), ErrorCode::KafkaStorageError);
    assert_eq!(rig.log.flushed_offset(), 0);
    assert!(rig.log.begin_flush().is_none());
    assert!(rig.log.append_as_leader(batch(1, 1), LeaderEpoch(0), NOW).is_err());
    assert!(matches!(rig.log.close(NOW), Err(LogError::Storage(_))), "an offline log cannot be closed cleanly");
}

#[test]
fn a_failed_sync_counts_even_after_a_truncation() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(2, 2);
    let ticket = rig.log.begin_flush().expect("something to flush");
    let fault = Fault::Error(std::io::ErrorKind::Other);
    rig.fs.inject(FaultPlan { target: FaultTarget::Sync, skip: 0, fault });
    assert!(ticket.sync().is_err());
    rig.log.truncate_to(2).expect("truncated");
    assert!(rig.log.complete_flush(ticket).is_err());
    assert!(rig.log.offline_error().is_some());
}

#[test]
fn an_old_flush_does_not_bring_old_epochs_back() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(batch(2, 0), 0);
    rig.append(batch(2, 1), 3);
    let ticket = rig.log.begin_flush().expect("something to flush");
    rig.log.truncate_to(2).expect("truncated");
    rig.log.assign_epoch_start(LeaderEpoch(7), 2).expect("assigned");
    ticket.sync().expect("synced");
    rig.log.complete_flush(ticket).expect("completed");
    rig.restart();
    assert_eq!(rig.log.end_offset_for(LeaderEpoch(5)), Some((LeaderEpoch(0), 2)));
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(7)));
}

#[test]
fn flushes_fall_due_by_count_and_by_time() {
    let config = LogConfig { flush_messages: 5, flush_ms: 1_000, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    rig.append_batches(2, 2);
    assert!(!rig.log.flush_is_due(NOW));
    rig.append_batches(1, 1);
    assert!(rig.log.flush_is_due(NOW));
    rig.log.flush(NOW).expect("flushed");
    rig.append_batches(1, 1);
    assert!(!rig.log.flush_is_due(WallTime(NOW.0 + 999)));
    assert!(rig.log.flush_is_due(WallTime(NOW.0 + 1_000)));
}

#[test]
fn released_logs_hold_no_file_unless_bytes_are_unsynced() {
    let mut rig = Rig::new(small_segments());
    assert!(rig.log.release_files());
    rig.append_batches(10, 2);
    assert!(!rig.log.release_files(), "only the handle that wrote is sure to hear of a failed write-back");
    rig.log.flush(NOW).expect("flushed");
    assert!(rig.log.release_files());
    rig.append_batches(1, 2);
    assert_eq!(rig.all().len(), 11);
}
