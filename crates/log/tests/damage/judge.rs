//! What has to hold of a directory whatever happened to its files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::dir::{DirectoryError, LogDirectory};
use raftsman_log::fs::{FileSystem, MemoryFs};
use raftsman_log::{Log, LogConfig, LogError, ReadError};
use raftsman_records::{BatchBuilder, Compression, RecordBatch};
use raftsman_types::{LeaderEpoch, Offset, TopicId, TopicPartition};

use super::files::{self, Files, ROOT};
use super::truth::{batches_of, offset_at};
use super::world::{NOW, TOPIC, TOPIC_ID, World};

/// What became of a directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Opened,
    Refused,
}

/// A directory that opened, as a broker opens it.
pub struct Opened {
    pub fs: MemoryFs,
    pub log: Log,
    pub recovery_point: Offset,
}

/// Opens the directory and its log in the order a broker does.
pub fn open(files: &Files, config: &LogConfig) -> Result<Opened, String> {
    let fs = files::write(files);
    let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
    let text = |error: DirectoryError| error.to_string();
    let directory = LogDirectory::open(Arc::clone(&shared), ROOT).map_err(text)?;
    // The server adds what to do.
    let properties = directory.read_meta_properties().map_err(|error| format!("{error}; put the file back"))?;
    if properties.is_none() {
        return Err(format!("{ROOT}/meta.properties is not there; remedy: put it back"));
    }
    let clean = directory.take_clean_shutdown().map_err(text)?.is_some();
    let at = TopicPartition { topic: TOPIC.into(), partition: 0 };
    let recovery_points = directory.read_recovery_points().map_err(text)?;
    let starts = directory.read_log_start_offsets().map_err(text)?;
    directory.read_high_watermarks().map_err(text)?;
    let compacted = directory.read_compacted_offsets().map_err(text)?;
    let found = directory.partitions().map_err(text)?;
    let replica = found.into_iter().find(|replica| replica.topic == TOPIC);
    if let Some(malformed) = replica.as_ref().and_then(|replica| replica.malformed.as_ref()) {
        return Err(format!("{malformed}; remedy: it is set aside"));
    }
    let path = directory.partition_path(TOPIC, 0);
    // A replica that does not say whose it is opens when the metadata places it here.
    let (id, clean, recovery_point) = match replica.and_then(|replica| replica.topic_id) {
        Some(id) => (id, clean, recovery_points.get(&at).copied().unwrap_or(0)),
        None => (TOPIC_ID, false, 0),
    };
    if id != TOPIC_ID {
        return Err(format!("{ROOT}/{TOPIC}-0/partition.metadata names another topic; remedy: it is set aside"));
    }
    let text = |error: LogError| error.to_string();
    let (mut log, _) = Log::open(shared, path, id, config.clone(), clean, recovery_point, NOW).map_err(text)?;
    log.restore_compacted_upto(compacted.get(&at).copied().unwrap_or(0));
    if let Some(start) = starts.get(&at) {
        log.advance_log_start_offset((*start).min(log.log_end_offset()), NOW).map_err(text)?;
    }
    Ok(Opened { fs, log, recovery_point })
}

/// Which files were changed, each with the position of the first byte that is not what it was.
fn changes(world: &World, damaged: &Files) -> BTreeMap<String, usize> {
    let paths = world.files.keys().chain(damaged.keys());
    let none = Vec::new();
    let first_change = |path: &String| {
        let (before, after) = (world.files.get(path), damaged.get(path));
        if before == after {
            return None;
        }
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        Some((path.clone(), same))
    };
    paths.filter_map(first_change).collect()
}

/// One state under judgement.
struct Case<'a> {
    world: &'a World,
    changes: BTreeMap<String, usize>,
    /// Every batch in any file of the undamaged directory.
    written: Vec<(String, usize, RecordBatch)>,
    /// The epochs and where they begin, as the damaged `leader-epoch-checkpoint` has them.
    told_epochs: Vec<(i32, Offset)>,
}

