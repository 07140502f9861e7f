//! The power goes at every single change of the disk, in turn. What was flushed must be there, and
//! nothing may be there that was never written.

use std::collections::BTreeSet;

use bytes::Bytes;
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, Survival};
use raftsman_log::{LogConfig, LogError};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{NOW, Rig, batch, small_segments};

/// What the script knows of the disk.
#[derive(Debug, Default)]
struct Ledger {
    /// Batches that were flushed and not cut since.
    durable: Vec<(Offset, Bytes)>,
    /// Batches in the log.
    written: Vec<(Offset, Bytes)>,
    /// All that was ever handed to the log.
    ever: BTreeSet<Vec<u8>>,
    recovery_point: Offset,
}

impl Ledger {
    fn cut(&mut self, offset: Offset) {
        self.durable.retain(|(base, _)| *base < offset);
        self.written.retain(|(base, _)| *base < offset);
    }

    fn flushed(&mut self) {
        self.durable.clone_from(&self.written);
    }
}

/// Every operation that touches the disk; stops at the first error.
fn script(rig: &mut Rig, ledger: &mut Ledger) -> Result<(), String> {
    let text = |error: LogError| error.to_string();
    for round in 0..4i64 {
        for i in 0..6 {
            append(rig, ledger, round * 10 + i, round as i32)?;
            if i % 3 == 2 {
                rig.log.flush(NOW).map_err(text)?;
                ledger.flushed();
                // The directory's checkpoint is on disk before the log hears of it.
                ledger.recovery_point = rig.log.recovery_point();
                rig.log.recovery_point_checkpointed(ledger.recovery_point).map_err(text)?;
            }
        }
        rig.log.assign_epoch_start(LeaderEpoch(round as i32 + 1), rig.log.log_end_offset()).map_err(text)?;
        append(rig, ledger, round * 10 + 7, round as i32 + 1)?;
        let target = rig.log.log_end_offset() - 5;
        ledger.cut(target - 1);
        rig.log.truncate_to(target).map_err(text)?;
        append(rig, ledger, round * 10 + 8, round as i32 + 1)?;
        rig.log.roll_if_due(raftsman_types::WallTime(i64::MAX / 2)).map_err(text)?;
        append(rig, ledger, round * 10 + 9, round as i32 + 1)?;
        rig.log.release_files();
    }
    let start = rig.log.log_end_offset() / 2;
    // Whatever lies wholly below the new start may be gone from here on.
    ledger.durable.retain(|(base, _)| *base >= start);
    rig.log.advance_log_start_offset(start, NOW).map_err(text)?;
    rig.log.close(NOW).map_err(text)?;
    ledger.written.retain(|(base, _)| *base >= start);
    ledger.flushed();
    Ok(())
}

fn append(rig: &mut Rig, ledger: &mut Ledger, seed: i64, epoch: i32) -> Result<(), String> {
    let end = rig.log.log_end_offset();
    let batch = batch(2, seed);
    let mut stored = bytes::BytesMut::from(&batch[..]);
    raftsman_records::patch_base_offset_and_epoch(&mut stored, end, LeaderEpoch(epoch));
    ledger.ever.insert(stored.to_vec());
    let info = rig.log.append_as_leader(batch, LeaderEpoch(epoch), NOW).map_err(|error| error.to_string())?;
    ledger.written.push((info.first_offset, info.bytes));
    Ok(())
}

fn verify(rig: &mut Rig, ledger: &Ledger, what: &str) {
    rig.open_again(false, ledger.recovery_point);
    let found = rig.all();
    for batch in &found {
        assert!(ledger.ever.contains(&batch.bytes()[..]), "{what}: a batch nobody wrote");
    }
    for (base, bytes) in &ledger.durable {
        let there = found.iter().find(|batch| batch.base_offset() == *base);
        assert_eq!(there.map(|batch| batch.bytes()), Some(bytes), "{what}: flushed batch {base} is gone");
    }
    // The log takes more, and keeps it.
    let epoch = rig.log.latest_epoch().map_or(0, |epoch| epoch.0);
    rig.append(batch(1, 999), epoch);
    let count = rig.all().len();
    rig.log.flush(NOW).expect("flushed");
    rig.fs.crash();
    rig.open_again(false, rig.log.recovery_point());
    assert_eq!(rig.all().len(), count, "{what}: the log after the crash");
}

fn total_changes(make: fn(LogConfig) -> Rig) -> (u64, u64) {
    let mut rig = make(small_segments());
    let before = rig.fs.changes();
    let mut ledger = Ledger::default();
    script(&mut rig, &mut ledger).expect("nothing fails");
    (before, rig.fs.changes() - before)
}

#[test]
fn power_cut_at_every_change() {
    let (_, changes) = total_changes(Rig::new);
    assert!(changes > 150, "the script should touch the disk a lot, not {changes} times");
    let survivals = [Survival::Lost, Survival::All, Survival::Zeros, Survival::Prefix(1), Survival::Prefix(100)];
    cut_at_every_change(Rig::new, changes, &survivals);
}

