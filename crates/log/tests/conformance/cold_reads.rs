//! Reads that may not wait for a disk.

use std::fs::File as StdFile;
use std::path::PathBuf;
use std::sync::Arc;

use raftsman_log::fs::{FileSystem, RealFs};
use raftsman_log::{Log, LogConfig, ReadData, ReadError};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use rustix::fs::Advice;

use super::rig::{NOW, Rig, TOPIC_ID, batch, marker, small_segments};

/// Reads as a broker does, and how often something had to be brought in first. `None` if nobody can tell what is in memory.
fn read(log: &Log, from: Offset) -> (usize, Option<ReadData>) {
    let mut brought_in = 0;
    loop {
        match log.read_without_waiting(from, 1 << 20, Offset::MAX, true).expect("no error") {
            Ok(data) => return (brought_in, Some(data)),
            Err(cold) if cold.bring_in() => brought_in += 1,
            Err(_) => return (brought_in, None),
        }
        assert!(brought_in < 1000, "what was brought in is not found");
    }
}

#[test]
fn what_is_lacking_is_named_until_all_of_it_is_there() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(30, 3);
    rig.restart();
    assert!(rig.log.segment_count() > 5);
    for from in [0, 40, 89] {
        rig.fs.make_cold(true);
        let (brought_in, data) = read(&rig.log, from);
        assert!(brought_in > 0, "it was on the disk");
        let expected = rig.log.read(from, 1 << 20, Offset::MAX, true).expect("read");
        assert_eq!(data.expect("it can be told"), expected);
        assert_eq!(read(&rig.log, from), (0, Some(expected)), "it is in memory now");
    }
    assert!(rig.log.read_without_waiting(91, 1, Offset::MAX, true).is_err(), "past the end");
    rig.fs.make_cold(true);
    assert_eq!(read(&rig.log, 90), (0, Some(ReadData { chunks: Vec::new(), next_offset: 90 })));
}

#[test]
fn where_nobody_can_tell_nothing_but_the_cache_is_read() {
    let mut rig = Rig::new(LogConfig { tail_cache_bytes: 1 << 20, ..small_segments() });
    rig.append_batches(5, 3);
    rig.restart();
    rig.fs.make_cold(false);
    assert_eq!(read(&rig.log, 0), (0, None));
    rig.append_batches(1, 3);
    let expected = rig.log.read(15, 1 << 20, Offset::MAX, true).expect("read");
    assert_eq!(expected.next_offset, 18);
    assert_eq!(read(&rig.log, 15), (0, Some(expected)), "the newest is in the log's own memory");
}

#[test]
fn an_index_of_aborted_transactions_is_not_waited_for() {
    let mut rig = Rig::new(small_segments());
    for (id, is_lasting) in [(1, true), (2, false)] {
        let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), 0);
        let mut builder = builder.transactional(true);
        builder.append(NOW.0, None, Some(b"in a transaction"), &[]);
        rig.append(builder.build(0, LeaderEpoch(0)), 0);
        rig.append(marker(id, 0, is_lasting), 0);
        rig.append_batches(10, 3);
    }
    rig.restart();
    let expected = rig.log.aborted_transactions(0, 100).expect("read");
    assert_eq!(expected.iter().map(|aborted| aborted.producer_id).collect::<Vec<_>>(), [ProducerId(2)]);
    rig.fs.make_cold(true);
    let cold = rig.log.aborted_transactions_without_waiting(0, 100).expect("no error").expect_err("it is on the disk");
    assert!(cold.bring_in());
    assert_eq!(rig.log.aborted_transactions_without_waiting(0, 100).expect("no error").expect("in memory"), expected);

    // It is found anew from the batches after a restart: the disk is none the worse for it.
    let index = rig.file_names(".txnindex").into_iter().find(|name| !rig.content(name).is_empty()).expect("one has it");
    rig.replace(&index, b"nothing of the kind");
    let error = rig.log.aborted_transactions(0, 100).expect_err("damaged");
    assert!(matches!(&error, ReadError::Storage(error) if error.is_damage()), "{error}");
    rig.restart();
    assert_eq!(rig.log.aborted_transactions(0, 100).expect("read"), expected);
}

#[test]
fn what_waits_for_its_flush_is_in_memory() {
    let mut rig = Rig::deferring(small_segments());
    rig.append_batches(3, 3);
    rig.log.flush(NOW).expect("flushed");
    rig.append_batches(1, 3);
    rig.fs.make_cold(true);
    let (_, data) = read(&rig.log, 9);
    assert_eq!(data, Some(rig.log.read(9, 1 << 20, Offset::MAX, true).expect("read")));
    assert_eq!(data.map(|data| data.next_offset), Some(12));
}

#[test]
fn real_files_that_left_memory_are_read_all_the_same() {
    let place = tempfile::tempdir().expect("a directory");
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new());
    let path: PathBuf = place.path().join("real-0");
    let config = LogConfig { segment_bytes: 2 << 20, ..small_segments() };
    let (mut log, _) = Log::open(fs.clone(), path.clone(), TOPIC_ID, config, true, 0, NOW).expect("opened");
    for i in 0..100 {
        log.append_as_leader(batch(3_000, i), LeaderEpoch(0), NOW).expect("appended");
    }
    log.close(NOW).expect("closed");
    let expected = log.read(150_000, 1 << 20, Offset::MAX, true).expect("read");
    for entry in fs.list(&path).expect("listed") {
        let file = StdFile::open(path.join(entry.name)).expect("opened");
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).expect("a hint is always taken");
    }
    // Whether the file system tells, and whether it took the hint, is its own affair; what is read is not.
    let (brought_in, data) = read(&log, 150_000);
    match data {
        Some(data) => assert_eq!(data, expected),
        None => assert_eq!(brought_in, 0, "it tells of all or of nothing"),
    }
}
