//! Compaction that is interrupted, and compaction at any moment of a log's life.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, Survival};
use raftsman_log::{CompactionLimits, LogConfig};
use raftsman_types::WallTime;

use super::compaction::{DAY_MS, compact, compacted, filled, keyed, limits, pass, settle, table};
use super::rig::{NOW, Rig};

/// Compacts `filled`, with a fault after so many changes; the second value says whether it went through.
fn interrupted(skip: u64, fault: Fault) -> (Rig, bool) {
    let mut rig = filled();
    rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault });
    let outcome = pass(&mut rig.log, limits(), NOW).and_then(|stats| {
        rig.log.flush(NOW).map_err(|error| error.to_string())?;
        Ok(stats)
    });
    (rig, outcome.is_ok())
}

#[test]
fn a_crash_at_every_step_leaves_the_old_or_the_new() {
    let wanted = table(&filled().log);
    let end = filled().log.log_end_offset();
    let mut steps = 0;
    for skip in 0.. {
        let mut through = false;
        for death in 0..4 {
            let (mut rig, ok) = interrupted(skip, Fault::PowerCut);
            through = ok;
            match death {
                0 => rig.fs.kill(),
                1 => rig.fs.crash(),
                2 => rig.fs.crash_with(|_| Survival::All),
                _ => rig.fs.crash_with(|_| Survival::Zeros),
            }
            // The recovery dies, too, and another one finds what both left.
            for again in 0..40 {
                rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip: again, fault: Fault::PowerCut });
                if rig.try_open(false, end).is_ok() {
                    break;
                }
                rig.fs.kill();
            }
            rig.fs.kill();
            rig.open_again(false, end);
            assert_eq!(rig.log.log_end_offset(), end, "after {skip} steps, death {death}");
            assert_eq!(table(&rig.log), wanted, "after {skip} steps, death {death}");
            for suffix in [".cleaned", ".swap", ".deleted"] {
                assert_eq!(rig.file_names(suffix), Vec::<String>::new());
            }
            // The note that caps a new log's recovery point may be back.
            settle(&mut rig.log);
            compact(&mut rig.log, NOW);
            assert_eq!(table(&rig.log), wanted);
        }
        steps = skip;
        if through {
            break;
        }
    }
    assert!(steps > 30, "{steps} steps are few");
}

#[test]
fn a_failing_disk_takes_nothing_with_it() {
    for skip in 0.. {
        let (mut rig, ok) = interrupted(skip, Fault::Error(std::io::ErrorKind::StorageFull));
        if ok {
            break;
        }
        rig.fs.kill();
        let wanted = table(&filled().log);
        rig.open_again(false, 60);
        assert_eq!(table(&rig.log), wanted, "after {skip} steps");
    }
}

#[derive(Debug, Clone)]
enum Write {
    Value(u8, u8),
    Tombstone(u8),
    Compact,
    Restart,
    Kill,
    Later,
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        12 => (0u8..12, any::<u8>()).prop_map(|(key, value)| Write::Value(key, value)),
        3 => (0u8..12).prop_map(Write::Tombstone),
        2 => Just(Write::Compact),
        1 => Just(Write::Restart),
        1 => Just(Write::Kill),
        1 => Just(Write::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 150, ..ProptestConfig::default() })]

    /// Whatever is compacted when, a reader of the whole log ends with the same table.
    #[test]
    fn a_reader_never_notices(writes in vec(write(), 1..150), keys in 4usize..40, segment_bytes in 300u64..1_500) {
        let mut rig = Rig::new(LogConfig { segment_bytes, ..compacted() });
        let mut model = BTreeMap::new();
        let mut now = NOW;
        let tight = CompactionLimits { dedupe_buffer_bytes: 24 * keys, ..limits() };
        for write in writes {
            match write {
                Write::Value(key, value) => {
                    let (key, value) = (key.to_string(), value.to_string());
                    rig.append(keyed(&[(&key, Some(&value))]), 0);
                    model.insert(key, value);
                }
                Write::Tombstone(key) => {
                    rig.append(keyed(&[(&key.to_string(), None)]), 0);
                    model.remove(&key.to_string());
                }
                Write::Compact => {
                    settle(&mut rig.log);
                    pass(&mut rig.log, tight, now).expect("compacted");
                }
                Write::Restart => {
                    let upto = rig.log.compacted_upto();
                    rig.restart();
                    rig.log.restore_compacted_upto(upto);
                }
                Write::Kill => {
                    let end = rig.log.recovery_point();
                    rig.fs.kill();
                    rig.open_again(false, end);
                }
                Write::Later => now = WallTime(now.0 + DAY_MS),
            }
            prop_assert_eq!(&table(&rig.log), &model);
        }
    }
}