fn told_epochs(damaged: &Files) -> Vec<(i32, Offset)> {
    let file = damaged.get("t-0/leader-epoch-checkpoint").map_or("".into(), |bytes| String::from_utf8_lossy(bytes));
    let entry =
        |line: &str| line.split_once(' ').and_then(|(epoch, start)| Some((epoch.parse().ok()?, start.parse().ok()?)));
    file.lines().filter_map(entry).collect()
}

impl Case<'_> {
    fn touches(&self, part: &str) -> bool {
        self.changes.keys().any(|path| path.contains(part))
    }

    fn harms_log(&self) -> bool {
        self.touches(".log")
    }

    /// Whether a batch lies in a changed file, at the change or behind it; or behind a gap, where only the batch behind it says
    /// that it is what it was, and that one does.
    fn is_harmed(&self, batch: &RecordBatch) -> bool {
        let batches = &self.world.truth.batches;
        let before = batches.range(..batch.base_offset()).next_back();
        let is_behind_gap = before.is_none_or(|(_, before)| before.header().next_offset() < batch.base_offset());
        let behind = batches.range(batch.base_offset() + 1..).next();
        self.is_changed(batch) || (is_behind_gap && behind.is_some_and(|(_, behind)| self.is_changed(behind)))
    }

    fn is_changed(&self, batch: &RecordBatch) -> bool {
        self.written.iter().filter(|(.., other)| other.bytes() == batch.bytes()).any(|(path, position, _)| {
            self.changes.get(path).is_some_and(|changed| position + batch.size_in_bytes() > *changed)
        })
    }

    /// Where the file of the epochs lets one begin a batch earlier or later, nobody can tell which of the two is wrong; nor
    /// does anybody look below the recovery point, where one may begin any number of batches too early.
    fn may_be_of_another_epoch(&self, batch: &RecordBatch) -> bool {
        let batches = &self.world.truth.batches;
        let before = batches.range(..batch.base_offset()).next_back();
        let behind = batches.range(batch.base_offset() + 1..).next();
        let is_other = |(_, other): (&Offset, &RecordBatch)| {
            other.header().partition_leader_epoch != batch.header().partition_leader_epoch
        };
        let told = self.told_epochs.iter().rev().find(|(_, start)| *start <= batch.base_offset());
        let is_told_otherwise =
            told.is_some_and(|(epoch, _)| LeaderEpoch(*epoch) != batch.header().partition_leader_epoch);
        let is_flushed = batch.last_offset() < self.world.recovery_point;
        self.touches("leader-epoch")
            && (before.is_some_and(is_other) || behind.is_none_or(is_other) || (is_told_otherwise && is_flushed))
    }

    fn was_written(&self, batch: &RecordBatch) -> bool {
        self.written.iter().any(|(.., other)| other.bytes() == batch.bytes()) || self.moved_in_a_gap(batch).is_some()
    }

    /// The batch that stood elsewhere in a gap of a compacted log. Its offset is outside of its CRC, and no neighbour tells.
    fn moved_in_a_gap(&self, moved: &RecordBatch) -> Option<&RecordBatch> {
        let batches = &self.world.truth.batches;
        let original = batches.values().find(|other| other.bytes()[8..] == moved.bytes()[8..])?;
        let behind = batches.range(..original.base_offset()).next_back().map_or(0, |(_, b)| b.header().next_offset());
        let before = batches.range(original.base_offset() + 1..).next().map_or(Offset::MAX, |(base, _)| *base);
        let fits = moved.base_offset() >= behind && moved.header().next_offset() <= before;
        (self.world.config.compact && fits && self.is_changed(original)).then_some(original)
    }

    /// The offset before which nothing in the log is harmed.
    fn first_harm(&self) -> Offset {
        let harmed = self.world.truth.batches.values().find(|batch| self.is_harmed(batch));
        let extra = if self.harms_log() { self.world.truth.end } else { Offset::MAX };
        harmed.map_or(extra, RecordBatch::base_offset)
    }
}

