//! One partition's directory in memory, good or not, and what has to hold once it was opened.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use raftsman_log::fs::{FileSystem, MemoryFs, OpenMode};
use raftsman_log::{Log, LogConfig, LogError, ReadError};
use raftsman_records::{BatchBuilder, Compression, RecordBatch, end_transaction_marker, split_batches};
use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId, TopicId, Uuid, WallTime};

use crate::memory::bounded;

pub(super) const NOW: WallTime = WallTime(1_000_000);
pub(super) const TOPIC_ID: TopicId = TopicId(Uuid([7; 16]));
pub(super) const DIRECTORY: &str = "/data/t-0";
/// A scan's block, which is 256 KiB, the tail cache, and a file system in memory.
pub(super) const BESIDE: usize = 1 << 20;

/// The files of a directory, by name.
pub(super) type Files = Vec<(String, Vec<u8>)>;

pub(super) fn config() -> LogConfig {
    LogConfig { segment_bytes: 900, index_interval_bytes: 100, tail_cache_bytes: 0, ..LogConfig::default() }
}

/// A directory with these files.
pub(super) fn file_system(files: &Files) -> MemoryFs {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new(DIRECTORY)).expect("memory takes directories");
    for (name, bytes) in files {
        write(&fs, &Path::new(DIRECTORY).join(name), bytes);
    }
    fs
}

pub(super) fn write(fs: &MemoryFs, path: &Path, bytes: &[u8]) {
    let file = fs.open(path, OpenMode::Truncate).expect("memory takes files");
    file.write_all_at(bytes, 0).expect("memory takes bytes");
}

/// The files of a log of a few segments that was closed cleanly: plain, idempotent and transactional batches in two
/// epochs.
pub(super) static GOOD: LazyLock<Files> = LazyLock::new(|| {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new("/data")).expect("memory takes directories");
    let mut log = open(&fs, true, 0).expect("a new log opens");
    for number in 0..8i64 {
        let epoch = LeaderEpoch(if number < 4 { 0 } else { 3 });
        log.append_as_leader(batch(number), epoch, NOW).expect("a good batch is taken");
    }
    log.close(NOW).expect("memory can be synced");
    drop(log);
    let directory = Path::new(DIRECTORY);
    let entries = fs.list(directory).expect("the directory is there").into_iter();
    entries.map(|entry| (entry.name.clone(), read(&fs, &directory.join(entry.name)))).collect()
});

fn read(fs: &MemoryFs, path: &Path) -> Vec<u8> {
    let file = fs.open(path, OpenMode::Read).expect("the file is there");
    let mut bytes = vec![0; file.length().expect("memory knows") as usize];
    let read = file.read_at(&mut bytes, 0).expect("memory reads");
    bytes.truncate(read);
    bytes
}

fn batch(number: i64) -> Bytes {
    let producer = ProducerId(40 + number % 3);
    if number % 5 == 4 {
        return end_transaction_marker(ProducerId(42), ProducerEpoch(0), true, 1, 1000 + number);
    }
    let mut builder = match number % 3 {
        0 => BatchBuilder::new(Compression::None),
        // Every third number is this producer's, with two records each time.
        1 => BatchBuilder::new(Compression::Lz4).producer(producer, ProducerEpoch(0), sequence(number, 1)),
        _ => {
            let sequence = sequence(number, 2);
            BatchBuilder::new(Compression::None).producer(producer, ProducerEpoch(0), sequence).transactional(true)
        }
    };
    builder.append(1000 + number * 10, Some(b"key"), Some(b"a value of some length"), &[]);
    builder.append(1005 + number * 10, None, Some(b"another"), &[]);
    builder.build(0, LeaderEpoch(0))
}

/// Two for each earlier batch of the same producer.
fn sequence(number: i64, rest: i64) -> i32 {
    2 * (0..number).filter(|n| n % 3 == rest && n % 5 != 4).count() as i32
}

pub(super) fn open(fs: &MemoryFs, clean: bool, recovery_point: i64) -> Result<Log, LogError> {
    let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
    Log::open(fs, PathBuf::from(DIRECTORY), TOPIC_ID, config(), clean, recovery_point, NOW).map(|(log, _)| log)
}

/// Opens a log of these files and, if that works, holds it to what every open log keeps: offsets in order, everything
/// readable is whole, it takes another batch, and after a clean close it opens again as it was.
pub(super) fn check(files: &Files, clean: bool, recovery_point: i64) {
    let fs = file_system(files);
    let length: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let Ok(mut log) = bounded(length, BESIDE, || open(&fs, clean, recovery_point)) else { return };
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(0 <= start && start <= end, "a log from {start} to {end}");
    assert!(log.flushed_offset() <= end, "flushed past the end");
    assert!(log.last_stable_offset() <= end, "stable past the end");
    bounded(length, BESIDE, || read_through(&log, !clean));
    for timestamp in [i64::MIN, 0, 1005, 1_000_000, i64::MAX] {
        if let Ok(Some((offset, _, _))) = log.offset_for_timestamp(timestamp) {
            assert!((start..end).contains(&offset), "a record outside of the log");
        }
    }
    for epoch in [-1, 0, 1, 3, i32::MAX] {
        if let Some((_, offset)) = log.end_offset_for(LeaderEpoch(epoch)) {
            assert!(offset <= end, "epoch {epoch} ends at {offset}, behind the log's end");
        }
    }
    if end > i64::MAX - 16 || log.append_as_leader(batch(0), LeaderEpoch(i32::MAX), NOW).is_err() {
        return;
    }
    let end = log.log_end_offset();
    let Ok(()) = log.close(NOW) else { return };
    drop(log);
    let log = open(&fs, true, end).expect("what was closed cleanly opens");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end), "it opens as it was closed");
}

/// Reads a log from its start, batch by batch. After a scan every batch is good and every offset is found.
fn read_through(log: &Log, scanned: bool) {
    let mut offset = log.log_start_offset();
    for _ in 0..64 {
        if offset >= log.log_end_offset() {
            return;
        }
        let data = match log.read(offset, 1, i64::MAX, true) {
            Ok(data) => data,
            Err(ReadError::OutOfRange { .. }) => panic!("offset {offset} is in the log and out of its range"),
            // Damage that only a read finds is an answer.
            Err(_) => return,
        };
        let Some(first) = data.chunks.first().and_then(|chunk| split_batches(chunk.clone(), false).next()) else {
            return;
        };
        let Ok(first) = first else { panic!("a read at {offset} gives no batch") };
        check_batch(&first, offset, scanned);
        assert!(data.next_offset > offset, "a read at {offset} does not go on");
        offset = data.next_offset;
    }
}

fn check_batch(batch: &RecordBatch, offset: i64, scanned: bool) {
    assert!(batch.last_offset() >= offset, "a read at {offset} gives a batch before it");
    if scanned {
        // Only what lies above the recovery point was scanned, but damage below it would have been an error.
        let _ = batch.crc_is_valid();
    }
}
