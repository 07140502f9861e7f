use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raftsman_log::dir::LogDirectory;
use raftsman_types::{DirectoryId, Offset, TopicPartition};

use super::core::Core;
use super::flusher::FlushQueue;

/// One log directory of the broker: online until a write or a flush in it fails.
pub(super) struct Directory {
    pub id: DirectoryId,
    pub path: PathBuf,
    /// Its files other than the partitions'.
    pub files: LogDirectory,
    pub flushes: FlushQueue,
    /// What its checkpoint files say, as far as this process wrote them.
    pub checkpointed: Mutex<Option<CheckpointedOffsets>>,
    offline: AtomicBool,
}

/// Where the replicas of a directory stand, as its checkpoint files say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CheckpointedOffsets {
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    pub high_watermarks: BTreeMap<TopicPartition, Offset>,
}

impl Directory {
    pub fn new(id: DirectoryId, files: LogDirectory) -> Directory {
        Directory {
            id,
            path: files.path().to_owned(),
            files,
            flushes: FlushQueue::default(),
            checkpointed: Mutex::default(),
            offline: AtomicBool::new(false),
        }
    }

    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
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
