//! Whole log directories as Kafka left them, killed and stopped in good order: our logs, our replicas and a node of ours
//! open them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::replica::{
    BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult, ReplicaConfig, ReplicaManager,
};
use raftsman_log::dir::{CleanShutdown, LogDirectory, PartitionDirectory};
use raftsman_log::fs::RealFs;
use raftsman_log::{Log, LogConfig, Recovery, raw};
use raftsman_records::split_batches;
use raftsman_testkit::{ClusterOptions, ProcessCluster, wait_until};
use raftsman_types::{BrokerId, DirectoryId, LeaderEpoch, Offset, TopicIdPartition, TopicPartition, WallTime};
use serde_json::{Value, json};

use crate::clients::install;
use crate::dump_tools::agree;
use crate::log_files::{KINDS, copy, files, script};
use crate::real_kafka::{CLUSTER_ID, RealKafka};

const PATIENCE: Duration = Duration::from_secs(120);
/// Of the time the records are of, in which nothing is too old.
const NOW: WallTime = WallTime(1_700_000_100_000);
/// With all codecs, idempotent producers and transactions; the same with its first records deleted; cleaned.
const TOPICS: [&str; 3] = ["orders", "shortened", "compacted"];
/// In the second segment: the first one goes.
const SHORTENED_START: Offset = 638;
const CHECKPOINTS: [&str; 4] = [
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
];
/// What Kafka makes room for in an index before it has any entries.
const PREALLOCATED_INDEX_BYTES: u64 = 10 << 20;
/// Kafka writes its checkpoints and cleans as soon as there is something.
const HURRIED: &str = "log.initial.task.delay.ms=500\nlog.retention.check.interval.ms=500\n\
                       log.flush.offset.checkpoint.interval.ms=500\nlog.flush.start.offset.checkpoint.interval.ms=500\n\
                       replica.high.watermark.checkpoint.interval.ms=500\nlog.cleaner.backoff.ms=500\n\
                       metadata.log.max.record.bytes.between.snapshots=2000\n";

#[test]
fn a_whole_directory_of_kafkas_opens_after_a_clean_stop_and_after_a_kill() {
    if !install("python") || !install("java") {
        return;
    }
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let mut kafka = RealKafka::start_with(temporary.path(), HURRIED);
    let bootstrap = kafka.bootstrap_servers.clone();
    let write = |topic: &str, arguments: &[&str]| script(&bootstrap, topic, arguments);
    write("orders", &["write", "small-segments", "transactions"]);
    write("shortened", &["write", "small-segments", "transactions"]);
    write("compacted", &["write-compacted"]);
    write("shortened", &["delete-records", &SHORTENED_START.to_string()]);
    wait_for_kafkas_housekeeping(&kafka.data);
    let before_the_kill = Content::read(&bootstrap);
    kafka.kill();
    let killed = Left::keep(&kafka.data, &temporary.path().join("killed"), before_the_kill);

    kafka.start_again();
    for topic in TOPICS {
        write(topic, &["append", "keyed"]);
    }
    let before_the_stop = Content::read(&bootstrap);
    let data = kafka.stop();
    let stopped = Left::keep(&data, &temporary.path().join("stopped"), before_the_stop);

    assert!(killed.has_preallocated_indexes() && !stopped.has_preallocated_indexes());
    opens_whole(&stopped, true);
    opens_whole(&killed, false);
    only_a_torn_tail_is_cut(&killed);
    replicas_are_where_kafka_left_them(&stopped);
    replicas_are_where_kafka_left_them(&killed);
    both_tools_show_the_same(&killed);
    both_tools_show_the_same(&stopped);
    a_node_leaves_it_alone(&stopped);
    a_node_serves(&stopped);
}

