//! Opening all replicas of a broker when it starts, and closing them when it stops.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use raftsman_log::dir::{CleanShutdown, DirectoryError, LogDirectory, PartitionDirectory};
use raftsman_log::{FlushTicket, LogError};
use raftsman_types::{BrokerEpoch, Offset, TopicIdPartition, TopicPartition};

use super::core::Core;
use super::directory::{CheckpointedOffsets, Directory};
use super::log_memory::LogMemory;
use super::manager::{Inner, OpenError};
use super::opening::{Checkpoints, DamagedReplica, OpenedReplica, Opening, opened_together};
use super::partition::Partition;
use super::progress::Progress;
use super::work_off::work_off;

/// What was found.
pub(super) struct Opened {
    pub directories: Vec<Arc<Directory>>,
    /// Where the directories are that could not be opened, those included that the configuration says could not be before.
    pub unusable: Vec<PathBuf>,
    pub partitions: HashMap<TopicIdPartition, Arc<Partition>>,
    pub damaged: BTreeMap<TopicIdPartition, DamagedReplica>,
    /// Replicas that are gone, though their log directory is there.
    pub gone: BTreeSet<TopicPartition>,
    /// Replicas that were being made when this broker was killed.
    pub begun: BTreeSet<TopicPartition>,
    pub clean_shutdown_epoch: BrokerEpoch,
}

/// What was found in one directory, which may have failed before all of it was.
#[derive(Default)]
struct Part {
    /// Set once its replicas are open.
    directory: Option<Arc<Directory>>,
    replicas: Vec<OpenedReplica>,
    recovery_points: BTreeMap<TopicPartition, Offset>,
    gone: BTreeSet<TopicPartition>,
    begun: BTreeSet<TopicPartition>,
}

/// Opens every replica in the directories: in all of them at the same time, if this may be done `at_once`, in each on
/// `num.recovery.threads.per.data.dir` threads. One directory that cannot be opened does not keep the others from being used.
pub(super) fn open(
    core: &Arc<Core>,
    directories: Vec<LogDirectory>,
    memory: &LogMemory,
    at_once: bool,
) -> Result<Opened, OpenError> {
    let mut opened = Opened {
        directories: Vec::new(),
        unusable: core.config.unusable_directories.clone(),
        partitions: HashMap::new(),
        damaged: BTreeMap::new(),
        gone: BTreeSet::new(),
        begun: BTreeSet::new(),
        clean_shutdown_epoch: BrokerEpoch::NONE,
    };
    let (mut clean_epochs, mut failures) = (Vec::new(), Vec::new());
    let count = directories.len();
    let (directories_at_once, threads_for_each) = if at_once { (count, core.config.recovery_threads) } else { (1, 1) };
    let waiting: Vec<_> =
        directories.into_iter().map(|files| (files.path().to_owned(), Mutex::new(Some(files)))).collect();
    let parts = work_off(&waiting, directories_at_once, |(_, files)| {
        let mut part = Part::default();
        let outcome = files.lock().take().map(|files| {
            let together = opened_together(&files, directories_at_once * threads_for_each);
            part.open(core, files, memory, (threads_for_each, together))
        });
        (part, outcome)
    });
    // In the order of `log.dirs`, whichever was done first.
    for ((path, _), (part, outcome)) in waiting.into_iter().zip(parts) {
        opened.add(part);
        match outcome {
            Some(Ok(mark)) => clean_epochs.push(mark.map_or(BrokerEpoch::NONE, |mark| mark.broker_epoch)),
            Some(Err(error)) => failures.push((path, error)),
            None => {}
        }
    }
    if opened.directories.iter().all(|directory| directory.is_offline()) {
        return Err(failures.pop().map_or(OpenError::NoDirectory, |(_, error)| error));
    }
    for (path, error) in failures {
        tracing::error!(directory = %path.display(), "the log directory is offline until the broker restarts: {error}");
        opened.unusable.push(path);
    }
    let first = clean_epochs.first().copied().unwrap_or(BrokerEpoch::NONE);
    if clean_epochs.iter().all(|epoch| *epoch == first) {
        opened.clean_shutdown_epoch = first;
    }
    Ok(opened)
}

impl Opened {
    fn add(&mut self, part: Part) {
        self.gone.extend(part.gone);
        self.begun.extend(part.begun);
        part.replicas.into_iter().for_each(|replica| self.take(replica));
        let Some(directory) = part.directory else { return };
        let mut unopened = part.recovery_points;
        unopened.retain(|_, recovery_point| *recovery_point > 0);
        for whole in self.partitions.values().filter(|replica| Arc::ptr_eq(&replica.directory, &directory)) {
            unopened.remove(&TopicPartition { topic: Arc::clone(&whole.topic), partition: whole.at.partition });
        }
        *directory.unopened.lock() = unopened;
        self.directories.push(directory);
    }

