//! Many logs and few file descriptors: a bound on the segment files that are open, and what happens when there is no file to be
//! had all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsman_log::fs::{BoundedFs, Fault, FaultPlan, FaultTarget, FileSystem, MemoryFs};
use raftsman_log::{AppendError, Log, LogConfig, LogError, OpenFiles};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{NOW, Rig, TOPIC_ID, batch, producer_batch, read_all, small_segments, stored_batch};

const LIMIT: usize = 8;

/// Logs that share a bound.
struct Many {
    memory: MemoryFs,
    files: Arc<OpenFiles>,
    logs: Vec<Log>,
}

impl Many {
    fn new(logs: usize, limit: usize, config: &LogConfig) -> Many {
        let memory = MemoryFs::new();
        memory.create_directories(Path::new("/data")).expect("made");
        memory.sync_directory(Path::new("/")).expect("synced");
        let files = Arc::new(OpenFiles::new(limit));
        let mut many = Many { memory, files, logs: Vec::new() };
        many.logs = (0..logs).map(|i| many.open(i, config)).collect();
        many
    }

    fn open(&self, i: usize, config: &LogConfig) -> Log {
        let fs: Arc<dyn FileSystem> = Arc::new(BoundedFs::new(Arc::new(self.memory.clone()), Arc::clone(&self.files)));
        let path = PathBuf::from(format!("/data/t-{i}"));
        Log::open(fs, path, TOPIC_ID, config.clone(), false, 0, NOW).expect("opened").0
    }

    fn append(&mut self, i: usize) -> Result<Offset, AppendError> {
        let seed = self.logs[i].log_end_offset() + 1_000 * i as i64;
        self.logs[i].append_as_leader(batch(1, seed), LeaderEpoch(0), NOW).map(|info| info.first_offset)
    }

    /// Whether the log's only segment is open.
    fn is_open(&self, i: usize) -> bool {
        self.memory.open_handles().contains(&PathBuf::from(format!("/data/t-{i}/00000000000000000000.log")))
    }
}

fn no_tail_cache() -> LogConfig {
    LogConfig { tail_cache_bytes: 0, ..LogConfig::default() }
}

#[test]
fn the_bound_holds_over_many_logs_and_nothing_is_lost() {
    let config = small_segments();
    let mut many = Many::new(40, LIMIT, &config);
    assert_eq!(many.memory.open_handles().len(), 0, "a log that was only opened has no file open");
    for round in 0..30 {
        for i in 0..40 {
            assert_eq!(many.append(i).unwrap(), round);
            assert!(many.memory.open_handles().len() <= LIMIT, "{:?} are open", many.memory.open_handles());
        }
        if round % 10 == 9 {
            for log in many.logs.iter_mut().step_by(2) {
                log.flush(NOW).unwrap();
            }
        }
    }
    // Segments that are sealed for long are read again, and closed again.
    let before: Vec<_> = many.logs.iter().map(read_all).collect();
    assert!(before.iter().all(|batches| batches.len() == 30));
    assert!(many.logs.iter().all(|log| log.segment_count() > 3));
    assert!(many.files.open_count() <= LIMIT && many.files.open_count() == many.memory.open_handles().len());
    for log in &mut many.logs {
        log.flush(NOW).unwrap();
    }
    assert!(!many.files.wants_flush());
    // All of it was flushed, whatever was closed in between.
    many.memory.crash();
    many.logs.clear();
    assert_eq!((many.files.open_count(), many.memory.open_handles().len()), (0, 0), "who is gone holds no place");
    for (i, before) in before.iter().enumerate() {
        assert_eq!(&read_all(&many.open(i, &config)), before);
    }
}

#[test]
fn what_was_not_used_for_longest_is_closed_first() {
    let mut many = Many::new(5, 3, &no_tail_cache());
    for i in [0, 1, 2] {
        many.append(i).unwrap();
        many.logs[i].flush(NOW).unwrap();
    }
    // The oldest is used again.
    many.append(0).unwrap();
    many.logs[0].flush(NOW).unwrap();
    many.append(3).unwrap();
    assert_eq!([0, 1, 2, 3].map(|i| many.is_open(i)), [true, false, true, true]);
    // Of the rest, those that need no sync go before one that does.
    many.append(4).unwrap();
    many.append(1).unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|i| many.is_open(i)), [false, true, false, true, true]);
    assert_eq!(many.files.open_count(), 3);
    assert!(many.files.wants_flush(), "all of them have something to flush");
}

