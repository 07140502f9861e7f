use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use raftsman_types::{Offset, TopicId, WallTime};

use super::epoch_recovery::restore_epochs;
use super::partition_files::{
    CAP_NAME, Caps, cap_path, read_caps, read_topic_id, snapshots_among, topic_id_path, write_caps, write_first_caps,
    write_topic_id,
};
use super::recovery::{LoadedSegments, SegmentLoader};
use super::swap_recovery::finish_swaps;
use super::{Log, TailCache};
use crate::atomic_file::{ASIDE_SUFFIX, remove_if_there};
use crate::config::LogConfig;
use crate::epoch_cache::EpochCache;
use crate::epoch_file::EpochFile;
use crate::error::{IoContext, LogError, StorageError};
use crate::fs::{DirectoryEntry, FileSystem};
use crate::place::Place;
use crate::segment::Segment;

/// How its last process left a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftBehind {
    /// Closed.
    Cleanly,
    /// It ended, or lost power, at any moment.
    Killed,
    /// The same, and all it wrote has been synced since (`dir::LogDirectory::sync_volume`).
    KilledAndSynced,
}

/// What is known of a log before it is opened, for who wants to hear how far that is. What becomes of each way to leave it is
/// said at [`Log::open_unsynced`] and [`Log::open_synced`].
#[derive(Debug)]
pub struct LogOpening {
    /// Where it is.
    pub fs: Arc<dyn FileSystem>,
    /// The partition's directory.
    pub directory: PathBuf,
    /// The id of its topic.
    pub topic_id: TopicId,
    /// Its configuration.
    pub config: Arc<LogConfig>,
    /// How it was left.
    pub left: LeftBehind,
    /// Everything below was flushed.
    pub recovery_point: Offset,
    /// The time of day.
    pub now: WallTime,
}

impl LogOpening {
    /// Opens the log. `checked` is called again and again with the bytes whose CRCs were checked since the last time.
    ///
    /// # Errors
    /// As for [`Log::open_unsynced`].
    pub fn open(self, checked: &dyn Fn(u64)) -> Result<(Log, Recovery), LogError> {
        Log::open_left(self, checked)
    }
}

/// What opening a log had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes whose CRCs were checked.
    pub scanned_bytes: u64,
    /// Bytes cut off behind the last good batch; never below the recovery point.
    pub truncated_bytes: u64,
    /// Segments that were removed because they lay behind a cut.
    pub removed_segments: usize,
    /// Indexes that were made anew from the batches.
    pub rebuilt_indexes: usize,
}

impl Log {
    /// Opens a partition's log, or makes it if its directory is absent. After an unclean shutdown the
    /// segments from `recovery_point` on are checked batch by batch and cut to the longest good prefix;
    /// what is left is synced before this returns, so all of it counts as flushed.
    ///
    /// # Errors
    /// As for [`Log::open_unsynced`].
    pub fn open(
        fs: Arc<dyn FileSystem>,
        directory: PathBuf,
        topic_id: TopicId,
        config: impl Into<Arc<LogConfig>>,
        clean_shutdown: bool,
        recovery_point: Offset,
        now: WallTime,
    ) -> Result<(Log, Recovery), LogError> {
        let (mut log, recovery) =
            Log::open_unsynced(fs, directory, topic_id, config, clean_shutdown, recovery_point, now)?;
        if log.flushed_offset < log.log_end_offset {
            log.flush(now)?;
            log.release_files();
        }
        Ok((log, recovery))
    }

    /// Like [`Log::open`], but leaves it to the next flush to sync what was found after an unclean
    /// shutdown; until then only what lies below `recovery_point` counts as flushed. For a broker that
    /// opens many logs and then syncs them all at once.
    ///
    /// # Errors
    /// `DamagedBelowRecoveryPoint` when flushed data is bad or gone, `LegacyFormat` where Kafka left messages of before v2,
    /// `TopicIdMismatch` when the directory is another topic's, or storage. Nothing is cut then.
    pub fn open_unsynced(
        fs: Arc<dyn FileSystem>,
        directory: PathBuf,
        topic_id: TopicId,
        config: impl Into<Arc<LogConfig>>,
        clean_shutdown: bool,
        recovery_point: Offset,
        now: WallTime,
    ) -> Result<(Log, Recovery), LogError> {
        let left = if clean_shutdown { LeftBehind::Cleanly } else { LeftBehind::Killed };
        LogOpening { fs, directory, topic_id, config: config.into(), left, recovery_point, now }.open(&|_| ())
    }

