use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_log::LogError;
use raftsman_log::dir::LogDirectory;
use raftsman_types::{DirectoryId, Offset, TopicPartition};

use super::AppendError;
use super::core::Core;
use super::disk_room::{DiskRoom, Room};
use super::disk_watch::DiskWatch;
use super::flush_queue::FlushQueue;
use super::partition::Partition;
use super::progress::Cadence;
use super::retired::RetiredReplicas;

/// One log directory of the broker: online until a write or a flush in it fails.
pub(super) struct Directory {
    pub id: DirectoryId,
    pub path: PathBuf,
    /// Its files other than the partitions'.
    pub files: LogDirectory,
    pub flushes: FlushQueue<Arc<Partition>>,
    pub disk: DiskWatch,
    /// What its checkpoint files say, as far as this process wrote them.
    pub checkpointed: Mutex<Option<CheckpointedOffsets>>,
    /// Whether its checkpoint files are to be written at the next tick.
    pub checkpoint_queued: AtomicBool,
    /// Recovery points of replicas that were flushed to and did not open. The checkpoint file goes on saying them: they are the proof,
    /// for the next start, that something was there.
    pub unopened: Mutex<BTreeMap<TopicPartition, Offset>>,
    /// Replicas that were deleted, whose files are still there.
    pub retired: RetiredReplicas,
    room: DiskRoom,
    /// When to say again that there are too many open files.
    files_lacking: Mutex<Cadence>,
    offline: AtomicBool,
}

/// Between two lines that say that there are too many open files.
const FILES_LACKING_EVERY: Duration = Duration::from_secs(10);
/// Flushes of so many logs at once are enough for one sync of the volume to be cheap for each, however few files may be open.
const FLUSHED_TOGETHER_MIN: usize = 16;

/// Where the replicas of a directory stand, as its checkpoint files say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CheckpointedOffsets {
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    pub high_watermarks: BTreeMap<TopicPartition, Offset>,
    pub compacted: BTreeMap<TopicPartition, Offset>,
}

impl Directory {
    /// `disk_patience` is how long one step of a flush may take.
    pub fn new(id: DirectoryId, files: LogDirectory, reserve_bytes: u64, disk_patience: Duration) -> Directory {
        Directory {
            id,
            path: files.path().to_owned(),
            files,
            flushes: FlushQueue::default(),
            disk: DiskWatch::new(disk_patience),
            checkpointed: Mutex::default(),
            checkpoint_queued: AtomicBool::new(false),
            unopened: Mutex::default(),
            retired: RetiredReplicas::default(),
            room: DiskRoom::new(reserve_bytes),
            files_lacking: Mutex::new(Cadence::at_once(FILES_LACKING_EVERY)),
            offline: AtomicBool::new(false),
        }
    }

    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
    }

    /// Whether a client may write so many bytes, or the broker itself, for whom a part of the reserve is. Called before
    /// each write.
    pub fn has_room(&self, bytes: usize, for_client: bool) -> bool {
        let needed = if for_client { Room::Plenty } else { Room::Reserve };
        self.room.before_write(bytes, &**self.files.file_system(), &self.path) >= needed
    }

    /// Whether clients' writes were refused at the last look.
    pub fn is_full(&self) -> bool {
        self.room.last_seen() < Room::Plenty
    }

    /// What was free at the last look, if there was one.
    pub fn free_bytes(&self) -> Option<u64> {
        self.room.free_bytes()
    }

    /// Has its checkpoint files written soon: somebody waits until a log's new start would outlive a crash.
    pub fn queue_checkpoint(self: &Arc<Self>, core: &Core) {
        if !self.checkpoint_queued.swap(true, Ordering::AcqRel) {
            core.attention.checkpoint(Arc::clone(self));
        }
    }

    /// Looks how full the disk is.
    pub fn look_at_room(&self) {
        self.room.look(&**self.files.file_system(), &self.path);
    }

    /// A write found no room: nothing is in doubt, and it is tried again.
    pub fn out_of_space(&self) {
        self.room.exhausted(&self.path);
    }

    /// Why a write was refused, for who sent it.
    pub fn no_room(&self) -> AppendError {
        AppendError::DiskFull {
            directory: self.path.display().to_string(),
            free_bytes: self.room.free_bytes().unwrap_or(0),
        }
    }

    /// A file could not be opened because too many are: that says nothing of the disk, and it is tried again.
    pub fn out_of_files(&self, core: &Core, error: &dyn std::fmt::Display) {
        if self.files_lacking.lock().is_due(core.now()) {
            tracing::error!(
                directory = %self.path.display(),
                "too many files are open, and what needs one more is refused or put off; raise the limit of open files of the \
                 process: {error}"
            );
        }
    }

    /// How many logs may be flushed together: each holds its files open until all are synced.
    pub fn flushed_together_max(&self) -> usize {
        let bound = self.files.file_system().open_files().map_or(usize::MAX, |files| files.limit() / 2);
        bound.max(FLUSHED_TOGETHER_MIN)
    }

    /// What a failed change of a log means: no room, too many open files, or a broken disk.
    pub fn log_failed(self: &Arc<Self>, core: &Core, error: &LogError) {
        if error.is_out_of_files() {
            self.out_of_files(core, error);
        } else if error.is_out_of_space() {
            tracing::debug!(directory = %self.path.display(), "put off until there is room: {error}");
            self.out_of_space();
        } else {
            self.fail(core, error);
        }
    }

    /// Deletes a replica, of which nobody may do anything any more: its files go by themselves after a while. Says whether
    /// its place is free.
    pub fn retire(self: &Arc<Self>, core: &Core, replica: &Path, delay: Duration) -> bool {
        match self.files.retire_partition(replica) {
            Ok(retired) => {
                self.retired.add(retired, core.now() + delay);
                true
            }
            Err(error) => {
                self.fail(core, &error);
                false
            }
        }
    }

    /// Puts a replica of a topic that nobody knows aside, and keeps it. Says whether its place is free.
    pub fn set_stray_aside(self: &Arc<Self>, core: &Core, replica: &Path) -> bool {
        match self.files.set_stray_aside(replica) {
            Ok(aside) => {
                tracing::warn!(
                    replica = %replica.display(),
                    kept = %aside.display(),
                    "the cluster knows no topic of the id in its partition.metadata, so it is put aside; remove it if it was deleted"
                );
                true
            }
            Err(error) => {
                self.fail(core, &error);
                false
            }
        }
    }

    /// Takes the directory offline for good: after a failed write or flush nobody knows what the disk holds, and a
    /// second try may seem to succeed. Its partitions are told by the housekeeping thread, for whoever calls this may
    /// hold one's lock.
    pub fn fail(self: &Arc<Self>, core: &Core, reason: &dyn std::fmt::Display) {
        if self.offline.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(
            directory = %self.path.display(),
            "the log directory is offline until the broker restarts: {reason}"
        );
        core.link.directory_offline(self.id);
        core.attention.failed(Arc::clone(self));
    }
}
