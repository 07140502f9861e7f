//! The log itself, one file per thing it does.

mod append;
mod compacting;
mod deferring;
mod epoch_recovery;
mod flushing;
mod open;
mod partition_files;
mod reading;
mod recovery;
mod retention;
mod stored_batches;
mod swap_recovery;
mod timestamps;
mod transactions;
mod truncation;

pub(crate) use partition_files::read_topic_id;

pub use append::AppendInfo;
pub use open::{LeftBehind, LogOpening, Recovery};
pub use reading::ReadData;
pub use retention::DeletedSegments;
pub use timestamps::{SegmentTime, TimestampLookup};

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_types::{LeaderEpoch, Offset, TopicId, WallTime};

use self::partition_files::Caps;
use crate::config::LogConfig;
use crate::epoch_cache::EpochCache;
use crate::epoch_file::EpochFile;
use crate::error::{LogError, StorageError};
use crate::place::Place;
use crate::producer::{ProducerState, UnreplicatedTransactions};
use crate::segment::Segment;
use crate::tail_cache::{CacheBudget, TailCache};

/// One partition's log on one disk. See the crate's words for what always holds.
#[derive(Debug)]
pub struct Log {
    place: Place,
    topic_id: TopicId,
    config: Arc<LogConfig>,
    /// By base offset, never empty; the last one is written to.
    segments: Vec<Segment>,
    log_start_offset: Offset,
    log_end_offset: Offset,
    /// Everything below is on disk.
    flushed_offset: Offset,
    last_flush: WallTime,
    /// Rises with each truncation: flushes begun before it no longer count.
    generation: u64,
    /// Files made, renamed or removed so far, and how many of these changes are on disk.
    names_changed: u64,
    names_synced: u64,
    /// Whether the name of the log's own directory is not on disk yet.
    is_new: bool,
    /// Index and snapshot files of rolled segments that the next flush syncs.
    unsynced_side_files: Vec<std::path::PathBuf>,
    epochs: EpochCache,
    epoch_file: Arc<EpochFile>,
    epoch_version: u64,
    epoch_version_durable: u64,
    producers: ProducerState,
    first_open_transaction: Option<Offset>,
    unreplicated_transactions: UnreplicatedTransactions,
    tail: TailCache,
    /// Whether appends may wait for the next flush to be written, and what bounds the memory that takes.
    defers_writes: bool,
    deferral_budget: Option<Arc<CacheBudget>>,
    /// The note on disk on what of the checkpoint files is to be believed, if there is one (see `partition_files`).
    caps: Option<Caps>,
    /// The note that was removed last, and the change of names that did it: until that is synced a power cut brings the note back.
    lifted_caps: Option<(Caps, u64)>,
    /// What the directory's checkpoint file says of the recovery point: a recovery checks nothing below.
    checkpointed_recovery_point: Offset,
    /// Up to where it was compacted.
    compacted_upto: Offset,
    /// Compactions begun.
    compactions: u64,
    deleted: Vec<compacting::DeletedFiles>,
    /// What an empty log's snapshot is to say, and of which offset, while there is no room for it.
    put_off_snapshot: Option<(Offset, Bytes)>,
    offline: Option<Box<StorageError>>,
}

