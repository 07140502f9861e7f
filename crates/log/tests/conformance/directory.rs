//! The directory that logs live in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use raftsman_log::dir::{CleanShutdown, DirectoryError, LogDirectory, MetaProperties};
use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs, OpenMode};
use raftsman_log::{Log, LogConfig, LogError};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, TopicId, TopicPartition, Uuid};

use super::rig::{NOW, TOPIC_ID, open};

fn directory(fs: &MemoryFs) -> LogDirectory {
    LogDirectory::open(Arc::new(fs.clone()), "/data").expect("opened")
}

fn put(fs: &MemoryFs, path: &str, content: &[u8]) {
    fs.open(Path::new(path), OpenMode::Truncate).expect("opened").write_all_at(content, 0).expect("written");
}

fn make_log(fs: &MemoryFs, directory: &LogDirectory, topic: &str, partition: i32, id: TopicId) -> Log {
    let path = directory.partition_path(topic, partition);
    Log::open(Arc::new(fs.clone()), path, id, LogConfig::default(), true, 0, NOW).expect("a log").0
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

#[test]
fn only_one_at_a_time() {
    let fs = MemoryFs::new();
    let first = directory(&fs);
    let second = LogDirectory::open(Arc::new(fs.clone()), "/data").expect_err("in use");
    assert!(matches!(second, DirectoryError::InUse { .. }), "{second}");
    drop(first);
    let again = directory(&fs);
    fs.kill();
    directory(&fs);
    drop(again);
}

#[test]
fn checkpoints_are_kafkas_and_survive() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    assert!(dir.read_recovery_points().expect("none").is_empty());
    let offsets = BTreeMap::from([(partition("a", 0), 5), (partition("a", 11), 7), (partition("b.c-d", 1), 1 << 40)]);
    dir.write_recovery_points(&offsets).expect("written");
    dir.write_high_watermarks(&offsets).expect("written");
    dir.write_log_start_offsets(&offsets).expect("written");
    fs.crash();
    let dir = directory(&fs);
    assert_eq!(dir.read_recovery_points().expect("read"), offsets);
    assert_eq!(dir.read_high_watermarks().expect("read"), offsets);
    assert_eq!(dir.read_log_start_offsets().expect("read"), offsets);
    let path = Path::new("/data/recovery-point-offset-checkpoint");
    let mut text = [0; 100];
    let length = fs.open(path, OpenMode::Read).expect("there").read_at(&mut text, 0).expect("read");
    assert_eq!(String::from_utf8_lossy(&text[..length]), "0\n3\na 0 5\na 11 7\nb.c-d 1 1099511627776\n");
}

#[test]
fn broken_checkpoints_are_named() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    for broken in ["", "1\n0\n", "0\nx\n", "0\n2\na 0 5\n", "0\n1\na 0\n", "0\n1\na b 5\n", "\u{0}\u{0}\u{0}"] {
        put(&fs, "/data/replication-offset-checkpoint", broken.as_bytes());
        let error = dir.read_high_watermarks().expect_err(broken);
        assert!(matches!(error, DirectoryError::Log(LogError::MalformedFile { .. })), "{broken:?}: {error}");
        assert!(error.to_string().contains("replication-offset-checkpoint"), "{error}");
    }
}

#[test]
fn a_directory_knows_whose_it_is() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    assert_eq!(dir.read_meta_properties().expect("none"), None);
    let properties = MetaProperties {
        cluster_id: Some("kVTQiJDNRlSb4ZNXo2IT5A".to_owned()),
        node_id: BrokerId(3),
        directory_id: Some(DirectoryId(Uuid([9; 16]))),
        has_joined: true,
    };
    dir.write_meta_properties(&properties).expect("written");
    fs.crash();
    assert_eq!(directory(&fs).read_meta_properties().expect("read"), Some(properties));

    put(&fs, "/data/meta.properties", b"#\n#Thu Jan 01 00:00:00 UTC 2026\nversion=0\nbroker.id=4\ncluster.id = abc\n");
    let old = directory(&fs).read_meta_properties().expect("read").expect("there");
    assert_eq!((old.cluster_id.as_deref(), old.node_id, old.directory_id), (Some("abc"), BrokerId(4), None));
    put(&fs, "/data/meta.properties", b"version=1\r\nnode.id=4\r\nunknown.key=x\r\ncluster.id=abc\r\n");
    let newer = directory(&fs).read_meta_properties().expect("read").expect("there");
    assert_eq!((newer.cluster_id.as_deref(), newer.node_id, newer.has_joined), (Some("abc"), BrokerId(4), false));
}