    fn take(&mut self, replica: OpenedReplica) {
        match replica {
            OpenedReplica::Damaged(at, damaged) => {
                self.damaged.insert(at, damaged);
            }
            OpenedReplica::Whole(partition) => match self.partitions.entry(partition.at) {
                Entry::Vacant(place) => {
                    place.insert(partition);
                }
                Entry::Occupied(_) => {
                    tracing::error!(partition = %partition.name(), "is in two log directories: the second one is ignored");
                }
            },
        }
    }
}

impl Part {
    /// Opens the replicas of one directory.
    fn open(
        &mut self,
        core: &Arc<Core>,
        files: LogDirectory,
        memory: &LogMemory,
        (threads, together): (usize, usize),
    ) -> Result<Option<CleanShutdown>, OpenError> {
        let not_formatted = || OpenError::NotFormatted(files.path().display().to_string());
        let properties = files.read_meta_properties()?.ok_or_else(not_formatted)?;
        let id = properties.directory_id.ok_or_else(not_formatted)?;
        let began = core.now();
        let mark = files.take_clean_shutdown()?;
        // Once for all replicas: of most of them recovery then finds nothing that has to be synced.
        let is_synced = mark.is_none() && files.sync_volume()?;
        let recovery_points = files.read_recovery_points()?;
        let found = self.readable(&files)?;
        let checkpoints = Checkpoints {
            clean: mark.is_some(),
            is_synced,
            recovery_points,
            log_starts: files.read_log_start_offsets()?,
            high_watermarks: files.read_high_watermarks()?,
            compacted: files.read_compacted_offsets()?,
        };
        self.look_for_gone(&files, &checkpoints, &found)?;
        let retired = files.retired_partitions()?;
        let config = &core.config;
        let directory = Arc::new(Directory::new(id, files, config.reserved_bytes, config.disk_patience));
        directory.look_at_room();
        retired.into_iter().for_each(|path| directory.retired.add(path, core.now()));
        let progress = Progress::begin(found.len(), began);
        let opening = Opening { core, directory: &directory, checkpoints: &checkpoints, memory, progress: &progress };
        self.replicas = opening.open_all(&found, threads, together);
        self.recovery_points = checkpoints.recovery_points;
        tracing::info!(
            directory = %directory.path.display(),
            replicas = found.len(),
            clean = checkpoints.clean,
            checked_bytes = progress.checked_bytes(),
            "opened in {:?}",
            core.now().since(began)
        );
        self.directory = Some(directory);
        Ok(mark)
    }

    /// The replicas in a directory. One that does not say whose it is concerns nobody but itself: it is put aside.
    fn readable(&mut self, files: &LogDirectory) -> Result<Vec<PartitionDirectory>, OpenError> {
        let mut readable = Vec::new();
        for found in files.partitions()? {
            let Some(reason) = &found.malformed else {
                readable.push(found);
                continue;
            };
            let kept = files.set_stray_aside(&found.path)?;
            tracing::error!(
                replica = %found.path.display(),
                kept = %kept.display(),
                "the replica is put aside, and copied anew where others have it: {reason}; to use it put the file right and give the \
                 directory its name back"
            );
            self.gone.insert(name_of(&found));
        }
        Ok(readable)
    }

    /// What was flushed to once was there; of anything else a power cut may leave nothing, the name included.
    /// A directory that does not say whose it is was being made, unless it was flushed to and has no records any more.
    fn look_for_gone(
        &mut self,
        files: &LogDirectory,
        checkpoints: &Checkpoints,
        found: &[PartitionDirectory],
    ) -> Result<(), OpenError> {
        let mut there: BTreeSet<TopicPartition> = found.iter().map(name_of).collect();
        let flushed = |name: &TopicPartition| checkpoints.recovery_points.get(name).is_some_and(|offset| *offset > 0);
        for replica in found.iter().filter(|replica| replica.topic_id.is_none()) {
            let name = name_of(replica);
            if flushed(&name) && !files.has_records(&replica.path)? {
                there.remove(&name);
            } else {
                self.begun.insert(name);
            }
        }
        let names = checkpoints.recovery_points.keys().filter(|name| flushed(name) && !there.contains(*name));
        self.gone.extend(names.cloned());
        Ok(())
    }
}

fn name_of(found: &PartitionDirectory) -> TopicPartition {
    TopicPartition { topic: found.topic.as_str().into(), partition: found.partition }
}

