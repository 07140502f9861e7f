//! Directories of deleted replicas, which stay for `file.delete.delay.ms` under another name. Whoever deletes a topic does not wait
//! until gigabytes are unlinked.

use std::path::PathBuf;

use parking_lot::Mutex;
use raftsman_log::dir::LogDirectory;
use raftsman_types::MonotonicTime;

/// So many files of one replica are removed at a time, of so many replicas: housekeeping has other things to do in between.
const FILES_AT_ONCE: usize = 32;
const REPLICAS_AT_ONCE: usize = 8;

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
        let due: Vec<PathBuf> = {
            let waiting = self.waiting.lock();
            let due = waiting.iter().filter(|retired| retired.due <= now).take(REPLICAS_AT_ONCE);
            due.map(|retired| retired.path.clone()).collect()
        };
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use raftsman_log::fs::{FileSystem, MemoryFs, OpenMode};

    use super::*;

    #[test]
    fn many_deleted_replicas_go_a_few_at_a_time_and_none_before_it_is_due() {
        let fs = MemoryFs::new();
        let files = LogDirectory::open(Arc::new(fs.clone()), "/data").unwrap();
        let retired = RetiredReplicas::default();
        let due = MonotonicTime::from_millis(500);
        for partition in 0..2 * REPLICAS_AT_ONCE {
            let path = files.partition_path("orders", partition as i32);
            fs.create_directories(&path).unwrap();
            fs.open(&path.join("00000000000000000000.log"), OpenMode::Truncate).unwrap();
            retired.add(files.retire_partition(&path).unwrap(), due);
        }
        let left = || fs.list(Path::new("/data")).unwrap().iter().filter(|entry| entry.is_directory).count();
        retired.remove_due(&files, due - Duration::from_millis(1));
        assert_eq!((left(), retired.next_due()), (2 * REPLICAS_AT_ONCE, Some(due)));
        retired.remove_due(&files, due);
        assert_eq!((left(), retired.next_due()), (REPLICAS_AT_ONCE, Some(due)));
        retired.remove_due(&files, due);
        assert_eq!((left(), retired.next_due()), (0, None));
    }
}