#[test]
fn a_file_in_use_is_not_closed_under_its_user() {
    let mut many = Many::new(6, 2, &no_tail_cache());
    many.append(0).unwrap();
    many.append(1).unwrap();
    let tickets: Vec<_> = many.logs[..2].iter_mut().map(|log| log.begin_flush().unwrap()).collect();
    // The places are taken, and neither can be closed: there are more for a while.
    for i in 2..6 {
        many.append(i).unwrap();
        assert_eq!((many.is_open(0), many.is_open(1)), (true, true));
        assert_eq!(many.files.open_count(), 3, "one more than is allowed, not one for each");
    }
    for (ticket, log) in tickets.into_iter().zip(&mut many.logs) {
        ticket.sync().unwrap();
        assert_eq!(log.complete_flush(ticket).unwrap(), 1);
    }
    many.append(2).unwrap();
    assert_eq!(many.files.open_count(), 2);
}

#[test]
fn a_sync_that_fails_before_a_file_is_closed_concerns_its_log_alone() {
    let mut many = Many::new(3, 1, &no_tail_cache());
    many.append(0).unwrap();
    many.memory.inject(FaultPlan {
        target: FaultTarget::Sync,
        skip: 0,
        fault: Fault::Error(std::io::ErrorKind::StorageFull),
    });
    many.append(1).unwrap();
    assert!(many.logs[0].offline_error().is_none(), "nobody has told it yet");
    assert_eq!(read_all(&many.logs[0]).len(), 1);
    // A second sync that succeeds would prove nothing.
    let Err(LogError::Storage(error)) = many.logs[0].flush(NOW) else { panic!("it counts as flushed") };
    assert!(error.to_string().contains("a sync before it was closed failed") && !error.is_passing(), "{error}");
    assert!(many.logs[0].offline_error().is_some());
    assert!(matches!(many.append(0), Err(AppendError::Storage(_))));
    many.logs[1].flush(NOW).unwrap();
    many.append(2).unwrap();
}

/// At every change that is made while files are closed and opened all the time.
#[test]
fn a_power_cut_loses_nothing_that_was_flushed_whatever_was_closed_in_between() {
    let config = small_segments();
    let mut evicted = 0;
    for skip in 0.. {
        let mut many = Many::new(3, 1, &config);
        many.memory.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault: Fault::PowerCut });
        let (mut flushed, mut cut) = ([0; 3], false);
        for round in 0..12 {
            for (i, flushed) in flushed.iter_mut().enumerate() {
                let unsynced = many.files.wants_flush();
                cut = cut || many.append(i).is_err();
                evicted += u32::from(unsynced && !cut);
                // One is never flushed, one seldom, one often.
                if !cut && i > 0 && round % (5 - 2 * i) == 0 {
                    match many.logs[i].flush(NOW) {
                        Ok(upto) => *flushed = upto,
                        Err(_) => cut = true,
                    }
                }
            }
        }
        let before: Vec<_> = many.logs.iter().map(Log::log_end_offset).collect();
        many.logs.clear();
        many.memory.crash();
        for i in 0..3 {
            let log = many.open(i, &config);
            let end = log.log_end_offset();
            assert!(end >= flushed[i] && end <= before[i], "{i} after {skip} changes: {end}, {} flushed", flushed[i]);
            assert_eq!(read_all(&log).len() as i64, end, "{i} after {skip} changes");
        }
        if !cut {
            break;
        }
    }
    assert!(evicted > 100, "only {evicted} times did a file with unsynced bytes give place");
}

#[test]
fn others_that_open_files_have_some_of_these_closed() {
    let mut many = Many::new(40, 1_000, &small_segments());
    // Fewer than the bound says, for sockets took the rest.
    many.memory.set_handles_max(12);
    for round in 0..10 {
        for i in 0..40 {
            assert_eq!(many.append(i).unwrap(), round);
        }
    }
    for log in &mut many.logs {
        log.flush(NOW).unwrap();
        assert_eq!(read_all(log).len(), 10);
    }
}

