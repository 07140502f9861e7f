//! Recent batches come from memory, within a budget that all logs share.

use std::sync::Arc;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget};
use raftsman_log::{CacheBudget, LogConfig};
use raftsman_types::Offset;

use super::rig::{NOW, Rig, batch};

fn cached(tail_cache_bytes: usize) -> Rig {
    Rig::new(LogConfig { tail_cache_bytes, ..LogConfig::default() })
}

/// Whether reading from `from` works with every file gone.
fn is_in_memory(rig: &mut Rig, from: Offset) -> bool {
    rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip: 0, fault: Fault::PowerCut });
    // Any change now cuts the power, and with it all reads.
    assert!(raftsman_log::fs::FileSystem::sync_directory(&rig.fs, std::path::Path::new("/data")).is_err());
    rig.log.read(from, 100_000, Offset::MAX, true).is_ok()
}

#[test]
fn the_tail_is_served_without_a_file() {
    let mut rig = cached(10_000);
    rig.append_batches(5, 3);
    for from in 0..15 {
        let data = rig.log.read(from, 100_000, 12, true).expect("readable");
        if from < 12 {
            assert_eq!(data.next_offset, 12);
        }
    }
    assert!(is_in_memory(&mut rig, 7));
}

#[test]
fn the_cache_keeps_the_newest_within_its_limit() {
    let size = batch(3, 10).len();
    let mut rig = cached(size * 3 + 10);
    rig.append_batches(10, 3);
    let end = rig.log.log_end_offset();
    assert_eq!(rig.all().len(), 10);
    assert!(is_in_memory(&mut rig, end - 9));
    let mut rig = cached(size * 3 + 10);
    rig.append_batches(10, 3);
    assert!(!is_in_memory(&mut rig, end - 12));
}

#[test]
fn logs_share_one_budget_and_give_it_back() {
    let size = batch(3, 10).len();
    let budget = Arc::new(CacheBudget::new(size * 4 + 10));
    let mut rigs = [cached(1 << 20), cached(1 << 20)];
    for rig in &mut rigs {
        rig.log.set_cache_budget(Arc::clone(&budget));
        rig.append_batches(10, 3);
        assert!(budget.used_bytes() <= size * 4 + 10);
        assert_eq!(rig.all().len(), 10);
    }
    let [mut first, second] = rigs;
    assert!(budget.used_bytes() > 0);
    first.log.release_files();
    drop(second);
    assert_eq!(budget.used_bytes(), 0);
    first.append_batches(1, 3);
    assert_eq!(budget.used_bytes(), size);
    first.log.truncate_to(30).expect("truncated");
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_batch_nobody_else_holds_is_not_copied() {
    let mut rig = cached(1 << 20);
    let own = batch(3, 0);
    let at = own.as_ptr();
    let info = rig.append(own, 0);
    assert_eq!(info.bytes.as_ptr(), at);
    let shared = batch(3, 1);
    let keep = shared.clone();
    let info = rig.append(shared, 0);
    assert_ne!(info.bytes.as_ptr(), keep.as_ptr());
    assert_eq!(keep, batch(3, 1), "somebody else's bytes are not written to");
    let data = rig.log.read(0, 1 << 20, Offset::MAX, true).expect("readable");
    assert_eq!(data.chunks[0].as_ptr(), at, "and the tail cache hands out the same");
    rig.log.flush(NOW).expect("flushed");
}

#[test]
fn limits_hold_in_memory_as_on_disk() {
    for tail_cache_bytes in [0, 1 << 20] {
        let mut rig = cached(tail_cache_bytes);
        rig.append_batches(6, 2);
        let size = rig.all()[0].size_in_bytes();
        let read = |max, upto, one| rig.log.read(3, max, upto, one).expect("readable");
        assert_eq!(read(size * 2, Offset::MAX, false).next_offset, 6);
        assert_eq!(read(size * 2, 5, false).next_offset, 4);
        assert_eq!(read(1, Offset::MAX, false).next_offset, 3);
        assert_eq!(read(1, Offset::MAX, true).next_offset, 4);
        assert_eq!(read(0, Offset::MAX, true).next_offset, 4);
        assert_eq!(read(0, Offset::MAX, false).next_offset, 3);
        assert_eq!(read(1 << 20, 3, true).next_offset, 3);
        assert_eq!(read(size * 2 + size / 2, Offset::MAX, true).len(), size * 2);
        assert_eq!(rig.log.read(12, 100, Offset::MAX, true).expect("the end").next_offset, 12);
    }
}