/// What Kafka's clients read of each topic: one array for each record.
struct Content(BTreeMap<&'static str, Vec<Value>>);

impl Content {
    fn read(bootstrap: &str) -> Content {
        let lines = |topic: &str| {
            let text = script(bootstrap, topic, &["read"]);
            text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect::<Vec<Value>>()
        };
        let content = Content(TOPICS.map(|topic| (topic, lines(topic))).into());
        assert_eq!(content.0["shortened"][0][0], SHORTENED_START);
        let compacted = &content.0["compacted"];
        let end = compacted.last().and_then(|last| last[0].as_u64()).expect("there are records");
        assert!((compacted.len() as u64) < end / 2, "Kafka cleaned it: {} records up to {end}", compacted.len());
        content
    }
}

/// A log directory that Kafka left.
struct Left {
    directory: PathBuf,
    content: Content,
}

impl Left {
    fn keep(data: &Path, kept: &Path, content: Content) -> Left {
        copy(data, kept);
        Left { directory: kept.to_owned(), content }
    }

    /// A copy for what changes it.
    fn copied(&self, name: &str) -> PathBuf {
        let to = self.directory.with_extension(name);
        copy(&self.directory, &to);
        to
    }

    fn has_preallocated_indexes(&self) -> bool {
        let folder = self.directory.join("orders-0");
        let length = |file: PathBuf| std::fs::metadata(file).expect("the file is there").len();
        files(&folder, &["index"]).into_iter().any(|file| length(file) == PREALLOCATED_INDEX_BYTES)
    }

    /// A line of one of Kafka's checkpoint files.
    fn checkpointed(&self, name: &str, topic: &str) -> Option<Offset> {
        checkpointed(&self.directory, name, topic)
    }
}

fn checkpointed(data: &Path, name: &str, topic: &str) -> Option<Offset> {
    let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 "))?.parse().ok())
}

/// Kafka has taken the deleted segment away, cleaned all but the newest one, and written down both, and up to where it
/// has flushed.
fn wait_for_kafkas_housekeeping(data: &Path) {
    let newest_base = |topic: &str| {
        let segments = files(&data.join(format!("{topic}-0")), &["log"]);
        segments.last().and_then(|file| file.file_stem()?.to_str()?.parse::<Offset>().ok())
    };
    wait_until("Kafka to clean and to delete", PATIENCE, || {
        let cleaned = checkpointed(data, "cleaner-offset-checkpoint", "compacted");
        let is_cleaned = cleaned.is_some_and(|offset| offset > 0) && cleaned == newest_base("compacted");
        let start = checkpointed(data, "log-start-offset-checkpoint", "shortened");
        let is_shortened = start == Some(SHORTENED_START) && newest_base("shortened") > Some(0);
        let is_gone = !data.join("shortened-0/00000000000000000000.log").exists();
        let is_flushed = TOPICS
            .iter()
            .all(|topic| checkpointed(data, "recovery-point-offset-checkpoint", topic) == newest_base(topic));
        is_cleaned && is_shortened && is_gone && is_flushed
    });
}

/// Our logs are what Kafka's were: the same records from the same start in the same leader epochs. After Kafka's clean stop nothing
/// is looked through, for its checkpoints are believed; after a kill nothing is cut.
fn opens_whole(left: &Left, is_clean: bool) {
    let copied = left.copied("logs");
    let directory = LogDirectory::open(Arc::new(RealFs::new()), &copied).expect("Kafka's directory can be locked");
    let properties = directory.read_meta_properties().expect("Kafka's file is read").expect("it is formatted");
    assert_eq!(properties.cluster_id.as_deref(), Some(CLUSTER_ID));
    assert_eq!((properties.node_id, properties.has_joined), (BrokerId(1), false));
    assert_ne!(properties.directory_id.unwrap_or(DirectoryId::ZERO), DirectoryId::ZERO);
    let mark = directory.take_clean_shutdown().expect("Kafka's mark is read");
    assert_eq!(mark.is_some(), is_clean);
    assert!(mark.is_none_or(|CleanShutdown { broker_epoch }| broker_epoch.0 > 0), "{mark:?}");

    let found = directory.partitions().expect("Kafka's directory is listed");
    let names: BTreeSet<&str> = found.iter().map(|partition| partition.topic.as_str()).collect();
    let expected = TOPICS.into_iter().chain(["__consumer_offsets", "__transaction_state"]);
    assert_eq!(names, expected.collect(), "and not __cluster_metadata");
    for partition in found {
        let (log, recovery, end_at_stop) = opened(&directory, &partition, is_clean);
        let topic = partition.topic.as_str();
        if is_clean {
            // Kafka's cleaner gives what it copies in one go a single entry; where much lies behind the last one, ours adds some.
            let read = Recovery { rebuilt_indexes: 0, ..recovery };
            assert_eq!(read, Recovery::default(), "{topic}: nothing is looked through after a clean stop");
            assert!(recovery.rebuilt_indexes == 0 || topic == "compacted", "{topic}: {recovery:?}");
            assert_eq!(log.log_end_offset(), end_at_stop, "{topic}");
        }
        assert_eq!((recovery.truncated_bytes, recovery.removed_segments), (0, 0), "{topic}: nothing is cut");
        assert_eq!(segments(&partition.path), segments(&left.directory.join(format!("{topic}-0"))), "{topic}");
        if let Some(start) = left.checkpointed("log-start-offset-checkpoint", topic) {
            assert_eq!(log.log_start_offset(), start, "{topic}");
        }
        epochs_are_kafkas(&log, &left.directory.join(format!("{topic}-0")));
        if let Some(content) = left.content.0.get(topic) {
            assert_eq!(&records(&log), content, "{topic}");
        }
    }
    assert_eq!(left.checkpointed("log-start-offset-checkpoint", "shortened"), Some(SHORTENED_START));
}

/// A log as a broker of ours opens it, and its recovery point in Kafka's checkpoint.
fn opened(directory: &LogDirectory, partition: &PartitionDirectory, is_clean: bool) -> (Log, Recovery, Offset) {
    let name = TopicPartition { topic: partition.topic.as_str().into(), partition: partition.partition };
    let recovery_points = directory.read_recovery_points().expect("Kafka's recovery points are read");
    let starts = directory.read_log_start_offsets().expect("Kafka's log starts are read");
    let compacted = directory.read_compacted_offsets().expect("Kafka's compacted offsets are read");
    assert_eq!(partition.malformed, None);
    let id = partition.topic_id.expect("Kafka's partition.metadata is read");
    let recovery_point = recovery_points.get(&name).copied().unwrap_or(0);
    let (fs, path) = (Arc::clone(directory.file_system()), partition.path.clone());
    let (mut log, recovery) = Log::open(fs, path, id, LogConfig::default(), is_clean, recovery_point, NOW)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    if let Some(upto) = compacted.get(&name) {
        log.restore_compacted_upto(*upto);
        assert_eq!(log.compacted_upto(), *upto, "{name}");
    }
    if let Some(start) = starts.get(&name) {
        log.restore_log_start_offset(*start, NOW).expect("the start lies in the log");
    }
    (log, recovery, recovery_point)
}

/// The segments there are, with their content.
fn segments(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let name = |file: &Path| PathBuf::from(file.file_name().expect("a file has a name"));
    files(folder, &["log"]).iter().map(|file| (name(file), std::fs::read(file).expect("it can be read"))).collect()
}

/// Each epoch reigns where Kafka's file says, and each batch is of the epoch that reigns at it.
fn epochs_are_kafkas(log: &Log, kafkas: &Path) {
    let path = kafkas.join("leader-epoch-checkpoint");
    let epochs = raw::leader_epochs(&path, &std::fs::read(&path).expect("it is there")).expect("Kafka's file is read");
    let ends = epochs.iter().skip(1).map(|(_, start)| *start).chain([log.log_end_offset()]);
    for ((epoch, start), end) in epochs.iter().zip(ends) {
        let first = (*start).max(log.log_start_offset());
        if first < end {
            assert_eq!([first, end - 1].map(|offset| log.epoch_of(offset)), [Some(*epoch); 2], "{}", path.display());
        }
    }
    let (newest, _) = epochs.last().expect("Kafka's logs have an epoch");
    assert_eq!(log.latest_epoch(), Some(*newest), "{}", path.display());
    each_batch(log, |batch| {
        let epoch: LeaderEpoch = batch.header().partition_leader_epoch;
        assert_eq!(log.epoch_of(batch.last_offset()), Some(epoch), "{}", path.display());
    });
}

fn each_batch(log: &Log, mut visit: impl FnMut(&raftsman_records::RecordBatch)) {
    let (mut from, end) = (log.log_start_offset(), log.log_end_offset());
    while from < end {
        let data = log.read(from, 1 << 20, end, true).expect("a log can be read up to its end");
        assert!(data.next_offset > from, "there is something at {from} below {end}");
        for batch in data.chunks.into_iter().flat_map(|chunk| split_batches(chunk, false)) {
            visit(&batch.expect("it is a batch"));
        }
        from = data.next_offset;
    }
}

/// The records as the script prints them.
fn records(log: &Log) -> Vec<Value> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).expect("all was written as text").to_owned();
    let mut records = Vec::new();
    each_batch(log, |batch| {
        if batch.is_control() {
            return;
        }
        for record in batch.records().map(|record| record.expect("it is a record")) {
            if record.offset < log.log_start_offset() {
                continue;
            }
            let headers =
                record.headers.iter().map(|header| json!([text(&header.key), header.value.as_deref().map(text)]));
            let headers: Vec<Value> = headers.collect();
            let (key, value) = (record.key.as_deref().map(text), record.value.as_deref().map(text));
            records.push(json!([record.offset, [1, record.timestamp], key, value, headers]));
        }
    });
    records
}