/// At each file that an append opens, in a log that rolls, indexes and snapshots as it goes.
#[test]
fn an_append_that_gets_no_file_changes_nothing() {
    let mut met = 0;
    for files in 0..60 {
        let mut rig = Rig::new(small_segments());
        let next = |n: i32| if n % 3 == 0 { producer_batch(7, 0, n / 3, 1) } else { batch(1, i64::from(n)) };
        rig.log.append_as_leader(next(0), LeaderEpoch(0), NOW).unwrap();
        rig.fs.set_handles_left(files);
        let mut appended = 1;
        while appended < 40 {
            // The epoch's file is written anew now and then, too.
            match rig.log.append_as_leader(next(appended), LeaderEpoch(appended / 10), NOW) {
                Ok(info) => assert_eq!(info.first_offset, i64::from(appended)),
                Err(AppendError::Storage(error)) if error.is_out_of_files() => break,
                Err(other) => panic!("with {files} files: {other}"),
            }
            appended += 1;
        }
        met += i32::from(appended < 40);
        assert!(rig.log.offline_error().is_none(), "with {files} files");
        assert_eq!(rig.log.log_end_offset(), i64::from(appended), "with {files} files");
        rig.fs.set_handles_left(u64::MAX);
        assert_eq!(rig.all().len() as i32, appended, "with {files} files");
        let log_bytes: u64 = rig.file_names(".log").iter().map(|name| rig.content(name).len() as u64).sum();
        assert_eq!(log_bytes, rig.log.size_in_bytes(), "with {files} files");
        for n in appended..50 {
            rig.append(next(n), n / 10);
        }
        let all = rig.all();
        rig.fs.kill();
        rig.open_again(false, 0);
        assert_eq!(rig.all(), all, "with {files} files");
    }
    assert!(met > 30, "only {met} times was there no file");
}

#[test]
fn a_read_that_gets_no_file_is_tried_again() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(20, 2);
    rig.restart();
    let end = rig.log.log_end_offset();
    let whole = rig.all();
    // A segment, and an index of it.
    for files in 0..2 {
        for from in (0..end).step_by(3) {
            rig.fs.set_handles_left(files);
            for waits in [true, false] {
                let read = match waits {
                    true => rig.log.read(from, 300, Offset::MAX, true),
                    false => rig.log.read_without_waiting(from, 300, Offset::MAX, true).map(|read| read.unwrap()),
                };
                match read {
                    Err(error) => assert!(error.is_out_of_files(), "{error}"),
                    Ok(data) => assert!(files > 0 && !data.is_empty()),
                }
            }
            rig.fs.set_handles_left(0);
            assert!(rig.log.offset_for_timestamp(NOW.0).is_err_and(|error| error.is_out_of_files()));
            rig.fs.set_handles_left(u64::MAX);
        }
    }
    assert!(rig.log.offline_error().is_none());
    assert_eq!(rig.all(), whole);
    rig.append_batches(1, 1);
}

/// At each file that a flush opens: of sealed segments, their indexes, the epochs, the directory.
#[test]
fn a_flush_that_gets_no_file_is_tried_again() {
    let mut met = 0;
    for defers in [false, true] {
        for files in 0..40 {
            let mut rig = if defers { Rig::deferring(small_segments()) } else { Rig::new(small_segments()) };
            rig.append_batches(12, 2);
            rig.log.assign_epoch_start(LeaderEpoch(3), rig.log.log_end_offset()).unwrap();
            let (end, before) = (rig.log.log_end_offset(), rig.log.flushed_offset());
            rig.fs.set_handles_left(files);
            match rig.log.flush(NOW) {
                Ok(flushed) => assert_eq!(flushed, end),
                Err(LogError::Storage(error)) => {
                    assert!(error.is_out_of_files(), "with {files} files: {error}");
                    assert_eq!(rig.log.flushed_offset(), before, "with {files} files");
                    met += 1;
                }
                Err(other) => panic!("with {files} files: {other}"),
            }
            rig.fs.set_handles_left(u64::MAX);
            assert!(rig.log.offline_error().is_none(), "with {files} files");
            rig.append(batch(1, end), 3);
            assert_eq!(rig.log.flush(NOW).unwrap(), end + 1);
            let all = rig.all();
            rig.fs.crash();
            rig.open_again(false, rig.log.recovery_point());
            assert_eq!((rig.all(), rig.log.latest_epoch()), (all, Some(LeaderEpoch(3))), "with {files} files");
        }
    }
    assert!(met > 10, "only {met} times was there no file");
}

