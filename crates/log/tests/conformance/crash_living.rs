//! The power goes, or the process is killed, at every single change of the disk while a log lives: with compaction, retention,
//! rolls, flushes and checkpoints in turn. The newest acknowledged record of each key is there, unless retention was to take it.

use std::collections::BTreeMap;

use raftsman_log::LogConfig;
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, Survival};
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::compaction::{compacted, keyed, limits, newest_of_each_key, pass};
use super::rig::{NOW, Rig};

/// What was promised.
#[derive(Debug, Default)]
struct Promised {
    /// The newest offset of each key that was appended.
    written: BTreeMap<String, Offset>,
    /// The same, as of the last flush.
    flushed: BTreeMap<String, Offset>,
    /// Every record ever handed over, by offset and key.
    ever: BTreeMap<(Offset, String), Vec<String>>,
    /// Up to where retention may have taken records away.
    may_be_gone_below: Offset,
    recovery_point: Offset,
    compacted_upto: Offset,
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 500, retention_ms: -1, ..compacted() }
}

/// A life; stops at the first error.
fn live(rig: &mut Rig, promised: &mut Promised) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    for round in 0..5i64 {
        for i in 0..9 {
            write(rig, promised, i % 4, round * 10 + i, round as i32)?;
            if i % 4 == 3 {
                flush(rig, promised)?;
            }
        }
        // Written and not flushed when the pass runs.
        write(rig, promised, 5, round * 10 + 9, round as i32)?;
        pass(&mut rig.log, limits(), WallTime(NOW.0 + round))?;
        promised.compacted_upto = rig.log.compacted_upto();
        rig.log.roll_if_due(WallTime(i64::MAX / 2)).map_err(|error| text(&error))?;
        if round >= 2 {
            retain(rig, promised)?;
        }
        for path in rig.log.take_due_deletions(WallTime(i64::MAX)) {
            match raftsman_log::fs::FileSystem::remove_file(&rig.fs, &path) {
                // Compaction and retention took away segments of the same base offset.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| text(&error))?,
            }
        }
    }
    rig.log.close(NOW).map_err(|error| text(&error))?;
    promised.flushed.clone_from(&promised.written);
    Ok(())
}

fn write(rig: &mut Rig, promised: &mut Promised, key: i64, value: i64, epoch: i32) -> Result<(), String> {
    let (key, value) = (format!("key {key}"), format!("value {value}"));
    let end = rig.log.log_end_offset();
    promised.ever.entry((end, key.clone())).or_default().push(value.clone());
    let batch = keyed(&[(&key, Some(&value))]);
    rig.log.append_as_leader(batch, LeaderEpoch(epoch), NOW).map_err(|error| error.to_string())?;
    promised.written.insert(key, end);
    Ok(())
}

fn flush(rig: &mut Rig, promised: &mut Promised) -> Result<(), String> {
    rig.log.flush(NOW).map_err(|error| error.to_string())?;
    promised.flushed.clone_from(&promised.written);
    // The directory's checkpoint is on disk before the log hears of it.
    promised.recovery_point = rig.log.recovery_point();
    rig.log.recovery_point_checkpointed(promised.recovery_point).map_err(|error| error.to_string())
}

/// `compact,delete`: the oldest segments go, newest of their key or not.
fn retain(rig: &mut Rig, promised: &mut Promised) -> Result<(), String> {
    let end = rig.log.log_end_offset();
    let keep = LogConfig { retention_bytes: 300, ..config() };
    rig.log.set_config(keep);
    // Retention has no upper bound but what is flushed here, as a high watermark would be.
    promised.may_be_gone_below = promised.may_be_gone_below.max(promised.recovery_point.min(end));
    let deleted = rig.log.delete_old_segments(promised.recovery_point, NOW);
    rig.log.set_config(config());
    deleted.map_err(|error| error.to_string())?;
    promised.may_be_gone_below = rig.log.log_start_offset();
    Ok(())
}

fn verify(rig: &mut Rig, promised: &Promised, was_killed: bool, what: &str) {
    rig.open_again(false, promised.recovery_point);
    rig.log.restore_compacted_upto(promised.compacted_upto);
    let found = newest_of_each_key(&rig.log);
    for (key, (offset, value)) in &found {
        let values = promised.ever.get(&(*offset, key.clone()));
        assert!(values.is_some_and(|values| values.contains(value)), "{what}: nobody wrote {key} at {offset}: {value}");
    }
    let must_be_there = if was_killed { &promised.written } else { &promised.flushed };
    for (key, offset) in must_be_there.iter().filter(|(_, offset)| **offset >= promised.may_be_gone_below) {
        let newest = found.get(key).map(|(offset, _)| *offset);
        assert!(newest >= Some(*offset), "{what}: of {key} offset {offset} was acknowledged, {newest:?} is there");
    }
    // It lives on: compacted once more, the table is the same.
    super::compaction::settle(&mut rig.log);
    pass(&mut rig.log, limits(), NOW).expect("compacted");
    assert_eq!(newest_of_each_key(&rig.log), found, "{what}: compacted after it");
    rig.append(keyed(&[("key 0", Some("after"))]), 9);
}

#[test]
fn power_cut_or_kill_at_every_change_of_a_living_log() {
    let mut rig = Rig::new(config());
    let before = rig.fs.changes();
    let mut promised = Promised::default();
    live(&mut rig, &mut promised).expect("nothing fails");
    let changes = rig.fs.changes() - before;
    assert!(changes > 300, "it should touch the disk a lot, not {changes} times");
    assert!(promised.may_be_gone_below > 0 && promised.compacted_upto > 0, "{promised:?}");
    let deaths = [None, Some(Survival::Lost), Some(Survival::All), Some(Survival::Zeros), Some(Survival::Prefix(40))];
    for skip in 0..=changes {
        for death in deaths {
            let mut rig = Rig::new(config());
            rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
            let mut promised = Promised::default();
            let outcome = live(&mut rig, &mut promised);
            assert_eq!(outcome.is_ok(), skip >= changes, "{outcome:?}");
            match death {
                None => rig.fs.kill(),
                Some(survival) => rig.fs.crash_with(|_| survival),
            }
            verify(&mut rig, &promised, death.is_none(), &format!("after {skip} changes, {death:?}"));
        }
    }
}