#[test]
fn a_directory_of_the_oldest_kafkas_stays_one_until_it_is_given_an_id() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    put(&fs, "/data/meta.properties", b"version=0\nbroker.id=4\n");
    let mut oldest = dir.read_meta_properties().expect("read").expect("there");
    let nothing_else = MetaProperties { cluster_id: None, node_id: BrokerId(4), directory_id: None, has_joined: false };
    assert_eq!(oldest, nothing_else);
    dir.write_meta_properties(&oldest).expect("written");
    assert_eq!(dir.read_meta_properties().expect("read"), Some(oldest.clone()), "what was read comes back");
    oldest.directory_id = Some(DirectoryId(Uuid([9; 16])));
    dir.write_meta_properties(&oldest).expect("written");
    assert_eq!(dir.read_meta_properties().expect("read"), Some(oldest));
    let mut text = [0; 20];
    let file = fs.open(Path::new("/data/meta.properties"), OpenMode::Read).expect("there");
    file.read_at(&mut text, 0).expect("read");
    assert_eq!(&text, b"version=1\nnode.id=4\n");
}

#[test]
fn a_damaged_meta_properties_is_not_that_of_a_new_node() {
    let fs = MemoryFs::new();
    drop(directory(&fs));
    let whole = "version=1\ncluster.id=kVTQiJDNRlSb4ZNXo2IT5A\nnode.id=3\ndirectory.id=nv4hwGjJTYmYJDFa9B9SFw\n";
    let zero = "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA\n".to_owned();
    let mut broken: Vec<Vec<u8>> = [
        "cluster.id=a\nnode.id=1\n",
        "version=2\ncluster.id=a\nnode.id=1\n",
        "version=1\nnode.id=1\n",
        // Each version has its own name for the node, in Kafka, too.
        "version=0\nnode.id=1\n",
        "version=1\ncluster.id=a\nbroker.id=1\n",
        "version=1\ncluster.id=a\nnode.id=-1\n",
        "version=1\ncluster.id=a\nnode.id=x\n",
        "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=?\n",
        "version=1\ncluster.id=a\nnode.id=1\nhalf a line\n",
        &zero,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    broken.extend([vec![0; 90], vec![0xff; 10], Vec::new()]);
    // Cut short anywhere before the id of the node is complete.
    broken.extend((0..whole.find("3\n").expect("there")).map(|length| whole.as_bytes()[..length].to_vec()));
    for bytes in broken {
        put(&fs, "/data/meta.properties", &bytes);
        let error = directory(&fs).read_meta_properties().expect_err(&String::from_utf8_lossy(&bytes)).to_string();
        assert!(error.contains("meta.properties") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn the_clean_mark_is_good_for_one_start() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    assert_eq!(dir.take_clean_shutdown().expect("none"), None);
    let mark = CleanShutdown { broker_epoch: BrokerEpoch(77) };
    dir.mark_clean_shutdown(mark).expect("marked");
    fs.crash();
    let dir = directory(&fs);
    assert_eq!(dir.take_clean_shutdown().expect("taken"), Some(mark));
    fs.crash();
    assert_eq!(directory(&fs).take_clean_shutdown().expect("gone"), None);
    for (kafkas, epoch) in
        [(&b"{ \"version\" : 0, \"brokerEpoch\" : 12 }"[..], 12), (b"", -1), (b"{\"version\":0}", -1)]
    {
        put(&fs, "/data/.kafka_cleanshutdown", kafkas);
        let taken = directory(&fs).take_clean_shutdown().expect("taken");
        assert_eq!(taken, Some(CleanShutdown { broker_epoch: BrokerEpoch(epoch) }));
    }
}

#[test]
fn partitions_are_found_by_their_names() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    make_log(&fs, &dir, "orders", 0, TOPIC_ID);
    make_log(&fs, &dir, "with-dash.and_more", 12, TOPIC_ID);
    let others = ["__cluster_metadata-0", "orders-x", "orders", "orders-0.abc-stray", "or ders-1", "orders-1-future"];
    for other in others {
        fs.create_directories(&Path::new("/data").join(other)).expect("made");
    }
    put(&fs, "/data/file-0", b"no directory");
    let found = dir.partitions().expect("listed");
    let names: Vec<(&str, i32, Option<TopicId>)> =
        found.iter().map(|p| (p.topic.as_str(), p.partition, p.topic_id)).collect();
    assert_eq!(names, [("orders", 0, Some(TOPIC_ID)), ("with-dash.and_more", 12, Some(TOPIC_ID))]);
    assert_eq!(found[1].path, dir.partition_path("with-dash.and_more", 12));
}

#[test]
fn deletion_is_one_step_and_goes_on_after_a_crash() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut log = make_log(&fs, &dir, "a", 0, TOPIC_ID);
    log.append_as_leader(super::rig::batch(3, 0), LeaderEpoch(0), NOW).expect("appended");
    log.close(NOW).expect("closed");
    make_log(&fs, &dir, "a", 1, TOPIC_ID);
    let offsets = BTreeMap::from([(partition("a", 0), 5), (partition("a", 1), 7)]);
    dir.write_recovery_points(&offsets).expect("written");
    let retired = dir.retire_partition(&dir.partition_path("a", 0)).expect("retired");
    assert_eq!(retired, Path::new("/data/a-0.07070707070707070707070707070707-delete"));
    assert_eq!(dir.read_recovery_points().expect("read"), BTreeMap::from([(partition("a", 1), 7)]));
    let names: Vec<String> = dir.partitions().expect("listed").into_iter().map(|p| p.topic).collect();
    assert_eq!(names, ["a"]);
    fs.crash();
    let dir = directory(&fs);
    assert_eq!(dir.retired_partitions().expect("listed"), std::slice::from_ref(&retired));
    // A few files at a time; the directory goes with the last.
    let files = fs.list(&retired).expect("listed").len();
    assert!(files > 1, "{files}");
    for left in (0..files).rev() {
        assert_eq!(dir.remove_retired(&retired, 1).expect("removed"), left == 0);
    }
    assert!(!fs.exists(&retired).expect("looked at"));
    assert!(dir.remove_retired(&retired, 1).expect("it is gone"), "to remove it again is no error");
    assert!(dir.retired_partitions().expect("listed").is_empty());
    assert_eq!(dir.partitions().expect("listed").len(), 1);
}

#[test]
fn what_is_set_aside_takes_no_name_that_is_there() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut strays = Vec::new();
    for _ in 0..3 {
        make_log(&fs, &dir, "a", 0, TOPIC_ID);
        strays.push(dir.set_stray_aside(&dir.partition_path("a", 0)).expect("set aside"));
    }
    strays.dedup();
    assert_eq!(strays.len(), 3, "{strays:?}");
    assert!(strays.iter().all(|stray| stray.to_str().is_some_and(|name| name.ends_with("-stray"))), "{strays:?}");
    fs.crash();
    let dir = directory(&fs);
    assert!(strays.iter().all(|stray| fs.exists(stray).expect("looked at")));
    assert!(dir.partitions().expect("listed").is_empty() && dir.retired_partitions().expect("listed").is_empty());
}

