//! The directories that are damaged: a log that is kept by time, one that is compacted, one of a single segment; stopped
//! cleanly, killed, and killed in the middle of a swap.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use raftsman_log::dir::{CleanShutdown, LogDirectory, MetaProperties};
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs};
use raftsman_log::{CompactionLimits, Log, LogConfig, Pace, Stopped};
use raftsman_records::{BatchBuilder, Compression, end_transaction_marker};
use raftsman_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId, TopicPartition, Uuid,
    WallTime,
};

use super::files::{self, Files, ROOT};
use super::truth::Truth;

pub const NOW: WallTime = WallTime(1_000_000);
pub const TOPIC_ID: TopicId = TopicId(Uuid([7; 16]));
pub const TOPIC: &str = "t";

/// How the process that wrote the directory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    Killed,
}

/// One directory, with what is true of it.
#[derive(Debug)]
pub struct World {
    pub name: String,
    pub config: LogConfig,
    pub files: Files,
    /// The same files as they were half-way.
    pub older: Files,
    /// What its recovery point checkpoint says.
    pub recovery_point: Offset,
    pub truth: Truth,
}

/// A log that is written, with the directory it is in.
pub struct Writer {
    pub fs: MemoryFs,
    pub directory: LogDirectory,
    pub log: Log,
    number: i64,
}

struct Free;

impl Pace for Free {
    fn moved(&self, _bytes: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

pub fn kept() -> LogConfig {
    LogConfig { segment_bytes: 1_400, index_interval_bytes: 150, tail_cache_bytes: 0, ..LogConfig::default() }
}

fn compacted() -> LogConfig {
    LogConfig { compact: true, min_cleanable_dirty_ratio: 0.0, segment_bytes: 900, ..kept() }
}

fn one_segment() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, ..kept() }
}

impl World {
    pub fn all() -> Vec<World> {
        let mut worlds = Vec::new();
        for end in [End::Stopped, End::Killed] {
            worlds.push(World::build("kept", kept(), end, write_kept));
            worlds.push(World::build("one segment", one_segment(), end, write_kept));
            worlds.push(World::build("compacted", compacted(), end, write_compacted));
        }
        // In the middle of putting compacted segments in their places.
        for changes in [14, 18, 22, 26] {
            worlds.push(World::in_a_swap(changes));
        }
        worlds
    }

    fn build(name: &str, config: LogConfig, end: End, script: fn(&mut Writer) -> Files) -> World {
        let mut writer = Writer::new(&config);
        let older = script(&mut writer);
        writer.finish(format!("{name}, {end:?}"), config, older, end)
    }

    fn in_a_swap(changes: u64) -> World {
        let mut writer = Writer::new(&compacted());
        let older = write_compacted(&mut writer);
        writer.checkpoint();
        writer.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip: changes, fault: Fault::PowerCut });
        assert!(compact(&mut writer.log).is_err(), "the pass must be interrupted");
        let name = format!("compacted, killed after {changes} changes of a pass");
        writer.finish(name, compacted(), older, End::Killed)
    }
}

impl Writer {
    fn new(config: &LogConfig) -> Writer {
        let fs = MemoryFs::new();
        let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let directory = LogDirectory::open(Arc::clone(&shared), ROOT).expect("opened");
        let properties = MetaProperties {
            cluster_id: Some("kVTQiJDNRlSb4ZNXo2IT5A".to_owned()),
            node_id: BrokerId(3),
            directory_id: Some(DirectoryId(Uuid([9; 16]))),
            has_joined: true,
        };
        directory.write_meta_properties(&properties).expect("written");
        let path = directory.partition_path(TOPIC, 0);
        let (log, _) = Log::open(shared, path, TOPIC_ID, config.clone(), true, 0, NOW).expect("a new log");
        Writer { fs, directory, log, number: 0 }
    }

    fn append(&mut self, batch: Bytes, epoch: i32) {
        self.log.append_as_leader(batch, LeaderEpoch(epoch), NOW).expect("appended");
        self.number += 1;
    }

    fn plain(&mut self, codec: Compression, records: usize, epoch: i32) {
        let mut builder = BatchBuilder::new(codec);
        for i in 0..records {
            let value = format!("value {}/{i}", self.number);
            builder.append(self.time(), Some(b"key"), Some(value.as_bytes()), &[]);
        }
        self.append(builder.build(0, LeaderEpoch(-1)), epoch);
    }

