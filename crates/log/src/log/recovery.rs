use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use raftsman_records::{BATCH_HEADER_BYTES, BatchError};
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::Recovery;
use super::epoch_recovery::{EpochDoubt, agrees_at};
use super::partition_files::read_snapshot;
use crate::config::LogConfig;
use crate::epoch_cache::EpochCache;
use crate::error::{IoContext, LogError, ReadError, StorageError};
use crate::fs::OpenMode;
use crate::place::Place;
use crate::scanner::{BatchScanner, Depth, Known, WalkEnd};
use crate::segment::Segment;

/// How much is checked before it is told.
const TELL_FROM_BYTES: u64 = 1 << 20;

/// Loads the segments of one log: trusts those that were flushed, checks the others.
pub(super) struct SegmentLoader<'a> {
    /// The epochs the log is said to have, if anything says so.
    pub(super) epochs: Option<&'a EpochCache>,
    pub(super) place: &'a Place,
    pub(super) config: &'a LogConfig,
    pub(super) clean_shutdown: bool,
    pub(super) recovery_point: Offset,
    /// What the directory's checkpoint says of it, whatever caps it.
    pub(super) checkpointed: Offset,
    pub(super) now: WallTime,
    /// Told now and then how many more bytes were checked.
    pub(super) checked: &'a dyn Fn(u64),
}

/// One segment, read batch by batch.
struct Scan {
    segment: Segment,
    end: WalkEnd,
    next_offset: Offset,
    epochs: Vec<(LeaderEpoch, Offset)>,
    /// With that of the segments before.
    epoch_doubt: EpochDoubt,
    is_transactional: bool,
    has_producers: bool,
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
    /// How the checked batches and the file of the epochs go together.
    pub(super) epoch_doubt: EpochDoubt,
    /// Index files that were made anew and not synced.
    pub(super) side_files: Vec<PathBuf>,
    pub(super) recovery: Recovery,
}