#[test]
fn the_longest_topic_name_can_be_deleted() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let topic = "x".repeat(249);
    make_log(&fs, &dir, &topic, 3, TOPIC_ID);
    let retired = dir.retire_partition(&dir.partition_path(&topic, 3)).expect("retired");
    assert_eq!(retired.file_name().map(|name| name.len()), Some(255));
    assert!(dir.partitions().expect("listed").is_empty());
}

#[test]
fn a_topic_made_anew_is_not_taken_for_the_old_one() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    make_log(&fs, &dir, "t", 0, TOPIC_ID);
    let config = LogConfig::default();
    let other = TopicId(Uuid([8; 16]));
    let path = dir.partition_path("t", 0);
    let error =
        Log::open(Arc::new(fs.clone()), path.clone(), other, config.clone(), true, 0, NOW).expect_err("another");
    assert!(
        matches!(&error, LogError::TopicIdMismatch { expected, found, .. } if *expected == other && *found == TOPIC_ID)
    );
    let (log, _) = Log::open(Arc::new(fs.clone()), path, TopicId::ZERO, config, true, 0, NOW).expect("adopted");
    assert_eq!(log.topic_id(), TOPIC_ID);
    // A recovery point left behind by the old topic says nothing about the new one.
    dir.retire_partition(&dir.partition_path("t", 0)).expect("retired");
    make_log(&fs, &dir, "t", 0, other);
    fs.kill();
    let path = dir.partition_path("t", 0);
    let (log, _) = Log::open(Arc::new(fs.clone()), path, other, LogConfig::default(), false, 900, NOW).expect("opened");
    assert_eq!(log.log_end_offset(), 0);
}

