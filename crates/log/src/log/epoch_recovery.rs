//! The leader epochs of a log that is opened: what the checkpoint file says, as far as the batches bear it out.

use std::path::PathBuf;

use raftsman_records::BatchHeader;
use raftsman_types::Offset;

use super::recovery::LoadedSegments;
use crate::epoch_cache::EpochCache;
use crate::error::StorageError;
use crate::place::Place;
use crate::segment::{FindError, Segment};

/// The batches that were checked, held against the file of the epochs. The epoch of a batch lies outside of its CRC.
///
/// A file that is older than the batches, as a power cut may leave it, is contradicted by all that were written since. So one
/// batch alone, with others behind it that are of the epochs they should be, is not of the epoch it says, or the file names
/// another beginning of an epoch than it did: damage, either way.
#[derive(Debug, Clone, Default)]
pub(super) struct EpochDoubt {
    contradictions: usize,
    suspect: Option<Suspect>,
    /// Whether a batch behind the suspect is of the epoch it should be.
    is_confirmed: bool,
}

/// A batch that is not of the epoch it should be.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    pub(super) segment: PathBuf,
    pub(super) position: u64,
    pub(super) base_offset: Offset,
}

impl EpochDoubt {
    /// Takes in the next batch; `place` says where it is.
    pub(super) fn note(&mut self, stored: &EpochCache, header: &BatchHeader, place: impl FnOnce() -> (PathBuf, u64)) {
        let (first, last) = (stored.epoch_of(header.base_offset), stored.epoch_of(header.last_offset()));
        match last {
            None => return,
            Some(said) if said == header.partition_leader_epoch => {
                self.is_confirmed |= self.suspect.is_some();
                return;
            }
            Some(_) => {}
        }
        // No epoch begins within a batch: then it is the file that is wrong, however many contradict it.
        self.contradictions += if first.is_some() && first != last { 2 } else { 1 };
        let base_offset = header.base_offset;
        self.suspect.get_or_insert_with(|| {
            let (segment, position) = place();
            Suspect { segment, position, base_offset }
        });
    }

    /// The batch that is damaged, or the file in its place.
    pub(super) fn damaged(&self) -> Option<&Suspect> {
        self.suspect.as_ref().filter(|_| self.contradictions == 1 && self.is_confirmed)
    }
}

/// The epochs of the checkpoint file, with what the checked batches say in place of what it says about
/// them. Only an epoch that wrote nothing stands in the file alone, and it is kept. A file that batches contradict is made anew
/// from all of them.
pub(super) fn restore_epochs(
    place: &Place,
    stored: Option<EpochCache>,
    loaded: &LoadedSegments,
) -> Result<EpochCache, StorageError> {
    let end = loaded.log_end_offset;
    let mut silent = None;
    let agreed = match stored {
        Some(stored) if agrees(place, &stored, loaded)? => Ok(stored),
        stored => Err(rebuild(place, stored, loaded)?),
    };
    let mut epochs = match agreed {
        Ok(mut epochs) => {
            silent = epochs.latest().filter(|entry| entry.start_offset == end);
            let batches_are_right = loaded.epoch_doubt.damaged().is_none();
            if batches_are_right && loaded.epochs.iter().any(|(epoch, offset)| epochs.epoch_of(*offset) != Some(*epoch))
            {
                epochs.truncate_from_end(loaded.scanned_from.unwrap_or(end));
                for &(epoch, offset) in &loaded.epochs {
                    epochs.assign(epoch, offset);
                }
            }
            epochs
        }
        Err(rebuilt) => rebuilt,
    };
    epochs.truncate_from_end(end.saturating_add(1));
    if let Some(silent) = silent {
        epochs.assign(silent.epoch, silent.start_offset);
    }
    epochs.truncate_from_start(loaded.segments.first().map_or(0, |first| first.base_offset));
    Ok(epochs)
}

/// The epochs by the batches; or by the file, if it is one batch alone that contradicts it, or they contradict each other: that
/// one is told of when it is read.
fn rebuild(place: &Place, stored: Option<EpochCache>, loaded: &LoadedSegments) -> Result<EpochCache, StorageError> {
    let mut epochs = EpochCache::default();
    let mut expected = None;
    let (mut contradictions, mut file_is_wrong, mut in_order) = (0, false, true);
    for segment in &loaded.segments {
        in_order &= segment.visit_headers(place, |header| {
            let epoch = header.partition_leader_epoch;
            in_order &= epochs.accepts(epoch);
            let said = |offset| stored.as_ref().and_then(|stored| stored.epoch_of(offset));
            let (first, last) = (said(header.base_offset), said(header.last_offset()));
            // No epoch begins within a batch, whatever epoch that is of.
            file_is_wrong |= first.is_some() && first != last;
            contradictions += usize::from(last.is_some_and(|said| said != epoch));
            // What compaction took away in front of it may have been of this epoch already.
            epochs.assign(epoch, expected.unwrap_or(header.base_offset));
            expected = Some(header.next_offset());
        })?;
    }
    match stored {
        Some(stored) if !in_order || (contradictions < 2 && !file_is_wrong) => Ok(stored),
        // A log that nobody wrote to has neither.
        None if epochs.entries().is_empty() => Ok(epochs),
        _ => {
            tracing::warn!(log = %place.directory.display(), "the leader epochs were found anew from the batches");
            Ok(epochs)
        }
    }
}

/// Whether the batches around the start of each epoch, of those that were not checked, are of the epochs they should be.
fn agrees(place: &Place, stored: &EpochCache, loaded: &LoadedSegments) -> Result<bool, StorageError> {
    let upto = loaded.scanned_from.unwrap_or(loaded.log_end_offset);
    let first = loaded.segments.first().map_or(0, |first| first.base_offset);
    let starts = stored.entries().iter().map(|entry| entry.start_offset);
    for offset in starts.flat_map(|start| [start - 1, start]).chain([first, upto - 1]) {
        let i = loaded.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
        let Some(segment) = loaded.segments.get(i).filter(|_| (first..upto).contains(&offset)) else { continue };
        if !agrees_at(place, stored, segment, offset)? {
            tracing::warn!(log = %place.directory.display(), offset, "the file of leader epochs and a batch differ");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the batch of an offset is of the epoch it should be.
pub(super) fn agrees_at(
    place: &Place,
    stored: &EpochCache,
    segment: &Segment,
    offset: Offset,
) -> Result<bool, StorageError> {
    if segment.size == 0 {
        return Ok(true);
    }
    let file = segment.reader(place)?;
    match segment.find(place, &*file, offset) {
        // The start of the log may lie in a batch, which is older than what the file still knows.
        Ok(Some(found)) => {
            let epoch = found.header.partition_leader_epoch;
            let said = |offset| stored.epoch_of(offset).is_none_or(|said| said == epoch);
            Ok(said(found.header.base_offset) && said(found.header.last_offset()))
        }
        // Told when it is read.
        Ok(None) | Err(FindError::Damaged { .. }) => Ok(true),
        Err(FindError::Storage(error)) => Err(error),
    }
}
