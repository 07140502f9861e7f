//! No room at any step of a change, or no file, or a rename that fails: it is put off and tried again, or the log is offline until
//! it is opened anew. Never is a half change taken for the truth.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, MemoryFs};
use raftsman_log::{AbortedTransaction, LogConfig, LogError};
use raftsman_records::{BatchBuilder, Compression, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, WallTime};

use super::compaction::{DAY_MS, compacted, keyed, limits, pass, settle, table};
use super::producers::transactional_batch;
use super::rig::{NOW, Rig, batch, marker, producer_batch, small_segments};

/// All that a log shows.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    start: Offset,
    end: Offset,
    epochs: Vec<Option<(LeaderEpoch, Offset)>>,
    batches: Vec<(Offset, u32)>,
    aborted: Vec<AbortedTransaction>,
    producers: usize,
    table: BTreeMap<String, String>,
}

fn content(batch: &RecordBatch) -> (Offset, u32) {
    (batch.base_offset(), batch.header().crc)
}

fn seen(rig: &Rig, keyed: bool) -> Seen {
    let (start, end) = (rig.log.log_start_offset(), rig.log.log_end_offset());
    let batches = rig.all();
    Seen {
        start,
        end,
        epochs: (0..5).map(|epoch| rig.log.known_end_offset_for(LeaderEpoch(epoch))).collect(),
        // What compaction leaves is judged by its table.
        batches: if keyed { Vec::new() } else { batches.iter().map(content).collect() },
        aborted: if keyed { Vec::new() } else { rig.log.aborted_transactions(start, end).expect("readable") },
        producers: rig.log.producer_count(),
        table: if keyed { table(&rig.log) } else { BTreeMap::new() },
    }
}

/// Several segments of three epochs, with an aborted transaction and an idempotent producer; all flushed but what comes last.
fn filled(mut rig: Rig) -> Rig {
    rig.append_batches(4, 2);
    rig.append(transactional_batch(3, 0), 0);
    rig.append(marker(3, 0, false), 1);
    for sequence in 0..6 {
        rig.append(producer_batch(7, 0, sequence, 1), 1);
        rig.append(batch(2, i64::from(sequence)), 1);
    }
    settle(&mut rig.log);
    for seed in 0..4 {
        rig.append(batch(2, seed), 2);
    }
    rig
}

fn of_keys() -> Rig {
    let mut rig = Rig::new(compacted());
    for round in 0..6 {
        let aborts = round % 2 == 0;
        let builder = BatchBuilder::new(Compression::None).producer(ProducerId(3), ProducerEpoch(0), round);
        let mut builder = builder.transactional(true);
        builder.append(NOW.0, Some(b"key 0"), Some(b"from a transaction"), &[]);
        rig.append(builder.build(0, LeaderEpoch(0)), 0);
        rig.append(marker(3, 0, !aborts), 0);
        for key in 0..3 {
            rig.append(keyed(&[(&format!("key {key}"), Some(&format!("value of round {round}")))]), 0);
        }
    }
    settle(&mut rig.log);
    rig
}

/// Where the logs that are filled end.
const END: Offset = 36;

struct Change {
    name: &'static str,
    make: fn() -> Rig,
    act: fn(&mut Rig) -> Result<(), String>,
    is_keyed: bool,
}

impl Change {
    /// Whether it removes whole segments, one file after the other, or the end of one.
    fn is_cut(&self) -> bool {
        ["cut", "begin anew"].iter().any(|what| self.name.starts_with(what))
    }
}

fn said<T>(outcome: Result<T, LogError>) -> Result<(), String> {
    outcome.map(drop).map_err(|error| error.to_string())
}

const LATER: WallTime = WallTime(NOW.0 + 2 * DAY_MS);