#[test]
fn a_broken_topic_id_is_named() {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new("/data")).expect("made");
    open(&fs, &LogConfig::default(), true, 0).expect("a new log");
    for broken in ["version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n", "version: 0\n", "version: 0\ntopic_id: x\n"] {
        put(&fs, "/data/t-0/partition.metadata", broken.as_bytes());
        let error = open(&fs, &LogConfig::default(), true, 0).expect_err(broken);
        assert!(error.to_string().contains("partition.metadata"), "{error}");
    }
    // What a power cut may leave of a file that was never synced is no id at all.
    for lost in ["", "\0\0\0"] {
        put(&fs, "/data/t-0/partition.metadata", lost.as_bytes());
        let (log, _) = open(&fs, &LogConfig::default(), true, 0).expect("adopted");
        assert_eq!(log.topic_id(), TOPIC_ID);
    }
}

#[test]
fn one_sync_of_the_volume_flushes_many_logs() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut logs: Vec<Log> = (0..20).map(|i| make_log(&fs, &dir, "many", i, TOPIC_ID)).collect();
    for round in 0..3 {
        for log in &mut logs {
            log.append_as_leader(super::rig::batch(3, round), LeaderEpoch(round as i32), NOW).expect("appended");
        }
        let tickets: Vec<_> = logs.iter_mut().map(|log| log.begin_flush().expect("something to flush")).collect();
        dir.sync_tickets(&tickets.iter().collect::<Vec<_>>()).expect("synced");
        for (log, ticket) in logs.iter_mut().zip(tickets) {
            assert_eq!(log.complete_flush(ticket).expect("completed"), 3 * (round + 1));
            assert!(log.begin_flush().is_none());
        }
    }
    fs.crash();
    let dir = directory(&fs);
    for found in dir.partitions().expect("listed") {
        let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let (log, recovery) = Log::open(fs, found.path, TOPIC_ID, LogConfig::default(), false, 9, NOW).expect("opened");
        assert_eq!((log.log_end_offset(), recovery.truncated_bytes), (9, 0));
        assert_eq!(log.end_offset_for(LeaderEpoch(1)), Some((LeaderEpoch(1), 6)));
    }
}