impl SegmentLoader<'_> {
    /// Loads all of `files`, base offset to length. After a clean stop the log ends at its recovery point; where it does not,
    /// the one or the other is not what was left, and the batches are checked as after a crash.
    pub(super) fn load(&self, files: &BTreeMap<Offset, u64>) -> Result<LoadedSegments, LogError> {
        if !self.clean_shutdown {
            return self.load_all(files);
        }
        let loaded = self.load_all(files)?;
        if loaded.log_end_offset == self.checkpointed || loaded.scanned_from.is_some() {
            return Ok(loaded);
        }
        let (end, recovery_point) = (loaded.log_end_offset, self.checkpointed);
        tracing::warn!(log = %self.place.directory.display(), end, recovery_point, "was stopped cleanly and does not end at its recovery point; checking it");
        SegmentLoader { clean_shutdown: false, ..*self }.load_all(files)
    }

    fn load_all(&self, files: &BTreeMap<Offset, u64>) -> Result<LoadedSegments, LogError> {
        let mut loaded = LoadedSegments::default();
        let mut rest: Vec<(Offset, u64)> = files.iter().rev().map(|(base, length)| (*base, *length)).collect();
        let (mut cut, mut intruders) = (None, Vec::new());
        while let Some((base_offset, length)) = rest.pop() {
            if !loaded.segments.is_empty() && !self.continues(&loaded, base_offset)? {
                if rest.iter().any(|(base, _)| *base == loaded.log_end_offset) {
                    intruders.push((base_offset, length));
                    continue;
                }
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
        self.refuse_wrong_epoch(&loaded)?;
        self.remove_intruders(&mut loaded, &intruders)?;
        if cut.is_some() {
            self.remove_behind_cut(&mut loaded, &rest)?;
        }
        Ok(loaded)
    }

    /// Whether a segment of this base offset may follow what is loaded. If not, and nothing flushed is
    /// concerned, it and all behind it must go.
    fn continues(&self, loaded: &LoadedSegments, base_offset: Offset) -> Result<bool, LogError> {
        let end = loaded.log_end_offset;
        if base_offset == end || (base_offset > end && self.gap_is_from_compaction(loaded, base_offset)?) {
            return Ok(true);
        }
        if end.min(base_offset) < self.recovery_point {
            return Err(self.damage(loaded, format!("the next segment starts at offset {base_offset} instead")));
        }
        Ok(false)
    }

    /// Whether the gap between the newest segment and that of `base_offset` may be one that compaction left. Ours leaves none
    /// between segments, Kafka's does, whose snapshots have no seal.
    fn gap_is_from_compaction(&self, loaded: &LoadedSegments, base_offset: Offset) -> Result<bool, StorageError> {
        let snapshot = read_snapshot(self.place, base_offset)?;
        if snapshot.as_ref().is_some_and(|snapshot| snapshot.seal.is_some()) {
            return Ok(false);
        }
        match loaded.segments.last() {
            // Kafka's cleaner keeps a segment of which nothing is left. In a log of ours it would be one that lost its records.
            Some(last) if last.size == 0 => {
                Ok(self.clean_shutdown || snapshot.is_some() && base_offset <= self.recovery_point)
            }
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
            let known = self.known(loaded, base_offset, next_base)?;
            let (segment, end, next_offset) =
                Segment::load(self.place, base_offset, length, known, interval, self.now)?;
            if end.problem.is_none() {
                self.keep_trusted(loaded, segment, next_offset, next_base.is_some())?;
                return Ok(true);
            }
            // Not as clean as it was said to be: check it like after a crash, which finds out whether
            // flushed data is concerned.
        }
        self.check_segment(loaded, base_offset, length, next_base)
    }

    fn known(
        &self,
        loaded: &LoadedSegments,
        base_offset: Offset,
        next_base: Option<Offset>,
    ) -> Result<Known<'_>, StorageError> {
        Ok(Known {
            first_offset: Some(base_offset),
            end: next_base.unwrap_or(self.checkpointed),
            end_is_certain: next_base.is_some(),
            next_epoch: None,
            epochs: match (self.epochs, loaded.segments.last()) {
                // Where the batch in front contradicts it, too, the file is what is wrong.
                (Some(epochs), Some(last)) if !agrees_at(self.place, epochs, last, base_offset - 1)? => None,
                (epochs, _) => epochs,
            },
        })
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
        next_base: Option<Offset>,
    ) -> Result<bool, LogError> {
        let Scan {
            mut segment,
            end: WalkEnd { position, problem },
            next_offset,
            epochs,
            epoch_doubt,
            is_transactional,
            has_producers,
        } = self.scan(loaded, base_offset, length, next_base)?;
        loaded.epoch_doubt = epoch_doubt;
        for (epoch, offset) in epochs {
            if loaded.epochs.last().is_none_or(|(last, _)| *last != epoch) {
                loaded.epochs.push((epoch, offset));
            }
        }
        loaded.scanned_from.get_or_insert(base_offset);
        loaded.recovery.scanned_bytes += position;
        loaded.recovery.rebuilt_indexes += 1;
        loaded.log_end_offset = next_offset;
        // What stands behind the last batch of a segment that is followed by its successor is too much, but nothing is missing.
        let whole = problem.is_none() || next_base == Some(next_offset);
        if let Some(problem) = problem {
            refuse_legacy_format(self.place, &segment.path(self.place), position, &problem, next_offset)?;
            if next_offset < self.recovery_point && !whole {
                segment.size = position;
                loaded.segments.push(segment);
                return Err(self.damage(loaded, problem.to_string()));
            }
            self.refuse_wrong_epoch(loaded)?;
            tracing::info!(segment = %segment.path(self.place).display(), position, %problem, "cutting off a torn tail");
            segment.cut_tail(self.place, position)?;
            loaded.recovery.truncated_bytes += length - position;
        }
        if whole && next_base.is_some() {
            segment.seal(self.place, false)?;
            loaded.side_files.extend(segment.index_paths(self.place));
        }
        segment.doubt_transactions(self.place)?;
        segment.transactions_in_doubt = is_transactional;
        segment.is_without_producers = !has_producers;
        segment.synced_size = 0;
        segment.close_file();
        loaded.segments.push(segment);
        Ok(whole)
    }

    /// Reads a segment's batches one by one; once more up to where they are good, if a later one proved some wrong.
    fn scan(
        &self,
        loaded: &LoadedSegments,
        base_offset: Offset,
        length: u64,
        next_base: Option<Offset>,
    ) -> Result<Scan, StorageError> {
        let next_epoch = next_base.map(|next| Segment::first_epoch(self.place, next)).transpose()?.flatten();
        let known = Known { next_epoch, ..self.known(loaded, base_offset, next_base)? };
        let interval = self.config.index_interval_bytes;
        let mut upto = length;
        let mut first_problem = None;
        loop {
            let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
            let mut epoch_doubt = loaded.epoch_doubt.clone();
            let (mut is_transactional, mut has_producers) = (false, false);
            let (mut passed, mut told, mut expected) = (0, 0, base_offset);
            let unread = Segment::unread(self.place, base_offset, upto, self.now);
            let (segment, end, next_offset) = unread.rebuild(self.place, known, Depth::Crc, interval, |header| {
                let epoch = header.partition_leader_epoch;
                is_transactional |= header.is_transactional();
                has_producers |= header.has_producer_id();
                if let Some(stored) = self.epochs {
                    epoch_doubt.note(stored, header, || (Segment::log_path(self.place, base_offset), passed));
                }
                passed += header.size_in_bytes() as u64;
                if passed - told >= TELL_FROM_BYTES {
                    (self.checked)(passed - std::mem::replace(&mut told, passed));
                }
                if epochs.last().is_none_or(|(last, _)| *last != epoch) {
                    // What compaction took away in front of it may have been of this epoch already.
                    epochs.push((epoch, if epochs.is_empty() { header.base_offset } else { expected }));
                }
                expected = header.next_offset();
            })?;
            (self.checked)(passed - told);
            let WalkEnd { position, problem } = end;
            let problem = first_problem.take().or(problem);
            if passed <= position {
                let end = WalkEnd { position, problem };
                return Ok(Scan { segment, end, next_offset, epochs, epoch_doubt, is_transactional, has_producers });
            }
            (upto, first_problem) = (position, problem);
        }
    }

    /// Removes segments that overlap with the one in front of them, which another one continues: no log is written so.
    fn remove_intruders(&self, loaded: &mut LoadedSegments, intruders: &[(Offset, u64)]) -> Result<(), StorageError> {
        for (base_offset, length) in intruders {
            let segment = Segment::unread(self.place, *base_offset, *length, self.now);
            tracing::warn!(segment = %segment.path(self.place).display(), "does not belong to the log; removing it");
            segment.remove(self.place)?;
            loaded.recovery.removed_segments += 1;
        }
        Ok(())
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

    /// A flushed batch whose leader epoch cannot be is damage like any other. Of one that was not flushed a reader is told.
    fn refuse_wrong_epoch(&self, loaded: &LoadedSegments) -> Result<(), LogError> {
        let Some(suspect) = loaded.epoch_doubt.damaged() else { return Ok(()) };
        let (offset, recovery_point) = (suspect.base_offset, self.recovery_point);
        if offset >= recovery_point {
            tracing::error!(segment = %suspect.segment.display(), offset, "a batch is not of the leader epoch it says");
            return Ok(());
        }
        let reason = "the log never had its leader epoch there, says leader-epoch-checkpoint, \
                      which can be removed if the batch is to be believed"
            .to_owned();
        let (path, position) = (suspect.segment.clone(), suspect.position);
        Err(LogError::DamagedBelowRecoveryPoint { path, position, offset, recovery_point, reason })
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

/// A message of before v2 is neither damage nor the torn tail of a crash, which would be cut off: whole, and with its CRC.
pub(super) fn refuse_legacy_format(
    place: &Place,
    path: &Path,
    position: u64,
    problem: &BatchError,
    offset: Offset,
) -> Result<(), LogError> {
    let BatchError::LegacyMagic(magic) = *problem else { return Ok(()) };
    let file = place.fs.open(path, OpenMode::Read).context("open", path)?;
    let end = file.length().context("read", path)?;
    if BatchScanner::new(&*file, path, position, end, BATCH_HEADER_BYTES).is_at_legacy_message()? {
        return Err(LogError::LegacyFormat { path: path.to_path_buf(), position, offset, magic });
    }
    Ok(())
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