fn changes() -> Vec<Change> {
    let plain: fn() -> Rig = || filled(Rig::new(small_segments()));
    // The newest ones wait for a flush to be written.
    let deferring: fn() -> Rig = || filled(Rig::deferring(LogConfig { segment_bytes: 4_000, ..small_segments() }));
    let aging: fn() -> Rig =
        || filled(Rig::new(LogConfig { retention_ms: DAY_MS, segment_ms: DAY_MS, ..small_segments() }));
    let change = |name, make, act| Change { name, make, act, is_keyed: false };
    vec![
        change("cut within the newest segment", plain, |rig| said(rig.log.truncate_to(END - 2))),
        change("cut far back", plain, |rig| said(rig.log.truncate_to(5))),
        change("cut what is not written", deferring, |rig| said(rig.log.truncate_to(END - 3))),
        change("cut what is flushed before it", deferring, |rig| said(rig.log.truncate_to(20))),
        change("cut all", plain, |rig| said(rig.log.truncate_to(0))),
        change("begin anew", plain, |rig| said(rig.log.reset_to(50))),
        change(
            "begin anew before the first flush",
            || {
                let mut rig = Rig::new(small_segments());
                rig.append_batches(12, 2);
                rig
            },
            |rig| said(rig.log.reset_to(50)),
        ),
        change("begin anew with producers", plain, |rig| {
            let mut leader = Rig::new(LogConfig::default());
            leader.append(producer_batch(9, 0, 0, 50), 0);
            said(rig.log.reset_to(50).and_then(|()| rig.log.adopt_producers(&leader.log.producers_below(50))))
        }),
        change("advance the start", plain, |rig| said(rig.log.advance_log_start_offset(19, NOW))),
        change("retention", aging, |rig| {
            let rolled = said(rig.log.roll_if_due(LATER));
            said(rig.log.delete_old_segments(END - 2, LATER)).and(rolled)
        }),
        change(
            "lift the note",
            || {
                let mut rig = filled(Rig::new(small_segments()));
                rig.log.truncate_to(12).expect("cut");
                rig.append(batch(2, 0), 2);
                rig.log.flush(NOW).expect("flushed");
                rig
            },
            |rig| said(rig.log.recovery_point_checkpointed(rig.log.recovery_point())),
        ),
        Change {
            name: "compact",
            make: of_keys,
            act: |rig| pass(&mut rig.log, limits(), NOW).map(drop),
            is_keyed: true,
        },
    ]
}

/// What strikes a change.
#[derive(Debug, Clone, Copy)]
enum Strike {
    Fault(FaultTarget, Fault),
    /// So many files can be opened, and no more.
    NoFile,
}

impl Strike {
    fn arm(self, fs: &MemoryFs, skip: u64) {
        match self {
            Strike::Fault(target, fault) => fs.inject(FaultPlan { target, skip, fault }),
            Strike::NoFile => fs.set_handles_left(skip),
        }
    }

    /// Whether it has struck.
    fn disarm(self, fs: &MemoryFs) -> bool {
        fs.set_handles_left(u64::MAX);
        fs.disarm() || fs.handles_refused() > 0
    }
}

/// What became of one change that was struck at each of its steps.
#[derive(Debug, Default)]
struct Tally {
    put_off: usize,
    offline: usize,
    through: usize,
}

fn sweep(change: &Change, strike: Strike) -> Tally {
    let Change { name, make, act, is_keyed } = change;
    let mut tally = Tally::default();
    let mut done = make();
    let before = seen(&done, *is_keyed);
    act(&mut done).expect("there is room");
    let after = seen(&done, *is_keyed);
    for skip in 0.. {
        for again in [true, false] {
            let what = format!("{name}: {strike:?} after {skip}, tried again: {again}");
            let mut rig = make();
            let recovery_point = rig.log.recovery_point();
            let changes = rig.fs.changes();
            strike.arm(&rig.fs, skip);
            let outcome = act(&mut rig);
            let struck = strike.disarm(&rig.fs);
            if !struck {
                assert!(outcome.is_ok(), "{what}: {outcome:?}");
                assert!(rig.fs.changes() > changes, "{what}: nothing was changed");
                return tally;
            }
            let was_offline = rig.log.offline_error().is_some();
            match rig.log.offline_error().cloned() {
                Some(error) => {
                    tally.offline += 1;
                    assert!(!error.is_passing(), "{what}: {error}");
                    assert!(outcome.is_err(), "{what}");
                    rig.fs.kill();
                    rig.open_again(false, recovery_point);
                }
                None => {
                    tally.put_off += usize::from(outcome.is_err());
                    tally.through += usize::from(outcome.is_ok());
                    let now = seen(&rig, *is_keyed);
                    assert!(now == before || now == after, "{what}: {now:?}");
                    assert!(now == after || outcome.is_err(), "{what}: it only seems done");
                    assert!(
                        now == before || outcome.is_ok() || !change.is_cut(),
                        "{what}: it is done, and only seems not to be"
                    );
                }
            }
            if again {
                act(&mut rig).unwrap_or_else(|error| panic!("{what}: {error}"));
                let now = seen(&rig, *is_keyed);
                if was_offline && now != after {
                    // What waited for a flush was nowhere but in memory.
                    assert!(rig.defers && now.end >= recovery_point.min(after.end), "{what}: {now:?}");
                    assert!(after.batches.starts_with(&now.batches), "{what}: {now:?}");
                } else {
                    assert_eq!(now, after, "{what}");
                }
            }
            goes_on(&mut rig, *is_keyed, &what);
        }
    }
    tally
}

