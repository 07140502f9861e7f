//! Compaction from outside: what a reader sees before and after, and what a crash leaves.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use raftsman_log::{CompactionError, CompactionLimits, CompactionStats, Log, LogConfig, Pace, Stopped};
use raftsman_records::{BatchBuilder, Compression, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, WallTime};

use super::rig::{NOW, Rig, marker, read_all};

pub const DAY_MS: i64 = 86_400_000;

pub fn compacted() -> LogConfig {
    LogConfig { compact: true, min_cleanable_dirty_ratio: 0.0, ..super::rig::small_segments() }
}

pub fn limits() -> CompactionLimits {
    CompactionLimits { dedupe_buffer_bytes: 1 << 20, load_factor: 0.9, io_buffer_bytes: 400, hash_key: [5; 16] }
}

struct Free;

impl Pace for Free {
    fn moved(&self, _bytes: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// Everything flushed, and the directory's checkpoint says so: what compaction waits for.
pub fn settle(log: &mut Log) {
    log.flush(NOW).expect("flushed");
    let recovery_point = log.recovery_point();
    log.recovery_point_checkpointed(recovery_point).expect("noted");
}

/// One pass, as a cleaner thread does it.
pub fn pass(log: &mut Log, limits: CompactionLimits, now: WallTime) -> Result<Option<CompactionStats>, String> {
    let high_watermark = log.log_end_offset();
    let begun = log.begin_compaction(high_watermark, limits, now).map_err(|error| error.to_string())?;
    let Some(mut compaction) = begun else { return Ok(None) };
    compaction.read_keys(&Free).map_err(|error| error.to_string())?;
    while let Some(group) = compaction.next_group(&Free).map_err(|error| error.to_string())? {
        if !log.announce_swap(&group).map_err(|error| error.to_string())? {
            return Err("refused".to_owned());
        }
        group.sync_names().map_err(|error| error.to_string())?;
        if !log.swap(group, now).map_err(|error| error.to_string())? {
            return Err("refused".to_owned());
        }
    }
    log.compaction_finished(&compaction);
    Ok(Some(compaction.stats()))
}

pub fn compact(log: &mut Log, now: WallTime) -> CompactionStats {
    pass(log, limits(), now).expect("compacted").expect("there is something to compact")
}

pub fn keyed(records: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value) in records {
        builder.append(NOW.0, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    builder.build(0, LeaderEpoch(0))
}

/// Every record: offset, key, value.
fn records(log: &Log) -> Vec<(Offset, String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let of_batch = |batch: &RecordBatch| -> Vec<_> {
        if batch.is_control() {
            return Vec::new();
        }
        let records = batch.records().map(|record| record.expect("readable"));
        records.map(|r| (r.offset, r.key.as_ref().map(&text).expect("a key"), r.value.as_ref().map(&text))).collect()
    };
    read_all(log).iter().flat_map(of_batch).collect()
}

/// What a reader that keeps the newest value of each key ends with.
pub fn table(log: &Log) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    for (_, key, value) in records(log) {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    table
}

/// Offset and value of the newest record of each key; of a tombstone, no value.
pub fn newest_of_each_key(log: &Log) -> BTreeMap<String, (Offset, String)> {
    records(log).into_iter().map(|(offset, key, value)| (key, (offset, value.unwrap_or_default()))).collect()
}

/// Ten rounds over the same keys, of which a few are deleted.
pub fn filled() -> Rig {
    let mut rig = Rig::new(compacted());
    for round in 0..10 {
        for key in 0..6 {
            let (key, value) = (format!("key {key}"), format!("value of round {round}"));
            let deleted = round == 7 && key == "key 3" || round > 3 && key == "key 5";
            rig.append(keyed(&[(&key, (!deleted).then_some(&value))]), 0);
        }
    }
    settle(&mut rig.log);
    rig
}

#[test]
fn the_newest_record_of_each_key_is_left_and_offsets_stay() {
    let mut rig = filled();
    let (before, end, size) = (records(&rig.log), rig.log.log_end_offset(), rig.log.size_in_bytes());
    let active_base: Offset = rig.file_names(".log").last().expect("segments")[..20].parse().expect("an offset");
    let wanted = table(&rig.log);
    let stats = compact(&mut rig.log, NOW);
    assert_eq!((stats.keys, rig.log.compacted_upto()), (6, active_base));
    assert!(stats.bytes_after < stats.bytes_before / 2, "{stats:?}");
    assert!(rig.log.size_in_bytes() < size / 2);
    assert_eq!(rig.log.log_end_offset(), end);
    assert_eq!(table(&rig.log), wanted);
    let after = records(&rig.log);
    assert!(after.iter().all(|record| before.contains(record)), "offsets and values stay together");
    let newest_below = |key: &str| before.iter().rfind(|(offset, k, _)| *offset < active_base && k == key);
    let expected: usize = (0..6).filter_map(|key| newest_below(&format!("key {key}"))).count();
    assert_eq!(after.iter().filter(|(offset, ..)| *offset < active_base).count(), expected);
    // Reading at each offset, dropped or not, goes on with what follows it.
    for offset in 0..end {
        let read = rig.log.read(offset, 1, Offset::MAX, true).expect("readable");
        let batch = RecordBatch::parse(read.chunks[0].clone()).expect("whole");
        assert!(batch.last_offset() >= offset);
    }
    // And again after a restart, and after a kill in which only the checkpoint is known.
    rig.restart();
    assert_eq!(records(&rig.log), after);
    rig.log.restore_compacted_upto(active_base);
    assert_eq!(rig.log.compacted_upto(), active_base);
    rig.fs.kill();
    rig.open_again(false, end);
    assert_eq!(records(&rig.log), after);
    assert!(rig.log.compaction_due(end, NOW).expect("a look").is_some());
}

#[test]
fn a_compacted_log_goes_on_and_is_compacted_again() {
    let mut rig = filled();
    for round in 0..6 {
        compact(&mut rig.log, NOW);
        let upto = rig.log.compacted_upto();
        assert_eq!(rig.log.compaction_due(rig.log.log_end_offset(), NOW).expect("a look"), None);
        for key in (0..6).chain(0..6) {
            rig.append(keyed(&[(&format!("key {key}"), Some(&format!("late value {round}")))]), 0);
        }
        settle(&mut rig.log);
        assert!(
            rig.log
                .compaction_due(rig.log.log_end_offset(), NOW)
                .expect("a look")
                .is_some_and(|p| p.first_dirty == upto)
        );
    }
    assert!(rig.log.segment_count() < 8, "leftovers grow together, {} segments are left", rig.log.segment_count());
    assert_eq!(table(&rig.log).len(), 6);
    assert!(table(&rig.log).values().all(|value| value == "late value 5"));
}

#[test]
fn tombstones_and_spent_markers_go_after_their_time() {
    let mut rig = filled();
    let has_tombstone = |log: &Log| records(log).iter().any(|(_, key, value)| key == "key 5" && value.is_none());
    compact(&mut rig.log, NOW);
    assert!(has_tombstone(&rig.log));
    let later = |log: &mut Log, ms: i64| {
        // The dirty part has to grow before a pass looks again.
        log.append_as_leader(keyed(&[("other", Some(&"x".repeat(400)))]), LeaderEpoch(0), NOW).expect("appended");
        settle(log);
        compact(log, WallTime(NOW.0 + ms));
    };
    later(&mut rig.log, DAY_MS - 1);
    // The newest segment had the newest tombstones, which are seen only now.
    assert!(has_tombstone(&rig.log));
    later(&mut rig.log, 3 * DAY_MS);
    assert!(!has_tombstone(&rig.log));
    assert!(!table(&rig.log).contains_key("key 5"));
}

#[test]
fn nothing_young_uncommitted_or_unsafe_is_touched() {
    let mut rig = filled();
    let end = rig.log.log_end_offset();
    let due =
        |log: &Log, high_watermark| log.compaction_due(high_watermark, NOW).expect("a look").map(|plan| plan.upto);
    let whole = due(&rig.log, end).expect("due");
    let first_segments_end: Offset = rig.file_names(".log")[1][..20].parse().expect("an offset");
    assert_eq!(due(&rig.log, first_segments_end), Some(first_segments_end));
    assert_eq!(due(&rig.log, first_segments_end - 1), None);
    assert!(whole < end);
    // What a recovery would have to check stays, too.
    rig.log.truncate_to(first_segments_end + 1).expect("cut");
    rig.append_keyed_rounds(4);
    assert_eq!(due(&rig.log, rig.log.log_end_offset()), Some(first_segments_end));
    rig.log.set_config(LogConfig { compact: false, ..compacted() });
    assert_eq!(due(&rig.log, end), None);
}

impl Rig {
    fn append_keyed_rounds(&mut self, rounds: usize) {
        for round in 0..rounds {
            for key in 0..6 {
                self.append(keyed(&[(&format!("key {key}"), Some(&format!("again {round}")))]), 0);
            }
        }
    }
}

#[test]
fn more_keys_than_memory_take_several_passes() {
    let mut rig = Rig::new(compacted());
    for round in 0..3 {
        for key in 0..60 {
            rig.append(keyed(&[(&format!("key {key}"), Some(&format!("round {round}")))]), 0);
        }
    }
    settle(&mut rig.log);
    let wanted = table(&rig.log);
    let tight = CompactionLimits { dedupe_buffer_bytes: 24 * 20, ..limits() };
    let mut passes = 0;
    let mut upto = 0;
    while rig.log.compaction_due(rig.log.log_end_offset(), NOW).expect("a look").is_some() {
        let stats = pass(&mut rig.log, tight, NOW).expect("compacted").expect("something to do");
        assert!(stats.keys <= 18);
        assert!(rig.log.compacted_upto() > upto, "each pass gets on");
        upto = rig.log.compacted_upto();
        passes += 1;
        assert_eq!(table(&rig.log), wanted);
    }
    assert!(passes > 5, "{passes}");
    // Only the newest of each key is left but for the uncompacted newest segment.
    let counted = records(&rig.log).iter().filter(|(offset, ..)| *offset < upto).count();
    assert!(counted <= 60, "{counted} records of 60 keys");
}

#[test]
fn a_producers_last_sequence_outlives_compaction() {
    let mut rig = Rig::new(compacted());
    let of_producer = |id: i64, sequence: i32, key: &str| {
        let mut builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), sequence);
        builder.append(NOW.0, Some(key.as_bytes()), Some(b"v"), &[]);
        builder.build(0, LeaderEpoch(0))
    };
    for sequence in 0..3 {
        for id in 1..4 {
            rig.append(of_producer(id, sequence, "shared"), 0);
        }
    }
    rig.append_keyed_rounds(5);
    rig.append(keyed(&[("shared", Some("newer"))]), 0);
    rig.append_keyed_rounds(5);
    settle(&mut rig.log);
    compact(&mut rig.log, NOW);
    let producers_left = |log: &Log| read_all(log).iter().filter(|b| b.header().has_producer_id()).count();
    assert_eq!(producers_left(&rig.log), 3, "one batch of each, without records");
    // Even with every snapshot gone the next sequence is known.
    rig.fs.kill();
    for snapshot in rig.file_names(".snapshot") {
        rig.replace(&snapshot, b"");
    }
    rig.open_again(false, rig.log.recovery_point());
    for id in 1..4 {
        let gap = rig.log.append_as_leader(of_producer(id, 7, "late"), LeaderEpoch(0), NOW);
        assert!(gap.is_err(), "a gap is noticed: {gap:?}");
        rig.append(of_producer(id, 3, "late"), 0);
    }
}

#[test]
fn aborted_data_goes_and_the_last_stable_offset_holds_the_rest() {
    let mut rig = Rig::new(compacted());
    let data = |id: i64, sequence: i32, key: &str| {
        let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), sequence);
        let mut builder = builder.transactional(true);
        builder.append(NOW.0, Some(key.as_bytes()), Some(b"from a transaction"), &[]);
        builder.build(0, LeaderEpoch(0))
    };
    rig.append(data(1, 0, "aborted key"), 0);
    rig.append(data(2, 0, "key 1"), 0);
    rig.append(marker(1, 0, false), 0);
    rig.append(marker(2, 0, true), 0);
    rig.append(data(1, 1, "committed key"), 0);
    rig.append(marker(1, 0, true), 0);
    rig.append_keyed_rounds(6);
    settle(&mut rig.log);
    assert_eq!(rig.log.aborted_transactions(0, 100).expect("read").len(), 1);
    compact(&mut rig.log, NOW);
    let keys: Vec<String> = records(&rig.log).into_iter().map(|(_, key, _)| key).collect();
    assert!(!keys.contains(&"aborted key".to_owned()));
    assert!(keys.contains(&"committed key".to_owned()));
    let markers = |log: &Log| read_all(log).iter().filter(|b| b.is_control() && b.header().record_count > 0).count();
    assert_eq!(markers(&rig.log), 3, "their data was there in this pass");
    // The aborted data has gone, so its marker is spent from the next pass on, and goes a day later.
    for day in 1..6 {
        rig.append_keyed_rounds(3);
        settle(&mut rig.log);
        compact(&mut rig.log, WallTime(NOW.0 + day * 2 * DAY_MS));
    }
    let left: Vec<_> = read_all(&rig.log)
        .into_iter()
        .filter(|b| b.is_control())
        .map(|b| (b.base_offset(), b.header().record_count))
        .collect();
    assert_eq!(left.last(), Some(&(5, 1)), "data of the last transaction is there: {left:?}");
    assert!(!left.contains(&(2, 1)), "{left:?}");
    assert_eq!(rig.log.aborted_transactions(0, 100).expect("read"), []);
    // An open transaction holds everything behind it.
    let open = rig.append(data(3, 0, "open"), 0).first_offset;
    rig.append_keyed_rounds(6);
    settle(&mut rig.log);
    let plan = rig.log.compaction_due(rig.log.log_end_offset(), NOW).expect("a look");
    assert!(plan.is_none_or(|plan| plan.upto <= open), "{plan:?}");
}

