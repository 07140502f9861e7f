//! Appends that wait for the next flush to be written: read as if they were written, and lost only with what no flush
//! has promised.

use std::sync::Arc;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget};
use raftsman_log::{CacheBudget, LogConfig};
use raftsman_types::LeaderEpoch;

use super::rig::{NOW, Rig, batch};

const LOG: &str = "00000000000000000000.log";

fn deferring() -> Rig {
    Rig::deferring(LogConfig { tail_cache_bytes: 0, index_interval_bytes: 100, ..LogConfig::default() })
}

#[test]
fn what_waits_is_read_as_if_it_were_there_and_written_by_the_flush() {
    let mut rig = deferring();
    rig.append_batches(20, 3);
    assert_eq!(rig.content(LOG).len(), 0);
    assert_eq!((rig.log.written_offset(), rig.log.log_end_offset()), (0, 60));
    let all = rig.all();
    assert_eq!(all.len(), 20);

    let ticket = rig.log.begin_flush().expect("there is something to flush");
    rig.append_batches(5, 3);
    ticket.sync().expect("synced");
    assert_eq!(rig.all().len(), 25, "also while the flush is under way");
    assert_eq!(rig.log.complete_flush(ticket).expect("flushed"), 60);
    assert_eq!((rig.log.written_offset(), rig.log.log_end_offset()), (60, 75));
    assert_eq!(rig.all()[..20], all);
    rig.fs.crash();
    rig.open_again(false, 0);
    assert_eq!(rig.all(), all);
}

/// As an ack for a written batch needs it.
#[test]
fn a_batch_that_may_not_wait_takes_those_before_it_along() {
    let mut rig = deferring();
    rig.append_batches(3, 2);
    rig.log.defer_writes(false);
    rig.append_batches(1, 2);
    assert_eq!((rig.log.written_offset(), rig.log.log_end_offset()), (8, 8));
    let all = rig.all();
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(rig.all(), all);
}

#[test]
fn a_small_batch_waits_only_behind_a_large_one() {
    let mut rig = deferring();
    rig.log.set_config(LogConfig { defer_from_bytes: 1_000, ..rig.config.clone() });
    rig.append(batch(1, 1), 0);
    assert_eq!(rig.log.written_offset(), 1);
    rig.append(batch(100, 2), 0);
    rig.append(batch(1, 3), 0);
    assert_eq!((rig.log.written_offset(), rig.log.log_end_offset()), (1, 102));
    rig.log.flush(NOW).expect("flushed");
    rig.append(batch(1, 4), 0);
    assert_eq!(rig.log.written_offset(), 103);
}

#[test]
fn a_flush_that_a_truncation_overtakes_writes_nothing_any_more() {
    for kept in [0, 5, 6, 20] {
        let mut rig = deferring();
        rig.append_batches(3, 2);
        rig.log.flush(NOW).expect("flushed");
        rig.append_batches(7, 2);
        let ticket = rig.log.begin_flush().expect("something to flush");
        rig.log.truncate_to(kept).expect("cut");
        let end = rig.log.log_end_offset();
        rig.append(batch(1, 99), 1);
        let all = rig.all();
        ticket.sync().expect("synced");
        let flushed = rig.log.complete_flush(ticket).expect("a late flush is no error");
        assert!(flushed <= end, "cut at {kept}: {flushed} counts as flushed");
        assert_eq!(rig.all(), all, "cut at {kept}");
        rig.log.flush(NOW).expect("flushed");
        assert_eq!(rig.content(LOG).len() as u64, rig.log.size_in_bytes(), "cut at {kept}");
        rig.fs.crash();
        rig.open_again(false, 0);
        assert_eq!(rig.all(), all, "cut at {kept}");
    }
}

#[test]
fn a_full_disk_keeps_what_waits_until_there_is_room() {
    let mut rig = deferring();
    rig.append_batches(1, 2);
    rig.log.flush(NOW).expect("flushed");
    let used = rig.content(LOG).len() as u64;
    let total: u64 = rig.file_names("").iter().map(|name| rig.content(name).len() as u64).sum();
    rig.append_batches(10, 2);
    let all = rig.all();
    rig.fs.set_capacity(Some(total + 100));
    for _ in 0..2 {
        let error = rig.log.flush(NOW).expect_err("no room");
        assert!(error.is_out_of_space(), "{error}");
        assert!(rig.log.offline_error().is_none());
        assert_eq!(rig.content(LOG).len() as u64, used, "half a batch is left");
    }
    rig.log.defer_writes(false);
    let refused = rig.log.append_as_leader(batch(1, 50), LeaderEpoch(0), NOW);
    assert!(refused.is_err(), "it would have to be written behind what has no room");
    assert_eq!(rig.all(), all);

    rig.fs.set_capacity(None);
    assert_eq!(rig.log.flush(NOW).expect("flushed"), 22);
    rig.fs.crash();
    rig.open_again(false, 0);
    assert_eq!(rig.all(), all);
}

#[test]
fn a_failed_write_of_the_flush_takes_the_log_offline() {
    let mut rig = deferring();
    rig.append_batches(4, 2);
    rig.fs.inject(FaultPlan { target: FaultTarget::Write, skip: 2, fault: Fault::TornWrite(10) });
    assert!(rig.log.flush(NOW).is_err());
    assert!(rig.log.offline_error().is_some());
    assert!(rig.log.append_as_leader(batch(1, 50), LeaderEpoch(0), NOW).is_err());
    rig.fs.kill();
    rig.open_again(false, 0);
    assert!(rig.all().len() <= 4);
}

#[test]
fn without_memory_granted_appends_are_written_at_once() {
    let mut rig = deferring();
    let one = batch(2, 0).len();
    let budget = Arc::new(CacheBudget::new(2 * one + one / 2));
    rig.log.set_deferral_budget(Arc::clone(&budget));
    for _ in 0..2 {
        rig.append(batch(2, 0), 0);
    }
    assert_eq!((budget.used_bytes(), rig.log.written_offset()), (2 * one, 0));
    rig.append(batch(2, 0), 0);
    assert_eq!((budget.used_bytes(), rig.log.written_offset()), (0, 6));
    rig.append(batch(2, 0), 0);
    assert_eq!(budget.used_bytes(), one);
    rig.log.flush(NOW).expect("flushed");
    assert_eq!(budget.used_bytes(), 0);
    rig.append(batch(2, 0), 0);
    drop(rig);
    assert_eq!(budget.used_bytes(), 0);
}