    fn of_producer(&mut self, id: i64, sequence: i32, records: usize, is_transactional: bool, epoch: i32) {
        let mut builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), sequence);
        builder = builder.transactional(is_transactional);
        for i in 0..records {
            let value = format!("of producer {id}, {}", sequence + i as i32);
            builder.append(self.time(), Some(b"key"), Some(value.as_bytes()), &[]);
        }
        self.append(builder.build(0, LeaderEpoch(-1)), epoch);
    }

    fn ends(&mut self, id: i64, commit: bool, epoch: i32) {
        let time = self.time();
        self.append(end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 1, time), epoch);
    }

    fn time(&self) -> i64 {
        500_000 + self.number * 10
    }

    /// Flushes, and writes the checkpoints of the directory.
    pub fn checkpoint(&mut self) {
        self.log.flush(NOW).expect("flushed");
        let of = |offset| BTreeMap::from([(TopicPartition { topic: TOPIC.into(), partition: 0 }, offset)]);
        let recovery_point = self.log.recovery_point();
        self.directory.write_recovery_points(&of(recovery_point)).expect("written");
        self.directory.write_log_start_offsets(&of(self.log.log_start_offset())).expect("written");
        self.directory.write_compacted_offsets(&of(self.log.compacted_upto())).expect("written");
        self.directory.write_high_watermarks(&of(recovery_point)).expect("written");
        self.log.recovery_point_checkpointed(recovery_point).expect("noted");
    }

    fn finish(mut self, name: String, config: LogConfig, older: Files, end: End) -> World {
        if end == End::Stopped {
            self.log.close(NOW).expect("closed");
            self.checkpoint();
            let mark = CleanShutdown { broker_epoch: BrokerEpoch(12) };
            self.directory.mark_clean_shutdown(mark).expect("marked");
        } else {
            self.fs.kill();
        }
        let files = files::read(&self.fs);
        let opened = super::judge::open(&files, &config).expect("what nobody damaged opens");
        let recovery_point = opened.recovery_point;
        World { name, config, files, older, recovery_point, truth: Truth::of(&opened.log) }
    }
}

/// Three epochs, all codecs, idempotent and transactional producers; the log's start in the middle of a batch.
fn write_kept(writer: &mut Writer) -> Files {
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (i, codec) in codecs.into_iter().enumerate() {
        writer.plain(codec, 2 + i % 2, 0);
        writer.of_producer(40, 2 * i as i32, 2, false, 0);
    }
    writer.of_producer(41, 0, 2, true, 0);
    writer.of_producer(42, 0, 1, true, 0);
    writer.ends(41, false, 1);
    writer.plain(Compression::None, 3, 1);
    writer.ends(42, true, 1);
    let older = {
        writer.checkpoint();
        files::read(&writer.fs)
    };
    writer.log.advance_log_start_offset(8, NOW).expect("advanced");
    for i in 0..4 {
        writer.of_producer(41, 2 + i, 1, true, 1);
        writer.of_producer(40, 10 + 2 * i, 2, false, 1);
    }
    writer.ends(41, false, 4);
    writer.plain(Compression::Lz4, 2, 4);
    writer.checkpoint();
    writer.of_producer(43, 0, 1, true, 4);
    writer.plain(Compression::None, 2, 4);
    writer.ends(43, false, 4);
    writer.of_producer(41, 6, 1, true, 5);
    writer.plain(Compression::None, 2, 5);
    older
}

/// Keys written again and again, compacted twice, and more behind.
fn write_compacted(writer: &mut Writer) -> Files {
    rounds(writer, 4, 0);
    writer.checkpoint();
    compact(&mut writer.log).expect("compacted");
    rounds(writer, 2, 1);
    writer.checkpoint();
    let older = files::read(&writer.fs);
    compact(&mut writer.log).expect("compacted");
    rounds(writer, 2, 1);
    writer.checkpoint();
    rounds(writer, 1, 2);
    older
}

fn rounds(writer: &mut Writer, rounds: usize, epoch: i32) {
    for round in 0..rounds {
        for pair in 0..4 {
            let mut builder = BatchBuilder::new(Compression::None);
            for key in [2 * pair, 2 * pair + 1] {
                let (name, value) = (format!("key {key}"), format!("value {round} of batch {}", writer.number));
                let is_tombstone = key == 5 && round == 1;
                let value = (!is_tombstone).then_some(value.as_bytes());
                builder.append(writer.time(), Some(name.as_bytes()), value, &[]);
            }
            writer.append(builder.build(0, LeaderEpoch(-1)), epoch);
        }
    }
}

/// One pass over a log, as a cleaner thread does it.
pub fn compact(log: &mut Log) -> Result<(), String> {
    let limits =
        CompactionLimits { dedupe_buffer_bytes: 1 << 16, load_factor: 0.9, io_buffer_bytes: 400, hash_key: [5; 16] };
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let high_watermark = log.log_end_offset();
    let begun = log.begin_compaction(high_watermark, limits, NOW).map_err(|error| text(&error))?;
    let Some(mut compaction) = begun else { return Ok(()) };
    compaction.read_keys(&Free).map_err(|error| text(&error))?;
    while let Some(group) = compaction.next_group(&Free).map_err(|error| text(&error))? {
        let announced = log.announce_swap(&group).map_err(|error| text(&error))?;
        group.sync_names().map_err(|error| text(&error))?;
        if !announced || !log.swap(group, NOW).map_err(|error| text(&error))? {
            return Err("refused".to_owned());
        }
    }
    log.compaction_finished(&compaction);
    Ok(())
}