/// Judges a damaged directory.
pub fn judge(world: &World, damaged: &Files) -> Result<Verdict, String> {
    let (changes, written) = (changes(world, damaged), written(&world.files));
    let case = Case { world, changes, written, told_epochs: told_epochs(damaged) };
    match open(damaged, &world.config) {
        Err(refusal) => judge_refusal(&case, &refusal).map(|()| Verdict::Refused),
        Ok(mut opened) => judge_opened(&case, &mut opened).map(|()| Verdict::Opened),
    }
}

fn judge_refusal(case: &Case<'_>, refusal: &str) -> Result<(), String> {
    let may_refuse = [".log", "checkpoint", "meta.properties", "partition.metadata"];
    let not = ["leader-epoch-checkpoint", "cleaner-offset-checkpoint"];
    let path_may =
        |path: &String| may_refuse.iter().any(|part| path.contains(part)) && !not.iter().any(|n| path.contains(n));
    // Of one batch alone in the newest segment and the file of the epochs nobody can tell which is wrong.
    let of_epochs = case.touches("leader-epoch") && refusal.contains("the log never had its leader epoch");
    if !of_epochs && !case.changes.keys().any(path_may) {
        return Err(format!("refused for nothing: {refusal}"));
    }
    if refusal.contains('\n') || !refusal.contains(ROOT) {
        return Err(format!("a refusal that names no file: {refusal:?}"));
    }
    let tells_what_to_do = ["restore", "put", "remove", "move", "remedy"].iter().any(|word| refusal.contains(word));
    if tells_what_to_do { Ok(()) } else { Err(format!("a refusal without a remedy: {refusal}")) }
}

fn judge_opened(case: &Case<'_>, opened: &mut Opened) -> Result<(), String> {
    let (world, truth) = (case.world, &case.world.truth);
    let log = &opened.log;
    if log.log_end_offset() < opened.recovery_point.min(world.recovery_point) {
        return Err(format!("flushed up to {} but it ends at {}", world.recovery_point, log.log_end_offset()));
    }
    let start_is_known = !case.touches("log-start-offset") && !case.touches("partition.metadata");
    if !case.harms_log() {
        if log.log_end_offset() != truth.end {
            return Err(format!("it ends at {} instead of {}", log.log_end_offset(), truth.end));
        }
        if start_is_known && log.log_start_offset() != truth.start && !case.touches("checkpoint") {
            return Err(format!("it starts at {} instead of {}", log.log_start_offset(), truth.start));
        }
    }
    judge_batches(case, log)?;
    for max_bytes in [300, 1 << 20] {
        judge_walk(case, log, max_bytes)?;
    }
    let all_can_be_read = truth.batches.values().all(|batch| {
        !case.may_be_of_another_epoch(batch)
            || batch.last_offset() < log.log_start_offset()
            || log.read(batch.base_offset().max(log.log_start_offset()), 1, Offset::MAX, true).is_ok()
    });
    if !case.harms_log() && log.log_start_offset() == truth.start && all_can_be_read {
        judge_answers(case, log)?;
        judge_producers(case, &mut opened.log)?;
    }
    judge_going_on(world, opened)
}