#[test]
fn a_failed_sync_of_the_volume_fails_every_ticket() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut logs: Vec<Log> = (0..3).map(|i| make_log(&fs, &dir, "many", i, TOPIC_ID)).collect();
    for log in &mut logs {
        log.append_as_leader(super::rig::batch(3, 0), LeaderEpoch(0), NOW).expect("appended");
    }
    let tickets: Vec<_> = logs.iter_mut().map(|log| log.begin_flush().expect("something to flush")).collect();
    let fault = Fault::Error(std::io::ErrorKind::PermissionDenied);
    fs.inject(FaultPlan { target: FaultTarget::Sync, skip: 0, fault });
    assert!(dir.sync_tickets(&tickets.iter().collect::<Vec<_>>()).is_err());
    for (log, ticket) in logs.iter_mut().zip(tickets) {
        assert!(ticket.sync().is_err(), "the ticket remembers");
        assert!(log.complete_flush(ticket).is_err());
        assert!(log.offline_error().is_some());
    }
}

/// Several that are synced one by one are begun together: then all is written, and what failed of that stays failed.
#[test]
fn a_flush_that_is_begun_keeps_what_became_of_it() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut logs: Vec<Log> = (0..2).map(|i| make_log(&fs, &dir, "begun", i, TOPIC_ID)).collect();
    for log in &mut logs {
        log.defer_writes(true);
        log.append_as_leader(super::rig::batch(1000, 0), LeaderEpoch(0), NOW).expect("appended");
    }
    let tickets: Vec<_> = logs.iter_mut().map(|log| log.begin_flush().expect("something to flush")).collect();
    let fault = Fault::Error(std::io::ErrorKind::StorageFull);
    fs.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault });
    dir.begin_syncs(&tickets.iter().collect::<Vec<_>>());
    let written = |i: usize| {
        let path = format!("/data/begun-{i}/00000000000000000000.log");
        fs.open(Path::new(&path), OpenMode::Read).expect("opened").length().expect("known")
    };
    assert_eq!(written(0), 0, "there was no room for the first");
    assert!(written(1) > 0, "the second is written before anybody syncs the first");
    let outcomes: Vec<bool> = tickets.iter().map(|ticket| ticket.sync().is_ok()).collect();
    assert_eq!(outcomes, [false, true], "the first has failed, though there is room again");
    for (log, ticket) in logs.iter_mut().zip(tickets) {
        let _outcome = log.complete_flush(ticket);
        assert_eq!(log.flush(NOW).expect("another flush finds room"), 1000);
    }
}

/// What waits for its flush is written by it. Where one log finds no room for that, the others are flushed all the same.
#[test]
fn a_log_without_room_holds_up_no_other() {
    let fs = MemoryFs::new();
    let dir = directory(&fs);
    let mut logs: Vec<Log> = (0..3).map(|i| make_log(&fs, &dir, "many", i, TOPIC_ID)).collect();
    for log in &mut logs {
        log.defer_writes(true);
        log.append_as_leader(super::rig::batch(1000, 0), LeaderEpoch(0), NOW).expect("appended");
        assert_eq!(log.written_offset(), 0, "it waits for its flush");
    }
    let tickets: Vec<_> = logs.iter_mut().map(|log| log.begin_flush().expect("something to flush")).collect();
    let fault = Fault::Error(std::io::ErrorKind::StorageFull);
    fs.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault });
    assert!(dir.sync_tickets(&tickets.iter().collect::<Vec<_>>()).is_err());
    let outcomes: Vec<_> = logs.iter_mut().zip(tickets).map(|(log, ticket)| log.complete_flush(ticket)).collect();
    assert!(outcomes[0].as_ref().is_err_and(LogError::is_out_of_space), "{outcomes:?}");
    assert!(outcomes[1..].iter().all(|flushed| matches!(flushed, Ok(1000))), "{outcomes:?}");
    assert!(logs.iter().all(|log| log.offline_error().is_none()));
    assert_eq!(logs[0].flush(NOW).expect("there is room again"), 1000);
    fs.crash();
    let dir = directory(&fs);
    for found in dir.partitions().expect("listed") {
        let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let (log, _) = Log::open(fs, found.path, TOPIC_ID, LogConfig::default(), false, 1000, NOW).expect("opened");
        assert_eq!(log.log_end_offset(), 1000);
    }
}