/// The abort marker stood in a segment that was not compacted yet, so what it aborted counted as the newest of its key.
#[test]
fn what_is_aborted_later_does_not_outdo_what_was_committed_before() {
    let mut rig = Rig::new(compacted());
    rig.append(keyed(&[("key", Some("committed"))]), 0);
    let builder = BatchBuilder::new(Compression::None).producer(ProducerId(1), ProducerEpoch(0), 0);
    let mut aborted = builder.transactional(true);
    aborted.append(NOW.0, Some(b"key"), None, &[]);
    rig.append(aborted.build(0, LeaderEpoch(0)), 0);
    rig.log.roll_if_due(WallTime(i64::MAX / 2)).expect("rolled");
    rig.append(marker(1, 0, false), 0);
    settle(&mut rig.log);
    compact(&mut rig.log, NOW);
    let left: Vec<_> = records(&rig.log).into_iter().map(|(offset, _, value)| (offset, value)).collect();
    assert_eq!(left, [(0, Some("committed".to_owned()))]);
}

#[test]
fn batches_stay_compressed_as_they_were() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut rig = Rig::new(compacted());
        for round in 0..30 {
            let mut builder = BatchBuilder::new(codec);
            for key in 0..4 {
                let value = format!("{round}").repeat(20);
                let key = if key == 0 { format!("own {round}") } else { format!("key {key}") };
                builder.append(NOW.0 + round, Some(key.as_bytes()), Some(value.as_bytes()), &[("h", Some(b"1"))]);
            }
            rig.append(builder.build(0, LeaderEpoch(0)), 0);
        }
        settle(&mut rig.log);
        let wanted = table(&rig.log);
        compact(&mut rig.log, NOW);
        assert_eq!(table(&rig.log), wanted);
        assert!(read_all(&rig.log).iter().all(|b| b.compression() == Ok(codec)));
        assert!(read_all(&rig.log)[0].header().record_count < 4);
    }
}

