//! Directories of deleted replicas, which stay for `file.delete.delay.ms` under another name. Whoever deletes a topic does not wait
//! until gigabytes are unlinked.

use std::path::PathBuf;

use parking_lot::Mutex;
use raftsman_log::dir::LogDirectory;
use raftsman_types::MonotonicTime;

/// So many files of one replica are removed at a time: housekeeping has other things to do in between.
const FILES_AT_ONCE: usize = 32;

/// The deleted replicas of one log directory.
#[derive(Default)]
pub(super) struct RetiredReplicas {
    waiting: Mutex<Vec<Retired>>,
}

struct Retired {
    path: PathBuf,
    due: MonotonicTime,
}

impl RetiredReplicas {
    pub fn add(&self, path: PathBuf, due: MonotonicTime) {
        self.waiting.lock().push(Retired { path, due });
    }

    /// When the next one is to go.
    pub fn next_due(&self) -> Option<MonotonicTime> {
        self.waiting.lock().iter().map(|retired| retired.due).min()
    }

    /// Removes some files of those that are due.
    pub fn remove_due(&self, files: &LogDirectory, now: MonotonicTime) {
        let due: Vec<PathBuf> = self
            .waiting
            .lock()
            .iter()
            .filter(|retired| retired.due <= now)
            .map(|retired| retired.path.clone())
            .collect();
        for path in due {
            let is_done = files.remove_retired(&path, FILES_AT_ONCE).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), "a deleted replica stays until the broker restarts: {error}");
                true
            });
            if is_done {
                self.waiting.lock().retain(|retired| retired.path != path);
            }
        }
    }
}