#[test]
fn power_cut_at_every_change_where_writes_wait_for_the_flush() {
    let (_, changes) = total_changes(Rig::deferring);
    assert!(changes > 150, "the script should touch the disk a lot, not {changes} times");
    cut_at_every_change(Rig::deferring, changes, &[Survival::Lost, Survival::All, Survival::Prefix(100)]);
}

fn cut_at_every_change(make: fn(LogConfig) -> Rig, changes: u64, survivals: &[Survival]) {
    for skip in 0..=changes {
        for &survival in survivals {
            let mut rig = make(small_segments());
            rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
            let mut ledger = Ledger::default();
            let outcome = script(&mut rig, &mut ledger);
            assert_eq!(outcome.is_ok(), skip >= changes, "{outcome:?}");
            rig.fs.crash_with(|_| survival);
            verify(&mut rig, &ledger, &format!("cut after {skip} changes, {survival:?}"));
        }
    }
}

#[test]
fn a_write_torn_at_every_length_never_stays_behind_a_later_append() {
    for kept in 0..120 {
        let mut rig = Rig::new(small_segments());
        rig.append_batches(2, 2);
        rig.fs.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault: Fault::TornWrite(kept) });
        let error = rig.log.append_as_leader(batch(2, 5), LeaderEpoch(0), NOW).expect_err("torn");
        assert_eq!(error.error_code(), raftsman_types::ErrorCode::KafkaStorageError);
        // The log is offline for good; opened anew it ends where it did and goes on.
        assert!(rig.log.append_as_leader(batch(2, 6), LeaderEpoch(0), NOW).is_err());
        rig.fs.kill();
        rig.open_again(false, 0);
        assert_eq!(rig.log.log_end_offset(), 4);
        rig.append_batches(1, 2);
        assert_eq!(rig.all().len(), 3);
    }
}

#[test]
fn power_cut_while_a_log_is_made() {
    let (before, _) = total_changes(Rig::new);
    for skip in 0..before {
        let fs = raftsman_log::fs::MemoryFs::new();
        raftsman_log::fs::FileSystem::create_directories(&fs, std::path::Path::new("/data")).expect("made");
        raftsman_log::fs::FileSystem::sync_directory(&fs, std::path::Path::new("/")).expect("synced");
        fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
        let made = super::rig::open(&fs, &small_segments(), true, 0);
        for kill in [true, false] {
            let fs = fs.clone();
            if kill {
                fs.kill()
            } else {
                fs.crash()
            }
            // A recovery point of an earlier partition of the same name must not matter.
            let (mut log, _) = super::rig::open(&fs, &small_segments(), false, 500).expect("opened");
            assert_eq!(log.log_end_offset(), 0, "after {skip} changes, {made:?}");
            log.append_as_leader(batch(1, 1), LeaderEpoch(0), NOW).expect("appended");
        }
    }
}

#[test]
fn what_a_killed_process_left_is_flushed_once_its_volume_was_synced() {
    for skip in 0.. {
        let mut rig = Rig::new(small_segments());
        for seed in 0..12 {
            rig.append(batch(2, seed), seed as i32 / 5);
        }
        let all = rig.all();
        rig.fs.kill();
        let recovery = rig.open_synced(0);
        assert!(recovery.rebuilt_indexes > 1, "{recovery:?}");
        assert_eq!(rig.log.flushed_offset(), 24);
        assert!(!rig.log.is_flushed(), "the indexes that were made anew are still to be synced");
        // Whenever the power fails from here on: with what the recovery made, half of it, or all of it on the disk.
        rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
        let flushed = rig.log.flush(NOW);
        assert!(flushed.is_err() || rig.log.is_flushed());
        rig.fs.crash();
        rig.open_again(false, 24);
        assert_eq!(rig.all(), all, "after {skip} changes");
        if flushed.is_ok() {
            break;
        }
    }
}

#[test]
fn power_cut_while_recovering() {
    let config = small_segments();
    let prepare = || {
        let mut rig = Rig::new(config.clone());
        let mut ledger = Ledger::default();
        for seed in 0..12 {
            append(&mut rig, &mut ledger, seed, seed as i32 / 5).expect("appended");
            if seed == 7 {
                rig.log.flush(NOW).expect("flushed");
                ledger.flushed();
                ledger.recovery_point = rig.log.recovery_point();
                rig.log.recovery_point_checkpointed(ledger.recovery_point).expect("noted");
            }
        }
        rig.fs.crash_with(|_| Survival::Prefix(30));
        (rig, ledger)
    };
    for skip in 0.. {
        let (mut rig, ledger) = prepare();
        rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
        let opened = rig.try_open(false, ledger.recovery_point);
        rig.fs.crash_with(|_| Survival::Prefix(10));
        verify(&mut rig, &ledger, &format!("cut after {skip} changes of a recovery"));
        if opened.is_ok() {
            assert!(skip > 3, "a recovery that has nothing to do proves nothing");
            break;
        }
    }
}