#[test]
fn a_truncation_begins_only_with_the_files_it_may_need() {
    let mut many = Many::new(1, LIMIT, &small_segments());
    for _ in 0..20 {
        many.append(0).unwrap();
    }
    let whole = read_all(&many.logs[0]);
    many.memory.set_handles_max(0);
    for refused in [many.logs[0].truncate_to(7).map(|_| ()), many.logs[0].reset_to(3)] {
        let Err(LogError::Storage(error)) = refused else { panic!("it was begun") };
        assert!(error.is_out_of_files(), "{error}");
    }
    assert!(many.logs[0].offline_error().is_none());
    many.memory.set_handles_max(usize::MAX);
    assert_eq!(read_all(&many.logs[0]), whole);
    // A few are enough, and nobody takes these away.
    many.memory.set_handles_max(4);
    assert_eq!(many.logs[0].truncate_to(7).unwrap(), 7);
    many.logs[0].reset_to(3).unwrap();
    assert_eq!(many.append(0).unwrap(), 3);
    many.memory.set_handles_max(usize::MAX);
    assert_eq!(read_all(&many.logs[0]).len(), 1);
}

/// What a follower was told of producers, by a leader that has deleted their batches.
fn handed_over(at: Offset) -> bytes::Bytes {
    let mut leader = Rig::new(LogConfig::default());
    leader.append(producer_batch(9, 0, 0, at as usize - 10), 0);
    leader.append(batch(10, 0), 0);
    leader.log.producers_below(at)
}

/// At each file that is opened to begin an empty log anew for a batch in which it starts.
#[test]
fn a_log_begun_anew_for_a_whole_batch_keeps_its_producers_without_a_file() {
    let mut met = 0;
    for files in 0..30 {
        for again in [true, false] {
            let mut rig = Rig::new(LogConfig::default());
            rig.append(batch(1, 0), 1);
            rig.log.reset_to(102).unwrap();
            rig.log.adopt_producers(&handed_over(102)).unwrap();
            rig.log.assign_epoch_start(LeaderEpoch(2), 102).unwrap();
            rig.log.flush(NOW).unwrap();
            rig.fs.set_handles_left(files);
            let refused = rig.log.append_as_follower(stored_batch(5, 100, 3), NOW).is_err();
            rig.fs.set_handles_left(u64::MAX);
            met += i32::from(refused);
            if let Some(error) = rig.log.offline_error() {
                assert!(refused && error.to_string().contains("part of a change was made"), "{error}");
                continue;
            }
            assert_eq!(rig.log.producer_count(), 1, "with {files} files");
            if again && refused {
                rig.log.append_as_follower(stored_batch(5, 100, 3), NOW).unwrap();
            }
            if again {
                assert_eq!((rig.log.log_end_offset(), rig.all().len()), (105, 1), "with {files} files");
            }
            rig.log.flush(NOW).unwrap();
            // A power cut may bring a snapshot back that was removed.
            if again {
                rig.fs.crash()
            } else {
                rig.fs.kill()
            }
            rig.open_again(false, rig.log.recovery_point());
            assert_eq!(rig.log.producer_count(), 1, "with {files} files, tried again: {again}");
        }
    }
    assert!(met > 10, "only {met} times was there no file");
}

/// A log whose snapshot of producers found no room, and which has something to flush.
fn with_a_snapshot_put_off() -> Rig {
    let mut rig = Rig::new(LogConfig::default());
    rig.log.reset_to(50).expect("begun anew");
    rig.fs.set_capacity(Some(0));
    rig.log.adopt_producers(&handed_over(50)).expect("put off");
    rig.fs.set_capacity(None);
    rig.append(batch(1, 0), 1);
    rig
}

#[test]
fn a_snapshot_that_was_put_off_waits_for_a_file() {
    let mut rig = with_a_snapshot_put_off();
    rig.fs.set_handles_left(0);
    let ticket = rig.log.begin_flush().expect("there is something to flush");
    rig.fs.set_handles_left(u64::MAX);
    assert!(rig.log.offline_error().is_none());
    ticket.sync().unwrap();
    assert_eq!(rig.log.complete_flush(ticket).unwrap(), 51);
    rig.append(batch(1, 1), 1);
    rig.log.flush(NOW).unwrap();
    rig.fs.crash();
    rig.open_again(false, 52);
    assert_eq!((rig.all().len(), rig.log.producer_count()), (2, 1));
}

/// Whoever waits for the flush must not wait in vain.
#[test]
fn a_snapshot_that_cannot_be_written_fails_the_flush() {
    let mut rig = with_a_snapshot_put_off();
    let fault = Fault::Error(std::io::ErrorKind::Other);
    rig.fs.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault });
    let ticket = rig.log.begin_flush().expect("there is something to flush");
    assert!(rig.fs.disarm() && ticket.sync().is_err());
    let error = rig.log.complete_flush(ticket).expect_err("it was not done");
    assert!(error.to_string().contains(".snapshot"), "{error}");
    assert!(rig.log.offline_error().is_some());
}