    /// Like [`Log::open_unsynced`] after an unclean shutdown, in a directory whose volume was synced since
    /// (`dir::LogDirectory::sync_volume`): what is found is on the disk, and counts as flushed. Only what the recovery itself
    /// made is left to the next flush; see [`Log::is_flushed`].
    ///
    /// # Errors
    /// As for [`Log::open_unsynced`].
    pub fn open_synced(
        fs: Arc<dyn FileSystem>,
        directory: PathBuf,
        topic_id: TopicId,
        config: impl Into<Arc<LogConfig>>,
        recovery_point: Offset,
        now: WallTime,
    ) -> Result<(Log, Recovery), LogError> {
        let left = LeftBehind::KilledAndSynced;
        LogOpening { fs, directory, topic_id, config: config.into(), left, recovery_point, now }.open(&|_| ())
    }

    fn open_left(opening: LogOpening, checked: &dyn Fn(u64)) -> Result<(Log, Recovery), LogError> {
        let LogOpening { fs, directory, topic_id, config, left, recovery_point, now } = opening;
        let place = Place::new(fs, directory);
        let clean_shutdown = left == LeftBehind::Cleanly;
        let entries = match place.fs.list(&place.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((create(place, topic_id, config, now)?, Recovery::default()));
            }
            listed => listed.context("list", &place.directory)?,
        };
        // Many small logs are opened at once: what the listing does not show is not looked for.
        let mut caps = match entries.iter().any(|entry| entry.name == CAP_NAME) {
            true => read_caps(&place)?,
            false => None,
        };
        let checkpointed = recovery_point;
        let recovery_point = recovery_point.min(caps.map_or(Offset::MAX, |caps| caps.recovery_point));
        let entries = finish_swaps(&place, entries, recovery_point)?;
        let files = survey(&place, &entries, recovery_point)?;
        let stored_id = read_topic_id(&*place.fs, &place.directory)?;
        if stored_id.is_none() && files.values().all(|length| *length == 0) {
            // Nothing was ever in it: a crash came before the first flush.
            return Ok((create(place, topic_id, config, now)?, Recovery::default()));
        }
        let adopted_now = stored_id.is_none();
        let topic_id = adopt_topic_id(&place, stored_id, topic_id)?;
        let stored_epochs = EpochFile::new(&place.directory).read(&*place.fs)?;
        let epochs = stored_epochs.as_ref();
        let loader = SegmentLoader {
            place: &place,
            config: &config,
            clean_shutdown,
            recovery_point,
            checkpointed,
            now,
            epochs,
            checked,
        };
        let mut loaded = loader.load(&files)?;
        let has_none = loaded.segments.is_empty();
        if has_none {
            // A log that was begun anew when a crash came. What the checkpoint files say was of the one that is gone.
            write_caps(&place, Caps::default())?;
            caps = Some(Caps::default());
            loaded.segments.push(Segment::create(&place, 0, now, &config)?);
            place.sync_directory()?;
        }
        let recovery = loaded.recovery;
        let log = Log::of_segments(place, loaded, stored_epochs, recovery_point, left, now)?;
        // Nor does anything say of such a one that it was ever flushed.
        let is_new = log.is_new || (has_none && left != LeftBehind::KilledAndSynced);
        let mut log = Log { topic_id, config, caps, is_new, ..log };
        if adopted_now || log.is_new {
            log.unsynced_side_files.extend([topic_id_path(&log.place), cap_path(&log.place)]);
            log.names_changed = 1;
        }
        log.restore_producers(snapshots_among(&entries), now)?;
        // Many logs are opened at once, and most of them are not used soon.
        log.segments.iter_mut().for_each(Segment::close_file);
        Ok((log, recovery))
    }

    /// A log of what the loader found, with its epochs but without its producers.
    fn of_segments(
        place: Place,
        mut loaded: LoadedSegments,
        stored: Option<EpochCache>,
        recovery_point: Offset,
        left: LeftBehind,
        now: WallTime,
    ) -> Result<Log, StorageError> {
        let log_start_offset = loaded.segments[0].base_offset;
        let log_end_offset = loaded.log_end_offset;
        let epoch_file = Arc::new(EpochFile::new(&place.directory));
        let epochs = restore_epochs(&place, stored.clone(), &loaded)?;
        let changed = stored.as_ref() != Some(&epochs) && !(stored.is_none() && epochs.entries().is_empty());
        let was_scanned = loaded.scanned_from.is_some();
        let is_unsynced = was_scanned && left != LeftBehind::KilledAndSynced;
        if !is_unsynced {
            // A torn tail was cut off durably.
            loaded.segments.iter_mut().for_each(|segment| segment.synced_size = segment.size);
        }
        Ok(Log {
            segments: loaded.segments,
            log_start_offset,
            log_end_offset,
            flushed_offset: match is_unsynced {
                true => recovery_point.clamp(0, log_end_offset),
                false => log_end_offset,
            },
            names_changed: u64::from(was_scanned),
            // As far as anybody knows it was never flushed, nor its own name.
            is_new: is_unsynced && recovery_point <= 0,
            unsynced_side_files: loaded.side_files,
            epochs,
            epoch_file,
            epoch_version: u64::from(changed),
            checkpointed_recovery_point: recovery_point.clamp(0, log_end_offset),
            ..Log::blank(place, now)
        })
    }

    fn blank(place: Place, now: WallTime) -> Log {
        Log {
            epoch_file: Arc::new(EpochFile::new(&place.directory)),
            place,
            topic_id: TopicId::ZERO,
            config: Arc::default(),
            segments: Vec::new(),
            log_start_offset: 0,
            log_end_offset: 0,
            flushed_offset: 0,
            last_flush: now,
            generation: 0,
            names_changed: 0,
            names_synced: 0,
            is_new: false,
            unsynced_side_files: Vec::new(),
            epochs: EpochCache::default(),
            epoch_version: 0,
            epoch_version_durable: 0,
            producers: crate::producer::ProducerState::default(),
            first_open_transaction: None,
            unreplicated_transactions: Default::default(),
            tail: TailCache::default(),
            defers_writes: false,
            deferral_budget: None,
            caps: None,
            lifted_caps: None,
            checkpointed_recovery_point: 0,
            compacted_upto: 0,
            compactions: 0,
            deleted: Vec::new(),
            put_off_snapshot: None,
            offline: None,
        }
    }
}

