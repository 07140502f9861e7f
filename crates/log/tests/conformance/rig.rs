//! What the tests share: a log in memory and batches to put into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::fs::{File, FileSystem, MemoryFs, OpenMode};
use raftsman_log::{AppendInfo, Log, LogConfig, LogError, Recovery};
use raftsman_records::{BatchBuilder, Compression, RecordBatch, split_batches};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId, Uuid, WallTime};

pub const NOW: WallTime = WallTime(1_000_000);
pub const TOPIC_ID: TopicId = TopicId(Uuid([7; 16]));
pub const DIRECTORY: &str = "/data/t-0";

/// A log that is opened, closed, killed and crashed.
#[derive(Debug)]
pub struct Rig {
    pub fs: MemoryFs,
    pub config: LogConfig,
    pub log: Log,
    /// Whether its appends wait for the next flush.
    pub defers: bool,
}

/// Small segments and a dense index, so that a few batches make several of each.
pub fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 600, index_interval_bytes: 100, tail_cache_bytes: 0, ..LogConfig::default() }
}

impl Rig {
    pub fn new(config: LogConfig) -> Rig {
        let fs = MemoryFs::new();
        fs.create_directories(Path::new("/data")).expect("a directory");
        fs.sync_directory(Path::new("/")).expect("synced");
        let (log, _) = open(&fs, &config, true, 0).expect("a new log");
        Rig { fs, config, log, defers: false }
    }

    /// One whose appends wait for the next flush, whatever their size.
    pub fn deferring(config: LogConfig) -> Rig {
        let mut rig = Rig::new(LogConfig { defer_from_bytes: 0, ..config });
        rig.defers = true;
        rig.log.defer_writes(true);
        rig
    }

    pub fn append(&mut self, batch: Bytes, epoch: i32) -> AppendInfo {
        self.log.append_as_leader(batch, LeaderEpoch(epoch), NOW).expect("appended")
    }

    /// Appends `count` batches of `records` records each in epoch 0.
    pub fn append_batches(&mut self, count: usize, records: usize) {
        for _ in 0..count {
            let end = self.log.log_end_offset();
            self.append(batch(records, end), 0);
        }
    }

    /// Opens the log anew, after a clean stop.
    pub fn restart(&mut self) -> Recovery {
        self.log.close(NOW).expect("closed");
        self.open_again(true, self.log.recovery_point())
    }

    pub fn open_again(&mut self, clean: bool, recovery_point: Offset) -> Recovery {
        let (log, recovery) = open(&self.fs, &self.config, clean, recovery_point).expect("opened");
        self.log = log;
        self.log.defer_writes(self.defers);
        recovery
    }

    /// Opens the log anew after a kill, without the sync of what was found.
    pub fn open_unsynced(&mut self, recovery_point: Offset) {
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        let path = PathBuf::from(DIRECTORY);
        let opened = Log::open_unsynced(fs, path, TOPIC_ID, self.config.clone(), false, recovery_point, NOW);
        self.log = opened.expect("opened").0;
        self.log.defer_writes(self.defers);
    }

    /// Opens the log anew after a kill, as a broker does that has synced the volume first.
    pub fn open_synced(&mut self, recovery_point: Offset) -> Recovery {
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        self.fs.open_volume(Path::new("/data")).and_then(|volume| volume.sync()).expect("synced");
        let path = PathBuf::from(DIRECTORY);
        let opened = Log::open_synced(fs, path, TOPIC_ID, self.config.clone(), recovery_point, NOW);
        let (log, recovery) = opened.expect("opened");
        self.log = log;
        self.log.defer_writes(self.defers);
        recovery
    }

    pub fn try_open(&self, clean: bool, recovery_point: Offset) -> Result<(Log, Recovery), LogError> {
        open(&self.fs, &self.config, clean, recovery_point)
    }

    pub fn all(&self) -> Vec<RecordBatch> {
        read_all(&self.log)
    }

    pub fn file(&self, name: &str) -> Arc<dyn File> {
        self.fs.open(&Path::new(DIRECTORY).join(name), OpenMode::ReadWrite).expect("the file is there")
    }

    pub fn file_names(&self, suffix: &str) -> Vec<String> {
        let entries = self.fs.list(Path::new(DIRECTORY)).expect("a listing");
        entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
    }

    pub fn content(&self, name: &str) -> Vec<u8> {
        let file = self.file(name);
        let mut bytes = vec![0; file.length().expect("a length") as usize];
        let read = file.read_at(&mut bytes, 0).expect("read");
        assert_eq!(read, bytes.len());
        bytes
    }

    pub fn replace(&self, name: &str, content: &[u8]) {
        let file = self.fs.open(&Path::new(DIRECTORY).join(name), OpenMode::Truncate).expect("opened");
        file.write_all_at(content, 0).expect("written");
    }
}

pub fn open(
    fs: &MemoryFs,
    config: &LogConfig,
    clean: bool,
    recovery_point: Offset,
) -> Result<(Log, Recovery), LogError> {
    let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
    Log::open(fs, PathBuf::from(DIRECTORY), TOPIC_ID, config.clone(), clean, recovery_point, NOW)
}

/// Everything in the log, read in small pieces.
pub fn read_all(log: &Log) -> Vec<RecordBatch> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut from = log.log_start_offset();
    while from < log.log_end_offset() {
        let data = log.read(from, 300, Offset::MAX, true).expect("readable");
        assert!(data.next_offset > from, "a read below the end must get on");
        for chunk in data.chunks {
            batches.extend(split_batches(chunk, false).map(|batch| batch.expect("whole batches")));
        }
        from = data.next_offset;
    }
    for batch in &batches {
        batch.check_crc().expect("what is stored is what was sent");
    }
    batches
}

/// A batch of `records` records whose values tell batches apart.
pub fn batch(records: usize, seed: i64) -> Bytes {
    batch_at(records, seed, NOW.0 + seed)
}

pub fn batch_at(records: usize, seed: i64, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for i in 0..records {
        let value = format!("value {seed}/{i}");
        builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build(0, LeaderEpoch(-1))
}

/// A batch as another replica's log has it.
pub fn stored_batch(records: usize, base_offset: Offset, epoch: i32) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for i in 0..records {
        builder.append(NOW.0 + base_offset, None, Some(format!("stored {base_offset}/{i}").as_bytes()), &[]);
    }
    builder.build(base_offset, LeaderEpoch(epoch))
}

/// An idempotent producer's batch.
pub fn producer_batch(id: i64, epoch: i16, sequence: i32, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    for _ in 0..records {
        builder.append(NOW.0, None, Some(b"idempotent"), &[]);
    }
    builder.build(0, LeaderEpoch(-1))
}

/// The marker that ends a producer's transaction.
pub fn marker(id: i64, epoch: i16, commit: bool) -> Bytes {
    raftsman_records::end_transaction_marker(ProducerId(id), ProducerEpoch(epoch), commit, 0, NOW.0)
}
