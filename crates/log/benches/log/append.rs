//! Appends, as a broker does them: one thread appends, another one flushes all that is dirty, again and again.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use raftsman_log::dir::LogDirectory;
use raftsman_log::fs::{FileSystem, OpenMode, RealFs};
use raftsman_log::{CacheBudget, FlushTicket, Log, LogConfig};

use super::Failure;
use super::limits::Limits;
use super::meter::{Cost, Meter};
use super::rig::{EPOCH, NOW, batch, open};

/// What may wait for its flush: a few clients' requests.
const UNDER_WAY_BYTES: u64 = 4 << 20;
/// What all logs of a broker may keep for readers, and what may wait in them to be written.
const MEMORY_BYTES: usize = 64 << 20;
/// Up to so many files are synced one by one, as a log directory does it.
const SINGLE_SYNCS_MAX: usize = 8;

pub fn run(directory: &Path, limits: &Limits) -> Result<(), Failure> {
    println!("append, up to {} MiB not flushed yet", UNDER_WAY_BYTES >> 20);
    for (name, batch_bytes, total) in [("1 KiB", 1 << 10, 128 << 20), ("64 KiB", 64 << 10, 1 << 30)] {
        for flushed in [false, true] {
            for partitions in [1, 8, 100, 1000] {
                let cost = append(&directory.join("append"), batch_bytes, total, partitions, flushed)?;
                if flushed && batch_bytes > 1024 {
                    let cost = bare(&directory.join("bare"), batch_bytes, total / 2, partitions)?;
                    let what = format!("bare writes and syncs, {partitions} files");
                    cost.print(&what, Some(("disk", limits.write)), "");
                }
                let how = if flushed { "flushed" } else { "not flushed" };
                let aim = if flushed && batch_bytes > 1024 { "aim 0.70, 0.35 CPU-s/GB" } else { "" };
                let what = format!("{name} batches, {partitions} partitions, {how}");
                cost.print(&what, Some(("disk", limits.write)), aim);
            }
        }
    }
    Ok(())
}

/// The same calls without a log or a thread: as much as may be under way is written, to one file after the other, then synced.
fn bare(path: &Path, batch_bytes: usize, total: u64, partitions: usize) -> Result<Cost, Failure> {
    let fs = RealFs::new();
    let batch = batch(batch_bytes);
    let mut files = Vec::with_capacity(partitions);
    for i in 0..partitions {
        let directory = path.join(format!("bench-{i}"));
        fs.create_directories(&directory)?;
        files.push((fs.open(&directory.join("00000000000000000000.log"), OpenMode::Create)?, 0));
    }
    let volume = fs.open_volume(path)?;
    for (file, end) in &mut files {
        file.write_all_at(&batch, 0)?;
        *end += batch.len() as u64;
    }
    volume.sync()?;
    let together = (UNDER_WAY_BYTES / batch.len() as u64) as usize;
    let (meter, mut written, mut at) = (Meter::start(), 0, 0);
    while written < total {
        let dirty = partitions.min(together);
        // One write for all that a file gets, as the flusher does it.
        let pieces = vec![batch.clone(); together / dirty];
        for _ in 0..dirty {
            let (file, end) = &mut files[at % partitions];
            file.write_pieces_at(&pieces, *end)?;
            *end += (pieces.len() * batch.len()) as u64;
            written += (pieces.len() * batch.len()) as u64;
            at += 1;
        }
        if dirty > SINGLE_SYNCS_MAX {
            volume.sync()?;
        } else {
            files.iter().try_for_each(|(file, _)| file.sync_data())?;
        }
    }
    let cost = meter.stop(written);
    std::fs::remove_dir_all(path)?;
    Ok(cost)
}

/// Logs with a thread that flushes them.
struct Rig {
    directory: LogDirectory,
    logs: Vec<Mutex<Log>>,
    queue: Mutex<Queue>,
    has_work: Condvar,
    has_room: Condvar,
}

#[derive(Default)]
struct Queue {
    dirty: Vec<usize>,
    is_dirty: Vec<bool>,
    under_way_bytes: u64,
    stop: bool,
    failure: Option<String>,
}