/// Makes a new, empty log. Nothing is synced, because nothing is promised yet: the first flush makes the
/// names and small files durable together with the first batches. The recovery point is capped, because
/// the checkpoint may still have that of an earlier partition of the name.
fn create(place: Place, topic_id: TopicId, config: Arc<LogConfig>, now: WallTime) -> Result<Log, LogError> {
    let directory = Arc::clone(&place.directory);
    place.fs.create_directories(&directory).context("create", &directory)?;
    write_first_caps(&place)?;
    let mut segment = Segment::create(&place, 0, now, &config)?;
    segment.close_file();
    write_topic_id(&place, topic_id)?;
    Ok(Log {
        topic_id,
        config,
        segments: vec![segment],
        caps: Some(Caps::default()),
        names_changed: 1,
        is_new: true,
        unsynced_side_files: vec![topic_id_path(&place), cap_path(&place)],
        ..Log::blank(place, now)
    })
}

/// The directory's topic id, which must be the one expected (unless that is not known); written if it
/// is not there yet.
fn adopt_topic_id(place: &Place, stored: Option<TopicId>, expected: TopicId) -> Result<TopicId, LogError> {
    match stored {
        Some(found) if found == expected || expected == TopicId::ZERO => Ok(found),
        Some(found) => Err(LogError::TopicIdMismatch { path: place.directory.to_path_buf(), expected, found }),
        None => {
            if expected != TopicId::ZERO {
                write_topic_id(place, expected)?;
            }
            Ok(expected)
        }
    }
}

/// The segment files there are, base offset to length. Removes what crashes leave behind: files never
/// renamed into place, deleted segments, indexes without a log.
///
/// Indexes in front of the first segment whose own segment is not there show that it was lost: whoever takes a segment away
/// renames its indexes first.
fn survey(
    place: &Place,
    entries: &[DirectoryEntry],
    recovery_point: Offset,
) -> Result<BTreeMap<Offset, u64>, LogError> {
    let mut segments = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_directory) {
        if let Some(base) = base_offset_of(&entry.name, ".log") {
            segments.insert(base, entry.length);
        }
    }
    let is_there = |name: String| entries.iter().any(|entry| entry.name == name);
    for entry in entries {
        let name = entry.name.as_str();
        let index_of = [".index", ".timeindex", ".txnindex"].iter().find_map(|suffix| base_offset_of(name, suffix));
        let in_front = |base: &Offset| segments.first_key_value().is_some_and(|(first, _)| base < first);
        if let Some(offset) = index_of.filter(in_front).filter(|base| *base < recovery_point)
            && !is_there(format!("{offset:020}.log.deleted"))
        {
            let path = Segment::log_path(place, offset);
            let reason = "it is gone, its index is there".to_owned();
            return Err(LogError::DamagedBelowRecoveryPoint { path, position: 0, offset, recovery_point, reason });
        }
        let orphan = index_of.is_some_and(|base| !segments.contains_key(&base));
        let left_over = [ASIDE_SUFFIX, ".deleted"].iter().any(|suffix| name.ends_with(suffix));
        if !entry.is_directory && (orphan || left_over) {
            remove_if_there(&*place.fs, &place.directory.join(name))?;
        }
    }
    Ok(segments)
}

pub(super) fn base_offset_of(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}