#[test]
fn damage_is_told_and_not_given_a_crc_of_its_own() {
    let mut rig = filled();
    rig.fs.kill();
    let file = rig.file(&rig.file_names(".log")[0]);
    file.write_all_at(b"X", 75).expect("written");
    rig.open_again(false, rig.log.recovery_point());
    let before = rig.content(&rig.file_names(".log")[0]);
    let mut compaction = rig.log.begin_compaction(60, limits(), NOW).expect("begun").expect("something");
    let error = compaction.read_keys(&Free).expect_err("damage");
    assert!(matches!(error, CompactionError::Damaged { offset: 0, .. }), "{error}");
    assert_eq!(rig.content(&rig.file_names(".log")[0]), before);
}

#[test]
fn a_log_that_changes_meanwhile_refuses_the_outcome() {
    type Change = fn(&mut Log);
    let changes: [Change; 4] = [
        |log| {
            log.truncate_to(20).expect("cut");
        },
        |log| log.reset_to(7).expect("reset"),
        |log| log.advance_log_start_offset(30, NOW).expect("advanced"),
        |log| {
            let another = log.begin_compaction(60, limits(), NOW).expect("begun");
            assert!(another.is_some());
        },
    ];
    for change in changes {
        for announced in [false, true] {
            let mut rig = filled();
            let mut compaction = rig.log.begin_compaction(60, limits(), NOW).expect("begun").expect("something");
            compaction.read_keys(&Free).expect("read");
            let group = compaction.next_group(&Free).expect("cleaned").expect("a group");
            if announced {
                assert!(rig.log.announce_swap(&group).expect("announced"));
                group.sync_names().expect("synced");
            }
            change(&mut rig.log);
            let (before, start) = (records(&rig.log), rig.log.log_start_offset());
            if announced {
                assert!(!rig.log.swap(group, NOW).expect("judged"));
            } else {
                assert!(!rig.log.announce_swap(&group).expect("judged"));
                drop(group);
            }
            assert_eq!(rig.file_names(".cleaned"), Vec::<String>::new());
            assert_eq!(rig.file_names(".swap"), Vec::<String>::new());
            rig.log.compaction_finished(&compaction);
            rig.restart();
            rig.log.advance_log_start_offset(start, NOW).expect("advanced");
            assert_eq!(records(&rig.log), before);
        }
    }
}