/// A power cut, or a crash of the system, may leave the beginning of a batch; that goes and nothing else.
fn only_a_torn_tail_is_cut(killed: &Left) {
    let copied = killed.copied("torn");
    let newest = files(&copied.join("orders-0"), &["log"]).pop().expect("there is a segment");
    let mut bytes = std::fs::read(&newest).expect("it can be read");
    let torn: Vec<u8> = bytes[..70].to_vec();
    bytes.extend_from_slice(&torn);
    std::fs::write(&newest, bytes).expect("it can be written");
    let directory = LogDirectory::open(Arc::new(RealFs::new()), &copied).expect("the directory can be locked");
    for partition in directory.partitions().expect("it is listed").iter().filter(|found| found.topic == "orders") {
        let (log, recovery, _) = opened(&directory, partition, false);
        assert_eq!((recovery.truncated_bytes, recovery.removed_segments), (torn.len() as u64, 0));
        assert_eq!(records(&log), killed.content.0["orders"]);
    }
}

/// Nobody to talk to.
struct NoController;

impl ControllerLink for NoController {
    fn alter_partition(
        &self,
        _changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async { Err(IsrChangeFailure::NotTaken("there is no controller".to_owned())) })
    }

    fn report_unreachable(&self, _broker: BrokerId) {}

    fn directory_offline(&self, directory: DirectoryId) {
        panic!("{directory} is in good order");
    }
}