/// Each batch is where it was, or its place says that it is not.
fn judge_batches(case: &Case<'_>, log: &Log) -> Result<(), String> {
    let first_harm = case.first_harm();
    // A header that compaction left has no record that could be lost.
    for batch in case.world.truth.batches.values().filter(|batch| batch.header().record_count > 0) {
        let (base, last) = (batch.base_offset(), batch.last_offset());
        if last < log.log_start_offset() {
            if case.harms_log() && !case.touches("log-start-offset") {
                return Err(format!("batch {base} is below the log's start {}", log.log_start_offset()));
            }
            continue;
        }
        let is_flushed = last < case.world.recovery_point;
        let may_be_cut = base >= first_harm && !is_flushed;
        if base >= log.log_end_offset() {
            if !may_be_cut {
                return Err(format!("batch {base} is cut off, the log ends at {}", log.log_end_offset()));
            }
            continue;
        }
        match log.read(base.max(log.log_start_offset()), 1, Offset::MAX, true) {
            Ok(data) => {
                let read = batches_of(&data.chunks);
                if case.world.config.compact && case.is_changed(batch) && is_elsewhere(case, log, batch) {
                    continue;
                }
                let covers = |read: &RecordBatch| read.base_offset() <= base && read.last_offset() >= last;
                let Some(read) = read.first().filter(|read| covers(read)) else {
                    return Err(format!("a read at {base} leaves its batch out: {read:?}"));
                };
                if !case.was_written(read) {
                    return Err(format!("a read at {base} gives what nobody wrote: {:?}", read.header()));
                }
            }
            Err(ReadError::Damaged { .. }) if case.is_harmed(batch) || case.may_be_of_another_epoch(batch) => {}
            Err(error) => return Err(format!("batch {base} cannot be read: {error}")),
        }
    }
    Ok(())
}

/// Whether a batch is in the log at another offset than it was.
fn is_elsewhere(case: &Case<'_>, log: &Log, batch: &RecordBatch) -> bool {
    let before = case.world.truth.batches.range(..batch.base_offset()).next_back();
    let from = before.map_or(0, |(_, before)| before.header().next_offset()).max(log.log_start_offset());
    let read = log.read(from, 1, Offset::MAX, true);
    let moved = read.ok().and_then(|data| batches_of(&data.chunks).into_iter().next());
    moved.is_some_and(|moved| case.moved_in_a_gap(&moved).is_some_and(|original| original.bytes() == batch.bytes()))
}

/// Reading from the start, everything is what was written, in order.
fn judge_walk(case: &Case<'_>, log: &Log, max_bytes: usize) -> Result<(), String> {
    let mut from = log.log_start_offset();
    let mut expected = 0;
    while from < log.log_end_offset() {
        let data = match log.read(from, max_bytes, Offset::MAX, true) {
            Ok(data) => data,
            Err(ReadError::Damaged { .. }) if case.harms_log() || case.touches("leader-epoch") => {
                // Reading goes on behind the damage, as an operator would.
                let Some(batch) = case.world.truth.batch_at(from) else { return Ok(()) };
                from = batch.last_offset().max(from) + 1;
                continue;
            }
            Err(error) => return Err(format!("a read at {from} fails: {error}")),
        };
        for batch in batches_of(&data.chunks) {
            if !case.was_written(&batch) {
                return Err(format!("a walk gives what nobody wrote: {:?}", batch.header()));
            }
            if batch.base_offset() < expected {
                return Err(format!("a walk gives offset {} twice", batch.base_offset()));
            }
            expected = batch.header().next_offset();
        }
        if data.next_offset <= from {
            return Err(format!("a read at {from} does not get on"));
        }
        from = data.next_offset;
    }
    Ok(())
}

/// What else a reader asks.
fn judge_answers(case: &Case<'_>, log: &Log) -> Result<(), String> {
    let truth = &case.world.truth;
    for (epoch, end) in &truth.epochs {
        let found = log.end_offset_for(LeaderEpoch(*epoch));
        // Where compaction took the last batches of an epoch, or the first of the next, its end may be anywhere between.
        let any_between =
            |one: Offset, other: Offset| truth.batches.range(one.min(other)..one.max(other)).next().is_some();
        let same = match (found, *end) {
            (Some((epoch, found)), Some((other, end))) => epoch == other && (found == end || !any_between(found, end)),
            (found, end) => found == end,
        };
        if !same {
            return Err(format!("epoch {epoch} ends at {found:?} instead of {end:?}"));
        }
    }
    let aborted = log.aborted_transactions(truth.start, truth.end).map_err(|error| error.to_string())?;
    if aborted != truth.aborted {
        return Err(format!("aborted transactions are {aborted:?} instead of {:?}", truth.aborted));
    }
    if log.last_stable_offset() != truth.last_stable_offset {
        return Err(format!("stable up to {} instead of {}", log.last_stable_offset(), truth.last_stable_offset));
    }
    for (time, offset) in &truth.times {
        let found = offset_at(log, *time).map_err(|error| error.to_string())?;
        if found != *offset {
            return Err(format!("the first record at {time} ms is at {found:?} instead of {offset:?}"));
        }
    }
    let max_timestamp = log.max_timestamp().map_err(|error| error.to_string())?;
    if max_timestamp != truth.max_timestamp {
        return Err(format!("the largest timestamp is {max_timestamp:?} instead of {:?}", truth.max_timestamp));
    }
    Ok(())
}

