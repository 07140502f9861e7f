use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_records::{BatchHeader, RecordBatch};
use raftsman_types::{Offset, ProducerId, WallTime};

use super::CompactionLimits;
use super::cleaned::{CleanedGroup, CleanedWriter};
use super::error::{CompactionError, Stopped};
use super::groups::group_segments;
use super::key_offsets::KeyOffsets;
use super::plan::{CompactionPlan, SegmentFacts};
use super::retain::{BatchContext, Retained, RetentionRules};
use super::transactions::{CleanedTransactions, MarkerFate};
use crate::config::LogConfig;
use crate::error::IoContext;
use crate::fs::OpenMode;
use crate::index::{AbortedTransaction, TransactionIndex};
use crate::place::Place;
use crate::producer::LastRecord;
use crate::scanner::{BatchScanner, Scanned};
use crate::segment::Segment;

/// Holds a compaction back to the speed it may have, and ends it when asked to.
pub trait Pace {
    /// So many bytes were read or written. May wait.
    ///
    /// # Errors
    /// The compaction is to end.
    fn moved(&self, bytes: u64) -> Result<(), Stopped>;
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionStats {
    /// Bytes of the segments that were rewritten.
    pub bytes_before: u64,
    /// Bytes of what took their place.
    pub bytes_after: u64,
    /// Keys that were told apart.
    pub keys: usize,
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
}

/// One sealed segment, as it was when the compaction began.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) facts: SegmentFacts,
    pub(crate) transactions: TransactionIndex,
}

/// One pass over a log, beside it: takes only what it was given and the files of sealed segments.
///
/// [`Compaction::read_keys`] first, then [`Compaction::next_group`] until there is none. Each group goes through
/// `Log::announce_swap`, [`CleanedGroup::sync_names`] and `Log::swap`; if the log refuses one the pass is over.
#[derive(Debug)]
pub struct Compaction {
    pub(crate) place: Place,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) limits: CompactionLimits,
    pub(crate) plan: CompactionPlan,
    pub(crate) generation: (u64, u64),
    pub(crate) now: WallTime,
    pub(crate) last_records: HashMap<ProducerId, LastRecord>,
    /// By base offset, up to the plan's end.
    pub(crate) sources: Vec<Source>,
    /// Aborted transactions that began below the plan's end and ended behind it.
    pub(crate) aborted_later: Vec<AbortedTransaction>,
    pub(crate) keys: Option<KeyOffsets>,
    pub(crate) end: Offset,
    pub(crate) groups: Vec<Range<usize>>,
    pub(crate) transactions: CleanedTransactions,
    pub(crate) stats: CompactionStats,
}

impl Compaction {
    /// What it is about.
    pub fn plan(&self) -> &CompactionPlan {
        &self.plan
    }

    /// Up to where the log is compacted when all groups are swapped in: the plan's end, or less if there were more keys
    /// than memory for them.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// What it did so far.
    pub fn stats(&self) -> CompactionStats {
        self.stats
    }