/// A broker takes over starts, ends and high watermarks of all of Kafka's replicas.
fn replicas_are_where_kafka_left_them(left: &Left) {
    let directory = LogDirectory::open(Arc::new(RealFs::new()), left.copied("replicas")).expect("it can be locked");
    let found = directory.partitions().expect("Kafka's directory is listed");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let link = Arc::new(NoController);
    let manager =
        ReplicaManager::open(ReplicaConfig::new(BrokerId(1)), vec![directory], link, runtime.handle().clone());
    let manager = manager.expect("Kafka's directory opens");
    assert_eq!((manager.damaged(), manager.partitions().len()), (Vec::new(), found.len()));
    for partition in &found {
        let topic_id = partition.topic_id.expect("Kafka's partition.metadata is read");
        let at = TopicIdPartition { topic_id, partition: partition.partition };
        let state = manager.partition_state(at).expect("the replica is there");
        let topic = partition.topic.as_str();
        let start = left.checkpointed("log-start-offset-checkpoint", topic);
        assert_eq!(state.log_start_offset, start.unwrap_or(0), "{topic}");
        let high_watermark = left.checkpointed("replication-offset-checkpoint", topic);
        assert_eq!(Some(state.high_watermark), high_watermark, "{topic}");
        if let Some(last) = left.content.0.get(topic).and_then(|records| records.last()) {
            // What stands behind it are markers of transactions.
            assert!(Some(state.log_end_offset - 1) >= last[0].as_i64(), "{topic}");
        }
    }
    assert!(manager.shutdown());
}

/// Kafka's own log and its snapshots, the topics of its coordinators, and indexes with nothing but zeroes at their ends.
fn both_tools_show_the_same(left: &Left) {
    let metadata = files(&left.directory.join("__cluster_metadata-0"), &["log", "checkpoint"]);
    assert!(metadata.iter().any(|file| file.extension().is_some_and(|kind| kind == "checkpoint")), "{metadata:?}");
    let bootstrap = left.directory.join("bootstrap.checkpoint");
    agree(&metadata.into_iter().chain([bootstrap]).collect::<Vec<_>>(), &["--cluster-metadata-decoder"]);
    agree(&files(&left.directory.join("__transaction_state-0"), &["log"]), &["--transaction-log-decoder"]);
    agree(&files(&left.directory.join("__consumer_offsets-0"), &["log"]), &["--offsets-decoder"]);
    for topic in TOPICS {
        let folder = left.directory.join(format!("{topic}-0"));
        agree(&files(&folder, KINDS), &["--print-data-log"]);
        agree(&files(&folder, &["index", "timeindex"]), &["--index-sanity-check"]);
    }
}