impl Log {
    /// The partition's directory.
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// The id of the partition's topic.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The configuration in force.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Puts another configuration in force, for what is done from now on.
    pub fn set_config(&mut self, config: impl Into<Arc<LogConfig>>) {
        self.config = config.into();
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// How often the log was cut or begun anew since it was opened: what was read of it before that may say too much.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether [`Log::restore_log_start_offset`] would heed the directory's checkpoint, if that says `checkpointed` and the log
    /// were opened after a power cut now. Between a truncation, or the log's making, and the flush after
    /// [`Log::recovery_point_checkpointed`] only as far as the records below are what they were.
    pub fn heeds_checkpointed_start(&self, checkpointed: Offset) -> bool {
        let may_come_back = self.lifted_caps.filter(|(_, change)| self.names_synced < *change).map(|(caps, _)| caps);
        self.caps.into_iter().chain(may_come_back).all(|caps| checkpointed <= caps.log_start)
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// Everything below this offset survives a power cut.
    pub fn flushed_offset(&self) -> Offset {
        self.flushed_offset
    }

    /// What belongs into the directory's `recovery-point-offset-checkpoint`: the flushed offset. After
    /// it is written there, see [`Log::recovery_point_checkpointed`].
    pub fn recovery_point(&self) -> Offset {
        self.flushed_offset
    }

    /// First offset of the oldest open transaction, or the log end offset: the last stable offset if all of the log is
    /// committed. A broker asks for that [below its high watermark](Log::last_stable_offset_below).
    pub fn last_stable_offset(&self) -> Offset {
        self.first_open_transaction.unwrap_or(self.log_end_offset)
    }

    /// Bytes of batches in the log.
    pub fn size_in_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Segment files of the log.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Producers remembered.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// The error that took the log offline, if it is.
    pub fn offline_error(&self) -> Option<&StorageError> {
        self.offline.as_deref()
    }

    /// Shares the memory of the tail cache with the other logs of the broker.
    pub fn set_cache_budget(&mut self, budget: Arc<CacheBudget>) {
        self.tail.set_budget(budget);
    }

    /// The leader epoch of the last batch, or of a later leader that has written nothing yet.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// Where the latest leader epoch began.
    pub fn latest_epoch_start(&self) -> Option<Offset> {
        self.epochs.latest().map(|entry| entry.start_offset)
    }

    /// The leader epoch that wrote `offset`.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_of(offset)
    }

    /// The largest epoch known at or below `epoch`, and the offset it ends before (KIP-279). For an epoch
    /// older than all known ones: that epoch and the first offset known. `None` without any epoch.
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.log_end_offset)
    }

    /// As [`end_offset_for`](Log::end_offset_for), but `None` for an epoch older than all known ones: what the log had of it
    /// is deleted, and nothing here tells what it was.
    pub fn known_end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.oldest().filter(|oldest| epoch >= *oldest).and_then(|_| self.end_offset_for(epoch))
    }

    /// Notes that `epoch` starts at `start`, which must be the log's end: what a new leader does first,
    /// even with nothing to append (KIP-101). The checkpoint file is written when this returns and
    /// outlives the process; the next flush makes it outlive a power cut, too. Nothing is lost before
    /// that: whoever comes back from a power cut is no leader of `epoch` any more, and as long as none
    /// of its batches was flushed here the epoch below ends where `epoch` began either way.
    ///
    /// # Errors
    /// `OffsetOutOfRange` if `start` is not the end, `StaleLeaderEpoch` for an older epoch, or storage.
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch, start: Offset) -> Result<(), LogError> {
        self.check_online()?;
        if let Some(latest) = self.latest_epoch()
            && !self.epochs.accepts(epoch)
        {
            return Err(LogError::StaleLeaderEpoch { latest, got: epoch, offset: start });
        }
        if start != self.log_end_offset && self.latest_epoch() != Some(epoch) {
            let (log_start, end) = (self.log_start_offset, self.log_end_offset);
            return Err(LogError::OffsetOutOfRange { offset: start, start: log_start, end });
        }
        if self.epochs.assign(epoch, start) {
            self.epoch_version += 1;
        }
        let fs = &*self.place.fs;
        match self.epoch_file.write_unsynced(fs, self.epoch_version, self.epochs.entries()) {
            // The next flush writes it; a process that ends before that is no worse off than after a power cut.
            Err(error) if error.is_passing() => {
                tracing::warn!(log = %self.place.directory.display(), %error, "leader epoch {} is not written down yet", epoch.0);
            }
            written => self.latch(written)?,
        }
        Ok(())
    }

    /// Closes files and drops cached batches of a log that is not in use. A file with unsynced bytes
    /// stays open, because only its handle is sure to hear of a failed write-back. Returns whether
    /// everything was closed.
    pub fn release_files(&mut self) -> bool {
        self.tail.clear();
        for segment in &mut self.segments {
            if !segment.is_dirty() {
                segment.close_file();
            }
        }
        !self.segments.iter().any(Segment::is_open)
    }

    /// Closes all files of a log whose directory has failed, whatever was not synced: it is used no more before it is opened anew.
    pub fn abandon_files(&mut self) {
        self.tail.clear();
        self.segments.iter_mut().for_each(Segment::close_file);
    }

    /// Forgets producers idle past `producer.id.expiration.ms`, and those above the limit.
    pub fn expire_producers(&mut self, now: WallTime) {
        let config = &self.config;
        self.producers.expire(now, config.producer_id_expiration_ms, config.max_producer_ids);
    }

    fn check_online(&self) -> Result<(), StorageError> {
        match &self.offline {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }

    /// Takes the log offline if `result` is a failed change of its files. Reads do not come through here:
    /// what they miss is still on disk.
    fn latch<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        // What has begun is half done now, even if it ended for something that passes.
        let result = result.map_err(StorageError::half_way);
        if let Err(error) = &result {
            tracing::error!(log = %self.place.directory.display(), %error, "log is offline until it is opened anew");
            self.offline.get_or_insert_with(|| Box::new(error.clone()));
        }
        result
    }

    /// Like [`Log::latch`], but a write that found no room and left nothing behind, or no file, changes nothing.
    fn latch_unless_passing<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        match result {
            Err(error) if error.is_passing() => Err(error),
            result => self.latch(result),
        }
    }

    fn write_epochs(&mut self) -> Result<(), StorageError> {
        if self.epoch_version_durable == self.epoch_version {
            return Ok(());
        }
        let written = self.epoch_file.write(&*self.place.fs, self.epoch_version, self.epochs.entries());
        self.latch_unless_passing(written)?;
        self.epoch_version_durable = self.epoch_version;
        Ok(())
    }

    fn active(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log always has a segment")
    }

    fn refresh_first_open_transaction(&mut self) {
        self.first_open_transaction = self.producers.first_open_transaction();
    }
}
