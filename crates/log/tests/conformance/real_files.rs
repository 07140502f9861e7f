//! The same log over the operating system's files.

use std::path::Path;
use std::sync::Arc;

use raftsman_log::dir::{DirectoryError, LogDirectory};
use raftsman_log::fs::{FileSystem, RealFs};
use raftsman_log::{Log, LogConfig};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{NOW, TOPIC_ID, batch, read_all, small_segments};

fn open(directory: &LogDirectory, config: &LogConfig, clean: bool, recovery_point: Offset) -> Log {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new());
    let path = directory.partition_path("real", 0);
    Log::open(fs, path, TOPIC_ID, config.clone(), clean, recovery_point, NOW).expect("opened").0
}

#[test]
fn a_life_on_a_real_disk() {
    let place = tempfile::tempdir().expect("a directory");
    let config = LogConfig { segment_bytes: 200_000, ..small_segments() };
    let directory = LogDirectory::open(Arc::new(RealFs::new()), place.path().join("logs")).expect("opened");
    let second = LogDirectory::open(Arc::new(RealFs::new()), place.path().join("logs"));
    assert!(matches!(second, Err(DirectoryError::InUse { .. })));

    let mut log = open(&directory, &config, true, 0);
    for i in 0..300 {
        // Every tenth is past the size from which writes go around the page cache.
        let records = if i % 10 == 0 { 3_000 } else { 3 };
        log.append_as_leader(batch(records, i), LeaderEpoch(0), NOW).expect("appended");
    }
    let batches = read_all(&log);
    assert_eq!(batches.len(), 300);
    assert!(log.segment_count() > 5);
    log.close(NOW).expect("closed");
    let end = log.log_end_offset();
    drop(log);

    let mut log = open(&directory, &config, true, end);
    assert_eq!(read_all(&log), batches);
    log.truncate_to(end / 2).expect("truncated");
    let half = log.log_end_offset();
    log.append_as_leader(batch(2, 1), LeaderEpoch(1), NOW).expect("appended");
    drop(log);

    // As after a kill, with rubbish at the end.
    let mut names = list(&directory.partition_path("real", 0), ".log");
    let last = names.pop().expect("a segment");
    let file = RealFs::new().open(Path::new(&last), raftsman_log::fs::OpenMode::ReadWrite).expect("opened");
    file.write_all_at(&[0xff; 100], file.length().expect("a length")).expect("written");
    let mut log = open(&directory, &config, false, half);
    assert_eq!(log.log_end_offset(), half + 2);
    assert_eq!(read_all(&log).len(), batches.iter().filter(|b| b.last_offset() < half).count() + 1);
    assert_eq!(log.flush(NOW).expect("flushed"), half + 2);
    log.append_as_leader(batch(2, 2), LeaderEpoch(2), NOW).expect("appended");
    let ticket = log.begin_flush().expect("something to flush");
    directory.sync_tickets(&[&ticket]).expect("synced");
    assert_eq!(log.complete_flush(ticket).expect("completed"), half + 4);
    assert!(log.release_files());
    drop(log);
    let retired = directory.retire_partition(&directory.partition_path("real", 0)).expect("retired");
    assert!(directory.partitions().expect("listed").is_empty());
    assert_eq!(directory.retired_partitions().expect("listed"), std::slice::from_ref(&retired));
    assert!(directory.remove_retired(&retired, 100).expect("removed") && !retired.exists());
    drop(directory);
    LogDirectory::open(Arc::new(RealFs::new()), place.path().join("logs")).expect("the lock is free again");
}

fn list(directory: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let entries = RealFs::new().list(directory).expect("listed");
    entries.iter().filter(|entry| entry.name.ends_with(suffix)).map(|entry| directory.join(&entry.name)).collect()
}