#[test]
fn deleted_files_stay_for_their_time() {
    let mut rig = filled();
    compact(&mut rig.log, NOW);
    let deleted = rig.file_names(".deleted");
    assert!(deleted.len() >= 3, "{deleted:?}");
    assert_eq!(rig.log.take_due_deletions(WallTime(NOW.0 + 59_999)), Vec::<std::path::PathBuf>::new());
    let due = rig.log.take_due_deletions(WallTime(NOW.0 + 60_000));
    assert_eq!(due.len(), deleted.len());
    assert!(rig.log.take_due_deletions(WallTime(i64::MAX)).is_empty());
    // What nobody removed goes when the log is opened.
    rig.restart();
    assert_eq!(rig.file_names(".deleted"), Vec::<String>::new());
}

#[test]
fn a_pass_ends_when_it_is_told_to() {
    struct EndsAfter(Mutex<u64>);
    impl Pace for EndsAfter {
        fn moved(&self, bytes: u64) -> Result<(), Stopped> {
            let mut left = self.0.lock().expect("not poisoned");
            *left = left.checked_sub(bytes).ok_or(Stopped)?;
            Ok(())
        }
    }
    for bytes in [0, 500, 3_000, 9_000] {
        let mut rig = filled();
        let before = records(&rig.log);
        let mut compaction = rig.log.begin_compaction(60, limits(), NOW).expect("begun").expect("something");
        let pace = EndsAfter(Mutex::new(bytes));
        let outcome = compaction.read_keys(&pace).and_then(|()| compaction.next_group(&pace).map(|_| ()));
        assert_eq!(outcome.is_ok(), bytes == 9_000, "{outcome:?}");
        drop(compaction);
        assert_eq!(records(&rig.log), before);
        assert_eq!(rig.file_names(".cleaned"), Vec::<String>::new());
    }
}