/// Writes down where the replicas of a directory stand, if that has changed since the last time.
pub(super) fn write_checkpoints(directory: &Arc<Directory>, replicas: &[Arc<Partition>], core: &Core) {
    // Whoever asks for one from here on may come too late for this one.
    directory.checkpoint_queued.store(false, Ordering::Release);
    let mut offsets = CheckpointedOffsets::default();
    let mut checkpoints = Vec::new();
    for replica in replicas.iter().filter(|r| Arc::ptr_eq(&r.directory, directory)) {
        if let Some(checkpoint) = replica.checkpoint() {
            checkpoints.push((replica, checkpoint));
            let name = TopicPartition { topic: Arc::clone(&replica.topic), partition: replica.at.partition };
            offsets.recovery_points.insert(name.clone(), checkpoint.recovery_point);
            if checkpoint.log_start_offset > 0 {
                offsets.log_starts.insert(name.clone(), checkpoint.log_start_offset);
            }
            if checkpoint.compacted_upto > 0 {
                offsets.compacted.insert(name.clone(), checkpoint.compacted_upto);
            }
            offsets.high_watermarks.insert(name, checkpoint.high_watermark);
        }
    }
    let mut unopened = directory.unopened.lock();
    // Its place was taken by one that was made since.
    unopened.retain(|name, _| !offsets.recovery_points.contains_key(name));
    offsets.recovery_points.extend(unopened.iter().map(|(name, recovery_point)| (name.clone(), *recovery_point)));
    drop(unopened);
    if directory.is_offline() {
        return;
    }
    let mut last = directory.checkpointed.lock();
    if last.as_ref() != Some(&offsets) {
        match write_changed(&directory.files, &offsets, last.as_ref()) {
            // Nothing is lost: the older ones only make more work after a crash.
            Err(error) if error.is_out_of_space() => return directory.out_of_space(),
            Err(error) if error.is_out_of_files() => return directory.out_of_files(core, &error),
            Err(error) => return directory.fail(core, &error),
            Ok(()) => {}
        }
        *last = Some(offsets);
    }
    drop(last);
    for (replica, checkpoint) in checkpoints {
        replica.checkpointed(checkpoint);
    }
}

/// Writes the files that say something else than before.
fn write_changed(
    files: &LogDirectory,
    now: &CheckpointedOffsets,
    last: Option<&CheckpointedOffsets>,
) -> Result<(), DirectoryError> {
    if last.is_none_or(|last| last.recovery_points != now.recovery_points) {
        files.write_recovery_points(&now.recovery_points)?;
    }
    if last.is_none_or(|last| last.log_starts != now.log_starts) {
        files.write_log_start_offsets(&now.log_starts)?;
    }
    if last.is_none_or(|last| last.compacted != now.compacted) {
        files.write_compacted_offsets(&now.compacted)?;
    }
    if last.is_none_or(|last| last.high_watermarks != now.high_watermarks) {
        files.write_high_watermarks(&now.high_watermarks)?;
    }
    Ok(())
}

/// Closes the logs of a directory with one sync for all of them.
fn close_logs(directory: &Arc<Directory>, replicas: &[Arc<Partition>]) -> Result<(), LogError> {
    let mut worst = Ok(());
    let mut closing = Vec::new();
    for replica in replicas.iter().filter(|r| Arc::ptr_eq(&r.directory, directory)) {
        match replica.begin_close() {
            Ok(ticket) => closing.extend(ticket.map(|ticket| (replica, ticket))),
            Err(error) => note_worst(&mut worst, error),
        }
    }
    let tickets: Vec<&FlushTicket> = closing.iter().map(|(_, ticket)| ticket).collect();
    if let Err(error) = directory.files.sync_tickets(&tickets) {
        // Each ticket has it as its outcome.
        tracing::debug!(directory = %directory.path.display(), "the last sync did not succeed: {error}");
    }
    for (replica, ticket) in closing {
        if let Err(error) = replica.complete_close(ticket) {
            note_worst(&mut worst, error);
        }
    }
    worst
}

/// One that has no room does not keep the others from being closed, and hides no disk that fails.
fn note_worst(worst: &mut Result<(), LogError>, error: LogError) {
    if worst.as_ref().err().is_none_or(LogError::is_passing) {
        *worst = Err(error);
    }
}

/// Closes every replica and marks the directories clean if all went well.
pub(super) fn close(inner: &Inner) -> bool {
    let replicas = inner.replicas();
    let mut all_clean = true;
    for directory in &inner.directories {
        let closed = match close_logs(directory, &replicas) {
            Ok(()) => true,
            Err(error) if error.is_passing() => {
                tracing::warn!(
                    directory = %directory.path.display(),
                    "its logs cannot all be closed, the next start checks their ends: {error}"
                );
                false
            }
            Err(error) => {
                directory.fail(&inner.core, &error);
                false
            }
        };
        write_checkpoints(directory, &replicas, &inner.core);
        let mark = CleanShutdown { broker_epoch: inner.core.broker_epoch() };
        let clean = closed
            && !directory.is_offline()
            && match directory.files.mark_clean_shutdown(mark) {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(directory = %directory.path.display(), "not marked as stopped cleanly: {error}");
                    false
                }
            };
        all_clean &= clean;
    }
    all_clean
}