/// Writes and flushes; what is there then outlives the process and the power.
fn goes_on(rig: &mut Rig, is_keyed: bool, what: &str) {
    let key = keyed(&[("key of later", Some("value"))]);
    rig.append(key, 3);
    settle(&mut rig.log);
    assert_eq!(
        rig.file_names("recovery-point-cap"),
        [""; 0],
        "{what}: the note on the checkpoint files is never lifted"
    );
    let last = seen(rig, is_keyed);
    let recovery_point = rig.log.recovery_point();
    for power_cut in [false, true] {
        if power_cut {
            rig.fs.crash();
        } else {
            rig.fs.kill();
        }
        rig.open_again(false, recovery_point);
        rig.log.advance_log_start_offset(last.start, NOW).expect("as its checkpoint says");
        let found = seen(rig, is_keyed);
        // Producers that lie below the start alone may be forgotten.
        assert_eq!(Seen { producers: last.producers, ..found.clone() }, last, "{what}, power cut: {power_cut}");
        assert!(found.producers <= last.producers, "{what}");
    }
    rig.restart();
    assert_eq!(seen(rig, is_keyed).batches, last.batches, "{what}");
    assert_eq!(rig.file_names(".tmp"), [""; 0], "{what}");
}

#[test]
fn a_change_that_finds_no_room_is_put_off_or_ends_the_log() {
    for change in changes() {
        let full = ErrorKind::StorageFull;
        // Where it strikes a sync nobody knows what the disk holds.
        let any = sweep(&change, Strike::Fault(FaultTarget::AnyChange, Fault::Error(full)));
        assert!(any.put_off + any.offline + any.through > 0, "{}: {any:?}", change.name);
        let once = sweep(&change, Strike::Fault(FaultTarget::Write, Fault::Error(full)));
        let lasting = sweep(&change, Strike::Fault(FaultTarget::Write, Fault::ErrorFromHere(full)));
        for tally in [&once, &lasting] {
            assert!(tally.put_off + tally.through > 0, "{}: {tally:?}", change.name);
        }
        // Whole segments are removed, one file after the other.
        let goes_far_back = ["cut far back", "cut all"].contains(&change.name) || change.name.starts_with("begin anew");
        assert_eq!(once.offline > 0, goes_far_back, "{}: {once:?}", change.name);
    }
}

/// Files can still be removed then, that of a compacted segment among them, which may be the only one that has its records.
#[test]
fn a_change_whose_renames_fail_is_put_off_or_ends_the_log() {
    for change in changes() {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            for fault in [Fault::Error(kind), Fault::ErrorFromHere(kind)] {
                let tally = sweep(&change, Strike::Fault(FaultTarget::Rename, fault));
                let ends = kind == ErrorKind::Other || fault == Fault::ErrorFromHere(kind);
                if change.name == "compact" {
                    assert_eq!(tally.offline > 0, ends, "{fault:?}: {tally:?}");
                }
            }
        }
    }
}

#[test]
fn a_change_that_gets_no_file_is_put_off_or_ends_the_log() {
    for change in changes() {
        let tally = sweep(&change, Strike::NoFile);
        // Which is what `secure_files` is for, where files are bounded.
        assert_eq!(tally.offline > 0, change.is_cut(), "{}: {tally:?}", change.name);
    }
}
