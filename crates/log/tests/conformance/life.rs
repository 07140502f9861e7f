//! A whole life against a plain list of what was appended: all codecs, idempotent and transactional producers, truncation,
//! rolls, recovery, DeleteRecords, retention and compaction in any order. The same lives each time: `RAFTSMAN_LIFE_SEED` takes others.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use raftsman_log::fs::Survival;
use raftsman_log::{CompactionLimits, LogConfig};
use raftsman_records::{BatchBuilder, Compression, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, WallTime};

use super::compaction::{DAY_MS, compacted, limits, pass, settle};
use super::rig::{NOW, Rig, marker, read_all};

const IDEMPOTENT: std::ops::Range<i64> = 0..3;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

#[derive(Debug, Clone)]
enum Step {
    /// By producer 0 to 2, transactionally by 3 and 4, by none from 5 on; a record per key.
    Append {
        producer: i64,
        codec: usize,
        keys: Vec<(u8, Option<u8>)>,
    },
    Repeat {
        producer: i64,
    },
    End {
        producer: i64,
        commit: bool,
    },
    Truncate {
        percent: u8,
    },
    Reset {
        ahead: i64,
    },
    AdvanceStart {
        percent: u8,
    },
    Retain {
        bytes: i64,
    },
    RetainByTime,
    Roll,
    Flush,
    Compact {
        keys: usize,
    },
    Later,
    Restart,
    Die {
        survival: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let key = (0u8..6, proptest::option::weighted(0.8, any::<u8>()));
    prop_oneof![
        12 => (0i64..8, 0..CODECS.len(), vec(key, 1..4))
            .prop_map(|(producer, codec, keys)| Step::Append { producer, codec, keys }),
        1 => (0i64..5).prop_map(|producer| Step::Repeat { producer }),
        3 => (3i64..5, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        1 => (0u8..=100).prop_map(|percent| Step::Truncate { percent }),
        1 => (-5i64..10).prop_map(|ahead| Step::Reset { ahead }),
        1 => (0u8..60).prop_map(|percent| Step::AdvanceStart { percent }),
        1 => (0i64..2_000).prop_map(|bytes| Step::Retain { bytes }),
        1 => Just(Step::RetainByTime),
        1 => Just(Step::Roll),
        2 => Just(Step::Flush),
        3 => (2usize..12).prop_map(|keys| Step::Compact { keys }),
        1 => Just(Step::Later),
        1 => Just(Step::Restart),
        2 => (0u8..50).prop_map(|survival| Step::Die { survival }),
    ]
}

type Value = Option<Vec<u8>>;

/// One append, in the order of the log.
#[derive(Debug, Clone)]
struct Appended {
    first: Offset,
    last: Offset,
    producer: i64,
    bytes: Bytes,
    /// Of a marker: whether it commits.
    ends: Option<bool>,
    records: Vec<(Vec<u8>, Value)>,
}

#[derive(Debug, Default)]
struct Model {
    appended: Vec<Appended>,
    start: Offset,
    end: Offset,
    flushed: Offset,
    checkpointed: Offset,
    /// Nothing below is sure to be there still unless it is the newest of its key.
    compacted: Offset,
    /// Nothing below is ever cut: it was committed when the log was compacted.
    committed_upto: Offset,
    now: i64,
}

impl Model {
    fn cut(&mut self, end: Offset) {
        self.appended.retain(|appended| appended.last < end);
        self.end = end;
        self.flushed = self.flushed.min(end);
    }

    fn last_of(&self, producer: i64) -> Option<&Appended> {
        self.appended.iter().rfind(|appended| appended.producer == producer && appended.ends.is_none())
    }

    /// The first data of a producer's open transaction.
    fn open_since(&self, producer: i64) -> Option<Offset> {
        let of_producer = self.appended.iter().filter(|appended| appended.producer == producer);
        of_producer.fold(None, |open, appended| match appended.ends {
            Some(_) => None,
            None => open.or(Some(appended.first)),
        })
    }

    fn last_stable_offset(&self) -> Offset {
        (3..5).filter_map(|producer| self.open_since(producer)).min().unwrap_or(self.end)
    }

    fn next_sequence(&self, producer: i64) -> i32 {
        let of_producer = self.appended.iter().filter(|appended| appended.producer == producer);
        of_producer.map(|appended| appended.records.len() as i32).sum()
    }

    fn is_aborted(&self, appended: &Appended) -> bool {
        let is_end = |other: &&Appended| other.producer == appended.producer && other.ends.is_some();
        let end = self.appended.iter().filter(is_end).find(|end| end.first > appended.last);
        !IDEMPOTENT.contains(&appended.producer)
            && appended.producer >= 0
            && end.is_some_and(|end| end.ends == Some(false))
    }

    fn committed(&self) -> impl Iterator<Item = (Offset, &(Vec<u8>, Value))> {
        let stable = self.last_stable_offset();
        let stays = move |appended: &&Appended| appended.last < stable && !self.is_aborted(appended);
        self.appended.iter().filter(stays).flat_map(|appended| (appended.first..).zip(&appended.records))
    }

    /// What a reader of committed records that keeps the newest value of each key ends with.
    fn table(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let readable = self.committed().filter(|(offset, _)| *offset >= self.start);
        fold(readable.map(|(_, (key, value))| (key.clone(), value.clone())))
    }
}

fn fold(records: impl Iterator<Item = (Vec<u8>, Value)>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    records.fold(BTreeMap::new(), |mut table, (key, value)| {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
        table
    })
}

/// Every record of the log as a reader of committed ones sees it: with its offset.
fn committed_in(rig: &Rig) -> Vec<(Offset, (Vec<u8>, Value))> {
    let log = &rig.log;
    let aborted = log.aborted_transactions(log.log_start_offset(), log.log_end_offset()).expect("readable");
    let is_aborted = |batch: &RecordBatch| {
        aborted.iter().any(|transaction| {
            let range = transaction.first_offset..=transaction.last_offset;
            transaction.producer_id == batch.header().producer_id && range.contains(&batch.base_offset())
        })
    };
    let batches = read_all(log).into_iter().filter(|batch| !batch.is_control());
    let readable = batches.filter(|batch| batch.last_offset() < log.last_stable_offset() && !is_aborted(batch));
    let records =
        readable.flat_map(|batch| batch.records().map(|record| record.expect("readable")).collect::<Vec<_>>());
    let kept = records.filter(|record| record.offset >= log.log_start_offset());
    let pair = |record: raftsman_records::Record| {
        (record.offset, (record.key.expect("a key").to_vec(), record.value.map(|value| value.to_vec())))
    };
    kept.map(pair).collect()
}

fn check(rig: &Rig, model: &Model) {
    let log = &rig.log;
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (model.start, model.end));
    assert_eq!(log.last_stable_offset(), model.last_stable_offset());
    let (found, known) = (committed_in(rig), model.committed().collect::<BTreeMap<_, _>>());
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets rise");
    for (offset, record) in &found {
        assert_eq!(known.get(offset), Some(&record), "offset {offset} holds what was appended there");
    }
    let there: BTreeMap<Offset, _> = found.iter().cloned().collect();
    for offset in known.keys().filter(|offset| **offset >= model.compacted.max(model.start)) {
        assert!(there.contains_key(offset), "offset {offset} is not compacted and not there");
    }
    assert_eq!(fold(found.into_iter().map(|(_, record)| record)), model.table());
}

fn apply(rig: &mut Rig, model: &mut Model, step: &Step) {
    match step {
        Step::Append { producer, codec, keys } => append(rig, model, *producer, CODECS[*codec], keys),
        Step::Repeat { producer } => repeat(rig, model, *producer),
        Step::End { producer, commit } if model.open_since(*producer).is_some() => {
            write(rig, model, marker(*producer, 0, *commit), *producer, Some(*commit), Vec::new());
        }
        Step::End { .. } => {}
        Step::Truncate { percent } => {
            // Markers among it, which say what compaction was free to drop.
            let floor = model.committed_upto.max(model.start);
            let offset = floor + (model.end - floor) * i64::from(*percent) / 100;
            let end = rig.log.truncate_to(offset).expect("truncated");
            assert!(end <= offset);
            model.cut(end);
            model.start = model.start.min(end);
        }
        Step::Reset { ahead } => {
            let start = (model.end + ahead).max(0);
            rig.log.reset_to(start).expect("reset");
            *model = Model { start, end: start, flushed: start, compacted: start, now: model.now, ..Model::default() };
        }
        Step::AdvanceStart { percent } => {
            let to = model.start + (model.last_stable_offset() - model.start) * i64::from(*percent) / 100;
            rig.log.advance_log_start_offset(to, NOW).expect("advanced");
            model.start = model.start.max(to);
        }
        Step::Retain { bytes } => retain(rig, model, |config| config.retention_bytes = *bytes),
        Step::RetainByTime => retain(rig, model, |config| config.retention_ms = 3 * DAY_MS),
        Step::Roll => drop(rig.log.roll_if_due(WallTime(i64::MAX / 2)).expect("rolled")),
        Step::Flush => {
            rig.log.flush(NOW).expect("flushed");
            model.flushed = model.end;
        }
        Step::Compact { keys } => {
            settle(&mut rig.log);
            (model.flushed, model.checkpointed, model.committed_upto) = (model.end, model.end, model.end);
            let tight = CompactionLimits { dedupe_buffer_bytes: 24 * keys, ..limits() };
            pass(&mut rig.log, tight, WallTime(model.now)).expect("compacted");
            model.compacted = model.compacted.max(rig.log.compacted_upto());
        }
        Step::Later => model.now += DAY_MS,
        Step::Restart => {
            let compacted = rig.log.compacted_upto();
            let recovery = rig.restart();
            assert_eq!((recovery.scanned_bytes, recovery.truncated_bytes), (0, 0));
            (model.flushed, model.checkpointed) = (model.end, model.end);
            rig.log.restore_compacted_upto(compacted);
            rig.log.advance_log_start_offset(model.start, NOW).expect("advanced");
        }
        Step::Die { survival } => die(rig, model, *survival),
    }
}

fn append(rig: &mut Rig, model: &mut Model, producer: i64, codec: Compression, keys: &[(u8, Option<u8>)]) {
    let mut builder = BatchBuilder::new(codec);
    if producer < 5 {
        let sequence = model.next_sequence(producer);
        builder = builder.producer(ProducerId(producer), ProducerEpoch(0), sequence);
        builder = builder.transactional(!IDEMPOTENT.contains(&producer));
    }
    let record = |(key, value): &(u8, Option<u8>)| (vec![*key], value.map(|value| vec![value; 20]));
    let records: Vec<(Vec<u8>, Value)> = keys.iter().map(record).collect();
    for (key, value) in &records {
        builder.append(model.now, Some(key), value.as_deref(), &[]);
    }
    let producer = if producer < 5 { producer } else { -1 };
    write(rig, model, builder.build(0, LeaderEpoch(-1)), producer, None, records);
}

fn write(
    rig: &mut Rig,
    model: &mut Model,
    batch: Bytes,
    producer: i64,
    ends: Option<bool>,
    records: Vec<(Vec<u8>, Value)>,
) {
    let info = rig.append(batch, 0);
    assert_eq!((info.first_offset, info.duplicate_of), (model.end, None));
    let (first, last, bytes) = (info.first_offset, info.last_offset, info.bytes);
    model.appended.push(Appended { first, last, producer, bytes, ends, records });
    model.end = last + 1;
}

/// A producer that repeats its last batch is told where it is, as long as that is in the log at all.
fn repeat(rig: &mut Rig, model: &mut Model, producer: i64) {
    let Some(last) = model.last_of(producer).filter(|last| last.first >= model.start).cloned() else { return };
    let again = rig.append(last.bytes, 0);
    assert_eq!(again.duplicate_of, Some((last.first, last.last)), "producer {producer}");
}

fn retain(rig: &mut Rig, model: &mut Model, change: impl Fn(&mut LogConfig)) {
    let mut config = rig.config.clone();
    change(&mut config);
    rig.log.set_config(config);
    rig.log.delete_old_segments(model.last_stable_offset(), WallTime(model.now)).expect("deleted");
    rig.log.set_config(rig.config.clone());
    model.start = rig.log.log_start_offset();
    model.compacted = model.compacted.max(model.start);
}

fn die(rig: &mut Rig, model: &mut Model, survival: u8) {
    let compacted = rig.log.compacted_upto();
    match survival {
        0..10 => rig.fs.kill(),
        10..20 => rig.fs.crash(),
        20..30 => rig.fs.crash_with(|_| Survival::All),
        30..40 => rig.fs.crash_with(|_| Survival::Zeros),
        _ => rig.fs.crash_with(|bytes| Survival::Prefix(bytes * usize::from(survival - 40) / 10)),
    }
    rig.open_again(false, model.checkpointed);
    let end = rig.log.log_end_offset();
    assert!((model.flushed..=model.end).contains(&end), "flushed up to {}, ends at {end}", model.flushed);
    assert!(survival >= 10 || end == model.end, "the kernel keeps what a process wrote");
    model.cut(end);
    model.flushed = end;
    rig.log.restore_compacted_upto(compacted);
    rig.log.advance_log_start_offset(model.start.min(end), NOW).expect("advanced");
    model.start = rig.log.log_start_offset();
}

fn seed() -> u64 {
    std::env::var("RAFTSMAN_LIFE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, rng_seed: RngSeed::Fixed(seed()), ..ProptestConfig::default() })]

    #[test]
    fn any_life_agrees_with_a_list(
        steps in vec(step(), 1..90),
        segment_bytes in 600u64..2_000,
        lag in prop_oneof![3 => Just(0), 1 => Just(DAY_MS)],
    ) {
        let mut rig = Rig::new(LogConfig {
            segment_bytes,
            retention_ms: -1,
            min_compaction_lag_ms: lag,
            ..compacted()
        });
        let mut model = Model { now: NOW.0, ..Model::default() };
        for step in steps {
            apply(&mut rig, &mut model, &step);
            check(&rig, &model);
        }
    }
}