fn append(path: &Path, batch_bytes: usize, total: u64, partitions: usize, flushed: bool) -> Result<Cost, Failure> {
    let rig = Rig::new(path, partitions)?;
    let batch = batch(batch_bytes);
    let count = (total / batch.len() as u64) as usize;
    // The first batch of each log is not what is measured: its files' names are to be synced with it.
    for at in 0..partitions {
        rig.append(at, &batch, false)?;
    }
    rig.flush((0..partitions).collect())?;
    let cost = std::thread::scope(|scope| {
        let flusher = scope.spawn(|| rig.drive());
        let meter = Meter::start();
        let appended = (0..count).try_for_each(|i| rig.append(i % partitions, &batch, flushed));
        rig.stop();
        let flushed = flusher.join().map_err(|_| Failure::from("the flusher panicked"))?;
        let cost = meter.stop(count as u64 * batch.len() as u64);
        appended?;
        flushed?;
        Ok::<Cost, Failure>(cost)
    })?;
    drop(rig);
    std::fs::remove_dir_all(path)?;
    Ok(cost)
}

impl Rig {
    fn new(path: &Path, partitions: usize) -> Result<Rig, Failure> {
        let directory = LogDirectory::open(Arc::new(RealFs::new()), path)?;
        let config = Arc::new(LogConfig::default());
        let (cached, deferred) = (CacheBudget::new(MEMORY_BYTES), CacheBudget::new(MEMORY_BYTES));
        let (cached, deferred) = (Arc::new(cached), Arc::new(deferred));
        let log = |i: usize| {
            let mut log = open(&path.join(format!("bench-{i}")), &config, true)?;
            log.set_cache_budget(Arc::clone(&cached));
            log.set_deferral_budget(Arc::clone(&deferred));
            Ok(Mutex::new(log))
        };
        let logs: Result<Vec<Mutex<Log>>, Failure> = (0..partitions).map(log).collect();
        let queue = Queue { is_dirty: vec![false; partitions], ..Queue::default() };
        Ok(Rig { directory, logs: logs?, queue: Mutex::new(queue), has_work: Condvar::new(), has_room: Condvar::new() })
    }

    fn append(&self, at: usize, batch: &Bytes, flushed: bool) -> Result<(), Failure> {
        let mut log = lock(&self.logs[at]);
        // What a broker allows where acks wait for the flush.
        log.defer_writes(flushed);
        log.append_as_leader(batch.clone(), EPOCH, NOW)?;
        drop(log);
        if !flushed {
            return Ok(());
        }
        let mut queue = lock(&self.queue);
        if !std::mem::replace(&mut queue.is_dirty[at], true) {
            queue.dirty.push(at);
        }
        queue.under_way_bytes += batch.len() as u64;
        self.has_work.notify_one();
        let full = |queue: &mut Queue| queue.under_way_bytes > UNDER_WAY_BYTES && queue.failure.is_none();
        let queue = self.has_room.wait_while(queue, full).unwrap_or_else(PoisonError::into_inner);
        queue.failure.as_deref().map_or(Ok(()), |failure| Err(failure.to_owned().into()))
    }

    fn stop(&self) {
        lock(&self.queue).stop = true;
        self.has_work.notify_one();
    }

    /// Flushes until it is stopped and nothing is left.
    fn drive(&self) -> Result<(), String> {
        loop {
            let idle = |queue: &mut Queue| queue.dirty.is_empty() && !queue.stop;
            let mut queue = self.has_work.wait_while(lock(&self.queue), idle).unwrap_or_else(PoisonError::into_inner);
            if queue.dirty.is_empty() {
                return Ok(());
            }
            let dirty = std::mem::take(&mut queue.dirty);
            let under_way_bytes = queue.under_way_bytes;
            dirty.iter().for_each(|at| queue.is_dirty[*at] = false);
            drop(queue);
            let outcome = self.flush(dirty).map_err(|error| error.to_string());
            let mut queue = lock(&self.queue);
            queue.under_way_bytes -= under_way_bytes;
            queue.failure = outcome.clone().err();
            self.has_room.notify_one();
            drop(queue);
            outcome?;
        }
    }

    fn flush(&self, dirty: Vec<usize>) -> Result<(), Failure> {
        let ticket = |at: usize| lock(&self.logs[at]).begin_flush().map(|ticket| (at, ticket));
        let tickets: Vec<(usize, FlushTicket)> = dirty.into_iter().filter_map(ticket).collect();
        self.directory.begin_syncs(&tickets.iter().map(|(_, ticket)| ticket).collect::<Vec<_>>());
        tickets.iter().try_for_each(|(_, ticket)| ticket.sync())?;
        for (at, ticket) in tickets {
            lock(&self.logs[at]).complete_flush(ticket)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