/// A producer that repeats its last batch is told where it is.
fn judge_producers(case: &Case<'_>, log: &mut Log) -> Result<(), String> {
    let truth = &case.world.truth;
    if log.producer_count() != truth.producers {
        return Err(format!("{} producers are known instead of {}", log.producer_count(), truth.producers));
    }
    let mut last = BTreeMap::new();
    for batch in truth.batches.values().filter(|batch| batch.header().has_producer_id() && !batch.is_control()) {
        last.insert(batch.header().producer_id, batch);
    }
    for (id, batch) in last {
        let again = log.append_as_leader(batch.bytes().clone(), LeaderEpoch(9), NOW);
        let duplicate = again.as_ref().ok().and_then(|info| info.duplicate_of);
        if duplicate != Some((batch.base_offset(), batch.last_offset())) {
            return Err(format!("producer {id} repeats batch {}: {again:?}", batch.base_offset()));
        }
    }
    Ok(())
}

/// The log takes more, and keeps all of it.
fn judge_going_on(world: &World, opened: &mut Opened) -> Result<(), String> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, Some(b"key"), Some(b"what comes after"), &[]);
    let batch: Bytes = builder.build(0, LeaderEpoch(-1));
    let log = &mut opened.log;
    let end = log.log_end_offset();
    let info = log.append_as_leader(batch, LeaderEpoch(9), NOW).map_err(|error| format!("takes no more: {error}"))?;
    if info.first_offset != end {
        return Err(format!("the log ended at {end} and goes on at {}", info.first_offset));
    }
    log.close(NOW).map_err(|error| format!("cannot be closed: {error}"))?;
    let (start, end, epoch_end) = (log.log_start_offset(), log.log_end_offset(), log.end_offset_for(LeaderEpoch(9)));
    opened.fs.kill();
    let shared: Arc<dyn FileSystem> = Arc::new(opened.fs.clone());
    let path = Path::new(ROOT).join(format!("{TOPIC}-0"));
    let config = world.config.clone();
    let (mut log, _) = Log::open(shared, path, TopicId::ZERO, config, true, end, NOW)
        .map_err(|error| format!("does not open again: {error}"))?;
    log.advance_log_start_offset(start, NOW).map_err(|error| format!("its start cannot be restored: {error}"))?;
    let now = (log.log_start_offset(), log.log_end_offset(), log.end_offset_for(LeaderEpoch(9)));
    if now != (start, end, epoch_end) {
        return Err(format!("closed as {:?}, opened as {now:?}", (start, end, epoch_end)));
    }
    Ok(())
}

/// Every batch in the segment files of a directory, whatever state they are in.
pub fn written(files: &Files) -> Vec<(String, usize, RecordBatch)> {
    let mut written = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.contains(".log")) {
        let mut position = 0;
        let all = Bytes::copy_from_slice(bytes);
        while let Ok(header) = raftsman_records::BatchHeader::parse(&all[position..]) {
            let end = position + header.size_in_bytes();
            if end > all.len() {
                break;
            }
            let batch = RecordBatch::parse(all.slice(position..end)).expect("undamaged");
            written.push((path.clone(), position, batch));
            position = end;
        }
    }
    written
}