    /// Reads the keys of what is not compacted yet, and decides which segments become one.
    ///
    /// # Errors
    /// [`CompactionError`].
    pub fn read_keys(&mut self, pace: &dyn Pace) -> Result<(), CompactionError> {
        let CompactionPlan { first_dirty, upto, .. } = self.plan;
        let limits = self.limits;
        let records_max = (upto - first_dirty).max(0) as u64;
        let mut keys = KeyOffsets::new(limits.dedupe_buffer_bytes, limits.load_factor, records_max, &limits.hash_key);
        let mut transactions = self.followed_transactions()?;
        self.end = upto;
        let dirty = self.sources.iter().filter(|source| source.facts.next_base > first_dirty);
        'segments: for source in dirty {
            let mut walk = |header: &BatchHeader, bytes: Bytes, _| -> Result<bool, CompactionError> {
                let batch = checked(&self.place, source, header, bytes)?;
                let is_aborted = follow(&mut transactions, &batch).is_spent;
                if batch.is_control() || is_aborted || header.last_offset() < first_dirty {
                    return Ok(true);
                }
                for record in batch.records() {
                    // A client's doing, for the CRC is right: the batch stays as it is, its keys count for nothing.
                    let Ok(record) = record else { break };
                    let Some(key) = record.key.filter(|_| record.offset >= first_dirty) else { continue };
                    if !keys.put(&key, record.offset) {
                        self.end = record.offset;
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            if !walk_batches(&self.place, source, limits.io_buffer_bytes, pace, &mut walk)? {
                break 'segments;
            }
        }
        let facts: Vec<SegmentFacts> =
            self.sources.iter().map(|source| source.facts).take_while(|facts| facts.base_offset < self.end).collect();
        self.groups = group_segments(&facts, &self.config);
        self.groups.reverse();
        self.transactions = self.followed_transactions()?;
        self.stats.keys = keys.len();
        self.keys = Some(keys);
        Ok(())
    }

    fn followed_transactions(&self) -> Result<CleanedTransactions, CompactionError> {
        let mut aborted = self.aborted_later.clone();
        for source in &self.sources {
            let entries = source.transactions.entries(&self.place, source.facts.base_offset);
            aborted.extend(entries.map_err(CompactionError::reading)?);
        }
        Ok(CleanedTransactions::new(aborted))
    }

    /// Compacts the next group of segments; `None` when all are done. A segment that would stay as it is is passed over.
    ///
    /// # Errors
    /// [`CompactionError`].
    pub fn next_group(&mut self, pace: &dyn Pace) -> Result<Option<CleanedGroup>, CompactionError> {
        while let Some(group) = self.groups.pop() {
            let (segment, changed) = self.clean(group.clone(), pace)?;
            let sources = &self.sources[group];
            let cleaned = CleanedGroup {
                place: self.place.clone(),
                base_offset: segment.base_offset,
                replaces: sources.iter().map(|source| (source.facts.base_offset, source.facts.size)).collect(),
                generation: self.generation,
                segment: Some(segment),
            };
            self.stats.segments_before += sources.len();
            self.stats.segments_after += 1;
            self.stats.bytes_before += sources.iter().map(|source| source.facts.size).sum::<u64>();
            self.stats.bytes_after += cleaned.segment.as_ref().map_or(0, |segment| segment.size);
            if changed {
                return Ok(Some(cleaned));
            }
        }
        Ok(None)
    }

    /// Writes what stays of a group; says whether that is any different.
    fn clean(&mut self, group: Range<usize>, pace: &dyn Pace) -> Result<(Segment, bool), CompactionError> {
        let keys = self.keys.take().ok_or(CompactionError::Superseded)?;
        let rules = RetentionRules {
            keys: &keys,
            keys_end: self.end,
            last_records: &self.last_records,
            delete_retention_ms: self.config.delete_retention_ms,
            now: self.now,
        };
        let sources = &self.sources[group];
        let (base_offset, last) = (sources[0].facts.base_offset, sources.len() - 1);
        let buffer_bytes = self.limits.io_buffer_bytes;
        let interval = self.config.index_interval_bytes;
        let mut writer = CleanedWriter::create(&self.place, base_offset, buffer_bytes, interval, self.now)?;
        let mut changed = sources.len() > 1;
        let transactions = &mut self.transactions;
        for (i, source) in sources.iter().enumerate() {
            let mut walk = |header: &BatchHeader, bytes: Bytes, ends_segment: bool| -> Result<bool, CompactionError> {
                let batch = checked(&self.place, source, header, bytes)?;
                let fate = follow(transactions, &batch);
                if let Some(aborted) = fate.aborted {
                    writer.push_aborted(aborted);
                }
                let context = BatchContext { is_spent: fate.is_spent, ends_group: ends_segment && i == last };
                let judged = rules.judge(&batch, context);
                match judged.map_err(|source_error| damaged(&self.place, source, header, source_error))? {
                    Retained::All => writer.push(header, batch.bytes())?,
                    Retained::Nothing => changed = true,
                    Retained::Part(bytes) => {
                        changed = true;
                        let header = BatchHeader::parse(&bytes)
                            .map_err(|source_error| damaged(&self.place, source, header, source_error))?;
                        pace.moved(bytes.len() as u64)?;
                        writer.push(&header, &bytes)?;
                    }
                }
                Ok(true)
            };
            walk_batches(&self.place, source, buffer_bytes, pace, &mut walk)?;
        }
        let segment = writer.finish()?;
        self.keys = Some(keys);
        Ok((segment, changed))
    }
}

/// What the transactions before a batch say of it.
fn follow(transactions: &mut CleanedTransactions, batch: &RecordBatch) -> MarkerFate {
    if !batch.is_control() {
        let is_spent = transactions.data(batch.header());
        return MarkerFate { is_spent, aborted: None };
    }
    match batch.control_record() {
        Ok(control) => transactions.marker(batch.header(), control.as_ref()),
        // Nobody knows what it meant, so it stays.
        Err(_) => MarkerFate { is_spent: false, aborted: None },
    }
}

/// Shows every batch of a segment to `visit`, and whether it is the last one, until that says no; whether it never did.
fn walk_batches(
    place: &Place,
    source: &Source,
    block_bytes: usize,
    pace: &dyn Pace,
    visit: &mut dyn FnMut(&BatchHeader, Bytes, bool) -> Result<bool, CompactionError>,
) -> Result<bool, CompactionError> {
    let SegmentFacts { base_offset, size, .. } = source.facts;
    let path = Segment::log_path(place, base_offset);
    let file = place.fs.open(&path, OpenMode::Read).context("open", &path).map_err(CompactionError::reading)?;
    let mut scanner = BatchScanner::new(&*file, &path, 0, size, block_bytes);
    let mut offset = base_offset;
    loop {
        let header = match scanner.header()? {
            Scanned::Batch(header) => header,
            Scanned::End => return Ok(true),
            Scanned::Bad(source) => return Err(CompactionError::Damaged { path, offset, source }),
        };
        let bytes = scanner.batch(&header)?;
        pace.moved(bytes.len() as u64)?;
        let ends_segment = scanner.position() + header.size_in_bytes() as u64 == size;
        if !visit(&header, bytes, ends_segment)? {
            return Ok(false);
        }
        offset = header.next_offset();
        scanner.skip(&header);
    }
}

/// A batch whose bytes are what they were when it was written: damage must not get a CRC of its own.
fn checked(place: &Place, source: &Source, header: &BatchHeader, bytes: Bytes) -> Result<RecordBatch, CompactionError> {
    let batch = RecordBatch::parse(bytes).and_then(|batch| batch.check_crc().map(|()| batch));
    batch.map_err(|error| damaged(place, source, header, error))
}

fn damaged(
    place: &Place,
    source: &Source,
    header: &BatchHeader,
    error: raftsman_records::BatchError,
) -> CompactionError {
    let path = Segment::log_path(place, source.facts.base_offset);
    CompactionError::Damaged { path, offset: header.base_offset, source: error }
}
