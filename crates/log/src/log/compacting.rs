use std::path::PathBuf;
use std::sync::Arc;

use raftsman_types::{Offset, WallTime};

use super::Log;
use crate::compaction::{
    CleanedFiles, CleanedGroup, Compaction, CompactionLimits, CompactionPlan, CompactionStats, RenamedFiles,
    SegmentFacts, Source,
};
use crate::error::{IoContext, LogError, StorageError};
use crate::index::AbortedTransaction;
use crate::segment::Segment;

/// Files of deleted segments, kept until it is time.
#[derive(Debug)]
pub(crate) struct DeletedFiles {
    paths: Vec<PathBuf>,
    due: WallTime,
}

impl Log {
    /// Up to where the log is compacted: what belongs into the directory's `cleaner-offset-checkpoint`.
    pub fn compacted_upto(&self) -> Offset {
        self.compacted_upto
    }

    /// What `cleaner-offset-checkpoint` says when the log was opened. It counts only as far as the recovery point does:
    /// past a truncation that it has not heard of there may be other records.
    pub fn restore_compacted_upto(&mut self, offset: Offset) {
        self.compacted_upto = offset.min(self.checkpointed_recovery_point);
    }

    /// What a compaction would be about, if one is due by the topic's settings. Nothing at or past `high_watermark` or
    /// the last stable offset is touched, nor what a recovery would have to check.
    ///
    /// # Errors
    /// Storage.
    pub fn compaction_due(&self, high_watermark: Offset, now: WallTime) -> Result<Option<CompactionPlan>, LogError> {
        self.check_online()?;
        if !self.config.compact || self.segments.len() < 2 {
            return Ok(None);
        }
        let plan = self.plan_compaction(high_watermark, now)?;
        Ok(plan.map(|(plan, _)| plan).filter(|plan| plan.is_due(&self.config)))
    }

    fn plan_compaction(
        &self,
        high_watermark: Offset,
        now: WallTime,
    ) -> Result<Option<(CompactionPlan, Vec<SegmentFacts>)>, StorageError> {
        let limit = self.last_stable_offset_below(high_watermark).min(self.checkpointed_recovery_point);
        let mut facts = Vec::with_capacity(self.segments.len());
        for pair in self.segments.windows(2) {
            facts.push(self.facts(&pair[0], pair[1].base_offset)?);
        }
        let plan = CompactionPlan::new(&facts, self.compacted_upto, limit, &self.config, now);
        Ok(plan.map(|plan| (plan, facts)))
    }

    fn facts(&self, segment: &Segment, next_base: Offset) -> Result<SegmentFacts, StorageError> {
        Ok(SegmentFacts {
            base_offset: segment.base_offset,
            next_base,
            size: segment.size,
            index_bytes: segment.index_bytes(),
            first_timestamp: segment.first_timestamp(),
            // Costs a look at the file where records have no timestamps.
            newest: if self.config.min_compaction_lag_ms > 0 { segment.newest(&self.place)? } else { 0 },
        })
    }

    /// Begins a compaction of all there is to compact; `None` if there is nothing. It works beside the log. One at a
    /// time for each log: what an earlier one has not swapped in is refused.
    ///
    /// # Errors
    /// Storage.
    pub fn begin_compaction(
        &mut self,
        high_watermark: Offset,
        limits: CompactionLimits,
        now: WallTime,
    ) -> Result<Option<Compaction>, LogError> {
        self.check_online()?;
        let Some((plan, facts)) = self.plan_compaction(high_watermark, now)? else { return Ok(None) };
        let aborted_later = self.aborted_across(plan.upto)?;
        self.compactions += 1;
        let source =
            |(facts, segment): (SegmentFacts, &Segment)| Source { facts, transactions: segment.transactions.clone() };
        let sources =
            facts.into_iter().zip(&self.segments).filter(|(facts, _)| facts.next_base <= plan.upto).map(source);
        Ok(Some(Compaction {
            place: self.place.clone(),
            config: Arc::clone(&self.config),
            limits,
            plan,
            generation: self.compaction_generation(),
            now,
            last_records: self.producers.last_records(),
            sources: sources.collect(),
            aborted_later,
            keys: None,
            end: plan.first_dirty,
            groups: Vec::new(),
            transactions: Default::default(),
            stats: CompactionStats::default(),
        }))
    }