/// Started on Kafka's directory as it is a node knows none of its topics: it ends, and gives nothing up.
fn a_node_leaves_it_alone(left: &Left) {
    let mut cluster = ProcessCluster::prepare(&ClusterOptions { nodes: 1, ..ClusterOptions::default() });
    let node = cluster.node(1);
    let data = node.directory().join("data");
    copy(&left.directory, &data);
    node.start();
    assert_eq!(node.wait_for_exit(PATIENCE).code(), Some(1), "{}", node.output());
    let said = node.output();
    assert!(said.contains("metadata log of this node is empty") && said.contains("-0 is there"), "{said}");
    for topic in TOPICS {
        let name = format!("{topic}-0");
        assert_eq!(segments(&data.join(&name)), segments(&left.directory.join(&name)), "{topic}");
    }
    let metadata = "__cluster_metadata-0";
    assert_eq!(segments(&data.join(metadata)), segments(&left.directory.join(metadata)));
    assert!(data.join(".kafka_cleanshutdown").is_file(), "and Kafka may be started on it again");
}

/// What the documentation has a user do to bring Kafka's partitions into a cluster of ours: make the topics, stop the node, put
/// Kafka's files and checkpoint lines in place of those of ours, and start it.
fn a_node_serves(left: &Left) {
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..ClusterOptions::default() });
    let bootstrap = cluster.bootstrap_servers();
    for topic in TOPICS {
        let policy = if topic == "compacted" { "cleanup.policy=compact" } else { "cleanup.policy=delete" };
        let create = ["--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1"];
        let keep = ["--config", "retention.ms=-1", "--config", "segment.bytes=1048576", "--config", policy];
        cluster.tools().run("kafka-topics", &[&create[..], &keep].concat()).expect("a topic can be created");
    }
    let data = cluster.node(1).directory().join("data");
    stop(&mut cluster);
    // Each start brings new leader epochs: they have to be past those that Kafka's logs know.
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    TOPICS.iter().for_each(|topic| wait_for_leader(&cluster, topic));
    stop(&mut cluster);
    for topic in TOPICS {
        replace_files(&left.directory.join(format!("{topic}-0")), &data.join(format!("{topic}-0")));
    }
    for name in CHECKPOINTS {
        replace_lines(&left.directory.join(name), &data.join(name));
    }
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(Content::read(&bootstrap).0, left.content.0);
    for topic in TOPICS {
        script(&bootstrap, topic, &["append", "keyed"]);
    }
    let longer = Content::read(&bootstrap);
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(Content::read(&bootstrap).0, longer.0, "after a kill");
    for topic in TOPICS {
        assert_eq!(longer.0[topic].len(), left.content.0[topic].len() + 20, "{topic}");
    }
    let said = cluster.node(1).output();
    for trouble in
        ["waits for a new leader epoch", "does not end at its recovery point", "torn tail", "damaged", "put aside"]
    {
        assert!(!said.contains(trouble), "{said}");
    }
}

fn stop(cluster: &mut ProcessCluster) {
    assert!(cluster.node(1).stop(PATIENCE).is_some_and(|status| status.success()), "a clean stop");
}

fn wait_for_leader(cluster: &ProcessCluster, topic: &str) {
    let tools = cluster.tools();
    wait_until("the partition to have a leader", PATIENCE, || {
        tools.describe(topic).is_ok_and(|partitions| partitions.iter().all(|partition| partition.leader == Some(1)))
    });
}

/// All files of a partition but the one that says which topic it is of.
fn replace_files(theirs: &Path, ours: &Path) {
    for entry in std::fs::read_dir(ours).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.file_name().is_some_and(|name| name != "partition.metadata") {
            std::fs::remove_file(path).expect("a file can be removed");
        }
    }
    for file in files(theirs, KINDS).into_iter().chain([theirs.join("leader-epoch-checkpoint")]) {
        std::fs::copy(&file, ours.join(file.file_name().expect("a file has a name"))).expect("a file can be copied");
    }
}

/// Kafka's lines of the topics in place of ours.
fn replace_lines(theirs: &Path, ours: &Path) {
    let lines = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let is_moved = |line: &String| TOPICS.iter().any(|topic| line.starts_with(&format!("{topic} ")));
    let kept = lines(ours).into_iter().filter(|line| !is_moved(line));
    let all: Vec<String> = kept.chain(lines(theirs).into_iter().filter(is_moved)).collect();
    std::fs::write(ours, format!("0\n{}\n{}\n", all.len(), all.join("\n"))).expect("a file can be written");
}
