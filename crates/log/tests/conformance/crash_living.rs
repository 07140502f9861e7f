//! The power goes, or the process is killed, at every single change of the disk while a log lives: with compaction, retention,
//! DeleteRecords, rolls, flushes and the directory's checkpoint files in turn. The newest acknowledged record of each key is
//! there, unless retention was to take it, and what the checkpoint files were to remember is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsman_log::LogConfig;
use raftsman_log::dir::{CleanShutdown, LogDirectory};
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, Survival};
use raftsman_types::{BrokerEpoch, LeaderEpoch, Offset, TopicPartition, WallTime};

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
    /// What the checkpoint files said last; anything less would be a loss.
    checkpointed: Checkpointed,
    was_closed: bool,
}

/// What the directory's checkpoint files say of the one log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Checkpointed {
    recovery_point: Offset,
    log_start: Offset,
    compacted_upto: Offset,
}

const BROKER_EPOCH: BrokerEpoch = BrokerEpoch(5);

fn config() -> LogConfig {
    LogConfig { segment_bytes: 500, retention_ms: -1, ..compacted() }
}

/// A life; stops at the first error.
fn live(rig: &mut Rig, directory: &LogDirectory, promised: &mut Promised) -> Result<(), String> {
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
        checkpoint(rig, directory, promised)?;
        rig.log.roll_if_due(WallTime(i64::MAX / 2)).map_err(|error| text(&error))?;
        if round >= 2 {
            retain(rig, promised)?;
        }
        if round == 3 {
            delete_records(rig, promised)?;
        }
        for path in rig.log.take_due_deletions(WallTime(i64::MAX)) {
            match rig.fs.remove_file(&path) {
                // Compaction and retention took away segments of the same base offset.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| text(&error))?,
            }
        }
    }
    rig.log.close(NOW).map_err(|error| text(&error))?;
    promised.flushed.clone_from(&promised.written);
    checkpoint(rig, directory, promised)?;
    directory.mark_clean_shutdown(CleanShutdown { broker_epoch: BROKER_EPOCH }).map_err(|error| text(&error))?;
    promised.was_closed = true;
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
    Ok(())
}

/// As a broker does it: each file that says something else than before, and then the log hears of it.
fn checkpoint(rig: &mut Rig, directory: &LogDirectory, promised: &mut Promised) -> Result<(), String> {
    let log = &rig.log;
    let now = Checkpointed {
        recovery_point: log.recovery_point(),
        log_start: log.log_start_offset(),
        compacted_upto: log.compacted_upto(),
    };
    let only = |offset: Offset| BTreeMap::from([(partition(), offset)]);
    let last = &mut promised.checkpointed;
    if now.recovery_point != last.recovery_point {
        directory.write_recovery_points(&only(now.recovery_point)).map_err(|error| error.to_string())?;
        last.recovery_point = now.recovery_point;
    }
    if now.log_start != last.log_start {
        directory.write_log_start_offsets(&only(now.log_start)).map_err(|error| error.to_string())?;
        last.log_start = now.log_start;
    }
    if now.compacted_upto != last.compacted_upto {
        directory.write_compacted_offsets(&only(now.compacted_upto)).map_err(|error| error.to_string())?;
        last.compacted_upto = now.compacted_upto;
    }
    rig.log.recovery_point_checkpointed(now.recovery_point).map_err(|error| error.to_string())
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

/// DeleteRecords: the log starts in the midst of a segment, which only the checkpoint file knows.
fn delete_records(rig: &mut Rig, promised: &mut Promised) -> Result<(), String> {
    let to = rig.log.log_start_offset() + 1;
    promised.may_be_gone_below = promised.may_be_gone_below.max(to);
    rig.log.advance_log_start_offset(to, NOW).map_err(|error| error.to_string())
}

/// `compact,delete`: the oldest segments go, newest of their key or not.
fn retain(rig: &mut Rig, promised: &mut Promised) -> Result<(), String> {
    let keep = LogConfig { retention_bytes: 300, ..config() };
    rig.log.set_config(keep);
    // Retention has no upper bound but what is flushed here, as a high watermark would be.
    let flushed = rig.log.flushed_offset();
    promised.may_be_gone_below = promised.may_be_gone_below.max(flushed);
    let deleted = rig.log.delete_old_segments(flushed, NOW);
    rig.log.set_config(config());
    deleted.map_err(|error| error.to_string())?;
    promised.may_be_gone_below = rig.log.log_start_offset();
    Ok(())
}

fn directory(rig: &Rig) -> LogDirectory {
    LogDirectory::open(Arc::new(rig.fs.clone()), "/data").expect("the directory can be opened")
}

/// Opens the log by what the directory says, as a broker does.
fn open_again(rig: &mut Rig, promised: &Promised, what: &str) {
    let directory = directory(rig);
    let of = |read: Result<BTreeMap<TopicPartition, Offset>, _>| {
        read.unwrap_or_else(|error| panic!("{what}: {error}")).get(&partition()).copied().unwrap_or(0)
    };
    let clean = directory.take_clean_shutdown().expect("it can be read");
    let found = Checkpointed {
        recovery_point: of(directory.read_recovery_points()),
        log_start: of(directory.read_log_start_offsets()),
        compacted_upto: of(directory.read_compacted_offsets()),
    };
    let last = promised.checkpointed;
    assert!(found.recovery_point >= last.recovery_point, "{what}: {found:?} was {last:?}");
    assert!(found.log_start >= last.log_start, "{what}: {found:?} was {last:?}");
    assert!(found.compacted_upto >= last.compacted_upto, "{what}: {found:?} was {last:?}");
    assert!(clean.is_some() || !promised.was_closed, "{what}: it was stopped cleanly");
    match clean {
        Some(_) => rig.open_again(true, found.recovery_point),
        None => rig.open_synced(found.recovery_point),
    };
    rig.log.restore_compacted_upto(found.compacted_upto);
    rig.log.restore_log_start_offset(found.log_start, NOW).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(rig.log.log_start_offset() >= last.log_start, "{what}: deleted records are back");
}

fn verify(rig: &mut Rig, promised: &Promised, was_killed: bool, what: &str) {
    open_again(rig, promised, what);
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
    let directory_then = directory(&rig);
    let before = rig.fs.changes();
    let mut promised = Promised::default();
    live(&mut rig, &directory_then, &mut promised).expect("nothing fails");
    let changes = rig.fs.changes() - before;
    assert!(changes > 300, "it should touch the disk a lot, not {changes} times");
    let last = promised.checkpointed;
    assert!(promised.may_be_gone_below > 0 && last.compacted_upto > 0 && last.log_start > 0, "{promised:?}");
    let deaths = [None, Some(Survival::Lost), Some(Survival::All), Some(Survival::Zeros), Some(Survival::Prefix(40))];
    for skip in 0..=changes {
        for death in deaths {
            let mut rig = Rig::new(config());
            let directory = directory(&rig);
            rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
            let mut promised = Promised::default();
            let outcome = live(&mut rig, &directory, &mut promised);
            assert_eq!(outcome.is_ok(), skip >= changes, "{outcome:?}");
            match death {
                None => rig.fs.kill(),
                Some(survival) => rig.fs.crash_with(|_| survival),
            }
            verify(&mut rig, &promised, death.is_none(), &format!("after {skip} changes, {death:?}"));
        }
    }
}
