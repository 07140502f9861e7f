use std::collections::BTreeMap;
use std::path::PathBuf;

use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::Recovery;
use crate::config::LogConfig;
use crate::error::{LogError, ReadError, StorageError};
use crate::place::Place;
use crate::scanner::{Depth, WalkEnd};
use crate::segment::Segment;

/// Loads the segments of one log: trusts those that were flushed, checks the others.
pub(super) struct SegmentLoader<'a> {
    pub(super) place: &'a Place,
    pub(super) config: &'a LogConfig,
    pub(super) clean_shutdown: bool,
    pub(super) recovery_point: Offset,
    pub(super) now: WallTime,
}

/// What the loader found.
#[derive(Debug, Default)]
pub(super) struct LoadedSegments {
    pub(super) segments: Vec<Segment>,
    pub(super) log_end_offset: Offset,
    /// Base offset of the first segment that was checked batch by batch.
    pub(super) scanned_from: Option<Offset>,
    /// Leader epochs of the checked batches and where each begins.
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
    /// Index files that were made anew and not synced.
    pub(super) side_files: Vec<PathBuf>,
    pub(super) recovery: Recovery,
}

impl SegmentLoader<'_> {
    /// Loads all of `files`, base offset to length.
    pub(super) fn load(&self, files: &BTreeMap<Offset, u64>) -> Result<LoadedSegments, LogError> {
        let mut loaded = LoadedSegments::default();
        let mut rest: Vec<(Offset, u64)> = files.iter().rev().map(|(base, length)| (*base, *length)).collect();
        let mut cut = None;
        while let Some((base_offset, length)) = rest.pop() {
            if !loaded.segments.is_empty() && !self.continues(&loaded, base_offset)? {
                rest.push((base_offset, length));
                cut = Some(());
                break;
            }
            let next_base = rest.last().map(|(base, _)| *base);
            let whole = self.load_segment(&mut loaded, base_offset, length, next_base)?;
            if !whole {
                cut = Some(());
                break;
            }
        }
        if loaded.log_end_offset < self.recovery_point {
            return Err(self.damage(&loaded, "the log ends here".to_owned()));
        }
        if cut.is_some() {
            self.remove_behind_cut(&mut loaded, &rest)?;
        }
        Ok(loaded)
    }

    /// Whether a segment of this base offset may follow what is loaded. If not, and nothing flushed is
    /// concerned, it and all behind it must go.
    fn continues(&self, loaded: &LoadedSegments, base_offset: Offset) -> Result<bool, LogError> {
        let end = loaded.log_end_offset;
        if base_offset == end || (base_offset > end && self.gap_is_from_compaction(loaded)?) {
            return Ok(true);
        }
        if end.min(base_offset) < self.recovery_point {
            return Err(self.damage(loaded, format!("the next segment starts at offset {base_offset} instead")));
        }
        Ok(false)
    }

    /// Whether the gap behind the newest segment may be one that compaction left. Ours leaves none between segments,
    /// Kafka's does.
    fn gap_is_from_compaction(&self, loaded: &LoadedSegments) -> Result<bool, StorageError> {
        match loaded.segments.last() {
            Some(last) if last.size == 0 => Ok(self.clean_shutdown),
            Some(last) => last.shows_compaction(self.place),
            None => Ok(false),
        }
    }

    /// Loads one segment; false if it had to be cut.
    fn load_segment(
        &self,
        loaded: &mut LoadedSegments,
        base_offset: Offset,
        length: u64,
        next_base: Option<Offset>,
    ) -> Result<bool, LogError> {
        let interval = self.config.index_interval_bytes;
        let flushed = next_base.is_some_and(|next| next <= self.recovery_point);
        if (self.clean_shutdown || flushed) && loaded.scanned_from.is_none() {
            let (segment, end, next_offset) = Segment::load(self.place, base_offset, length, interval, self.now)?;
            if end.problem.is_none() {
                self.keep_trusted(loaded, segment, next_offset, next_base.is_some())?;
                return Ok(true);
            }
            // Not as clean as it was said to be: check it like after a crash, which finds out whether
            // flushed data is concerned.
        }
        self.check_segment(loaded, base_offset, length, next_base.is_some())
    }

    fn keep_trusted(
        &self,
        loaded: &mut LoadedSegments,
        mut segment: Segment,
        next_offset: Offset,
        is_sealed: bool,
    ) -> Result<(), StorageError> {
        if is_sealed && segment.has_unwritten_indexes() {
            segment.seal(self.place, true)?;
            loaded.recovery.rebuilt_indexes += 1;
        }
        loaded.log_end_offset = next_offset;
        loaded.segments.push(segment);
        Ok(())
    }

    fn check_segment(
        &self,
        loaded: &mut LoadedSegments,
        base_offset: Offset,
        length: u64,
        is_sealed: bool,
    ) -> Result<bool, LogError> {
        let interval = self.config.index_interval_bytes;
        let unread = Segment::unread(self.place, base_offset, length, self.now);
        let epochs = &mut loaded.epochs;
        let mut transactional = false;
        let (mut segment, end, next_offset) = unread.rebuild(self.place, Depth::Crc, interval, |header| {
            let epoch = header.partition_leader_epoch;
            transactional |= header.is_transactional();
            if epochs.last().is_none_or(|(last, _)| *last != epoch) {
                epochs.push((epoch, header.base_offset));
            }
        })?;
        loaded.scanned_from.get_or_insert(base_offset);
        loaded.recovery.scanned_bytes += end.position;
        loaded.recovery.rebuilt_indexes += 1;
        loaded.log_end_offset = next_offset;
        let WalkEnd { position, problem } = end;
        let whole = problem.is_none();
        if let Some(problem) = problem {
            if next_offset < self.recovery_point {
                segment.size = position;
                loaded.segments.push(segment);
                return Err(self.damage(loaded, problem.to_string()));
            }
            tracing::info!(segment = %segment.path(self.place).display(), position, %problem, "cutting off a torn tail");
            segment.cut_tail(self.place, position)?;
            loaded.recovery.truncated_bytes += length - position;
        } else if is_sealed {
            segment.seal(self.place, false)?;
            loaded.side_files.extend(segment.index_paths(self.place));
        }
        segment.doubt_transactions(self.place)?;
        segment.transactions_in_doubt = transactional;
        segment.synced_size = 0;
        segment.close_file();
        loaded.segments.push(segment);
        Ok(whole)
    }

    fn remove_behind_cut(&self, loaded: &mut LoadedSegments, rest: &[(Offset, u64)]) -> Result<(), StorageError> {
        // Newest first, so that a crash in between leaves no gap.
        for (base_offset, length) in rest {
            Segment::unread(self.place, *base_offset, *length, self.now).remove(self.place)?;
            loaded.recovery.truncated_bytes += length;
            loaded.recovery.removed_segments += 1;
        }
        // A cut that fell between two segments happens with both of them trusted, too.
        loaded.scanned_from.get_or_insert(loaded.log_end_offset);
        Ok(())
    }

    fn damage(&self, loaded: &LoadedSegments, reason: String) -> LogError {
        let (path, position) = match loaded.segments.last() {
            Some(last) => (last.path(self.place), last.size),
            None => (self.place.directory.to_path_buf(), 0),
        };
        let (offset, recovery_point) = (loaded.log_end_offset, self.recovery_point);
        LogError::DamagedBelowRecoveryPoint { path, position, offset, recovery_point, reason }
    }
}

impl From<crate::segment::FindError> for ReadError {
    fn from(error: crate::segment::FindError) -> ReadError {
        match error {
            crate::segment::FindError::Damaged { path, position, source } => {
                ReadError::Damaged { path, position, source }
            }
            crate::segment::FindError::Storage(error) => ReadError::Storage(error),
        }
    }
}