    /// Aborted transactions that began below `upto` and whose markers are at or past it: the indexes of the segments below do
    /// not have them.
    fn aborted_across(&self, upto: Offset) -> Result<Vec<AbortedTransaction>, StorageError> {
        let mut aborted = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.base_offset >= upto) {
            for entry in segment.transactions.entries(&self.place, segment.base_offset)? {
                if entry.first_offset < upto {
                    aborted.push(entry);
                }
                if entry.last_stable_offset >= upto {
                    return Ok(aborted);
                }
            }
        }
        Ok(aborted)
    }

    /// The first step of putting a compacted segment in its place: from here on a crash lets it win over those it
    /// replaces. `CleanedGroup::sync_names` has to follow, without the log's lock, then [`Log::swap`]. False if the log
    /// has changed so that it does not fit any more; the compaction is over then.
    ///
    /// # Errors
    /// Storage. Unless there was no room, the log is then offline; else it is as it was, and the compaction is over.
    pub fn announce_swap(&mut self, group: &CleanedGroup) -> Result<bool, LogError> {
        self.check_online()?;
        if self.replaced_by(group).is_none() {
            return Ok(false);
        }
        let files = CleanedFiles { place: &self.place, base_offset: group.base_offset };
        let renamed = files.rename(".cleaned", ".swap");
        // Without the log file nothing is announced: somebody removed it with the directory it was in.
        let renamed = self.latch_unless_passing(renamed)?.into_paths();
        Ok(renamed.last().is_some_and(|path| path.to_string_lossy().ends_with(".log.swap")))
    }

    /// The second step: the old segments' files become `.deleted`, and the new one is read from here on. The next flush
    /// makes it durable. False as for [`Log::announce_swap`].
    ///
    /// # Errors
    /// As for [`Log::announce_swap`].
    pub fn swap(&mut self, mut group: CleanedGroup, now: WallTime) -> Result<bool, LogError> {
        self.check_online()?;
        let Some(replaced) = self.replaced_by(&group) else { return Ok(false) };
        if group.segment.is_none() {
            return Ok(false);
        }
        let renamed = self.rename_into_place(&group, replaced.clone());
        if renamed.as_ref().is_err_and(|error| !error.is_passing()) {
            // The old segments' files may have lost their names: who opens the log next finishes what was announced, and needs the
            // new one for it.
            group.segment = None;
        }
        let retired = self.latch_unless_passing(renamed)?;
        let Some(segment) = group.segment.take() else { return Ok(false) };
        let swapped = self.put_in_place(segment, replaced, retired, now);
        self.latch(swapped)?;
        Ok(true)
    }

    /// A compaction has swapped in all its groups: the log is compacted up to there.
    pub fn compaction_finished(&mut self, compaction: &Compaction) {
        if compaction.generation == self.compaction_generation() {
            self.compacted_upto = self.compacted_upto.max(compaction.end()).min(self.checkpointed_recovery_point);
        }
    }

    /// Changes with every truncation and with every compaction that begins.
    fn compaction_generation(&self) -> (u64, u64) {
        (self.generation, self.compactions)
    }

    /// The segments that a compacted one takes the place of, if all of them are still as they were.
    fn replaced_by(&self, group: &CleanedGroup) -> Option<std::ops::Range<usize>> {
        if group.generation != self.compaction_generation() {
            return None;
        }
        let first = self.segments.binary_search_by_key(&group.base_offset, |segment| segment.base_offset).ok()?;
        let replaced = first..first + group.replaces.len();
        let is_sealed = replaced.end < self.segments.len();
        let same = |(segment, replaced): (&Segment, &(Offset, u64))| (segment.base_offset, segment.size) == *replaced;
        (is_sealed && self.segments[replaced.clone()].iter().zip(&group.replaces).all(same)).then_some(replaced)
    }

    /// Takes the old segments' files away and gives the new one's their names; the new paths of the old ones. Where there is
    /// no room for that all get their names back. After any other error they are left as a crash would leave them.
    fn rename_into_place(
        &self,
        group: &CleanedGroup,
        replaced: std::ops::Range<usize>,
    ) -> Result<Vec<PathBuf>, StorageError> {
        let place = &self.place;
        let mut retired = RenamedFiles::default();
        // Oldest first: what a crash leaves of them is the newest part, which needs nothing of the others.
        let taken_away = self.segments[replaced].iter().try_for_each(|old| {
            retired.append(CleanedFiles { place, base_offset: old.base_offset }.rename("", ".deleted")?);
            Ok(())
        });
        let renamed =
            taken_away.and_then(|()| CleanedFiles { place, base_offset: group.base_offset }.rename(".swap", ""));
        match renamed {
            Err(error) if error.is_passing() => Err(retired.undo(place, error)),
            Err(error) => Err(error),
            Ok(_) => Ok(retired.into_paths()),
        }
    }

    /// The files are in their places: so is the segment from here on.
    fn put_in_place(
        &mut self,
        segment: Segment,
        replaced: std::ops::Range<usize>,
        retired: Vec<PathBuf>,
        now: WallTime,
    ) -> Result<(), StorageError> {
        let base_offset = segment.base_offset;
        let upto = self.segments[replaced.end].base_offset;
        let mut has_transactions = !segment.transactions.is_empty();
        self.retired(retired, now);
        let old: Vec<Segment> = self.segments.splice(replaced, [segment]).collect();
        for segment in old {
            has_transactions |= !segment.transactions.is_empty();
            if segment.base_offset != base_offset {
                self.forget_snapshot(segment.base_offset)?;
            }
        }
        let path = Segment::log_path(&self.place, base_offset);
        if !self.place.fs.exists(&path).context("look at", &path)? {
            return Err(StorageError::new("find", &path, std::io::ErrorKind::NotFound.into()));
        }
        if has_transactions {
            match self.reseal_transactions(base_offset, upto) {
                // What a crash just before this leaves, too: the index is found not to be what the snapshot says, and made anew.
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, "a compacted segment's index of aborted transactions is made anew at the next start");
                }
                resealed => resealed?,
            }
        }
        // It may still have what was just dropped, aborted records among it, which the index speaks of no more.
        self.tail.forget_below(upto);
        Ok(())
    }

    /// A segment's files were taken away: they stay as `.deleted` for `file.delete.delay.ms`.
    pub(super) fn retired(&mut self, paths: Vec<PathBuf>, now: WallTime) {
        self.names_changed += 1;
        let due = WallTime(now.0.saturating_add(self.config.file_delete_delay_ms.max(0)));
        self.deleted.push(DeletedFiles { paths, due });
    }

    /// Files of deleted segments whose time is over, to be removed: best without the log's lock, for that may take
    /// long. What nobody removes goes when the log is opened.
    pub fn take_due_deletions(&mut self, now: WallTime) -> Vec<PathBuf> {
        if self.deleted.is_empty() {
            return Vec::new();
        }
        let (due, later) = std::mem::take(&mut self.deleted).into_iter().partition(|files| files.due <= now);
        self.deleted = later;
        due.into_iter().flat_map(|files: DeletedFiles| files.paths).collect()
    }
}
