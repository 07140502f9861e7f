use std::path::Path;
use std::sync::Arc;

use raftsman_log::{Log, LogConfig};
use raftsman_types::Offset;

use super::Failure;
use super::meter::Meter;
use super::rig::{EPOCH, NOW, batch, open};

const TAIL_BYTES: usize = 32 << 20;
const FETCH_BYTES: usize = 1 << 20;
const FETCHES: usize = 20_000;

/// Reads of what was just appended: they come from memory, and nothing is copied.
pub fn tail(directory: &Path) -> Result<(), Failure> {
    println!("tail read, 1 MiB a fetch");
    let path = directory.join("tail");
    let config = Arc::new(LogConfig { tail_cache_bytes: TAIL_BYTES, ..LogConfig::default() });
    let mut log = open(&path, &config, true)?;
    for (name, batch_bytes) in [("1 KiB", 1 << 10), ("64 KiB", 64 << 10)] {
        let batch = batch(batch_bytes);
        let start = log.log_end_offset();
        for _ in 0..TAIL_BYTES / 2 / batch.len() {
            log.append_as_leader(batch.clone(), EPOCH, NOW)?;
        }
        let (mut bytes, mut from) = (0, start);
        let meter = Meter::start();
        for _ in 0..FETCHES {
            let data = log.read(from, FETCH_BYTES, Offset::MAX, true)?;
            bytes += data.len() as u64;
            from = if data.next_offset >= log.log_end_offset() { start } else { data.next_offset };
        }
        let cost = meter.stop(bytes);
        let what = format!("{name} batches: {:.1} µs a fetch", cost.seconds / FETCHES as f64 * 1e6);
        cost.print(&what, None, "");
    }
    drop(log);
    Ok(std::fs::remove_dir_all(&path)?)
}

/// Reads a whole log in fetches; returns the bytes.
pub fn all(log: &Log) -> Result<u64, Failure> {
    let (mut bytes, mut from) = (0, log.log_start_offset());
    while from < log.log_end_offset() {
        let data = log.read(from, FETCH_BYTES, Offset::MAX, true)?;
        if data.is_empty() {
            return Err(format!("nothing can be read at offset {from}").into());
        }
        bytes += data.len() as u64;
        from = data.next_offset;
    }
    Ok(bytes)
}

/// The same by a thread that may not wait for a disk. What is not in memory is brought there in between (by another thread, in
/// a broker); the second value says how often.
pub fn all_without_waiting(log: &Log) -> Result<(u64, u64), Failure> {
    let (mut bytes, mut cold, mut from) = (0, 0, log.log_start_offset());
    while from < log.log_end_offset() {
        match log.read_without_waiting(from, FETCH_BYTES, Offset::MAX, true)? {
            Ok(data) if data.is_empty() => return Err(format!("nothing can be read at offset {from}").into()),
            Ok(data) => {
                bytes += data.len() as u64;
                from = data.next_offset;
            }
            Err(lacking) => {
                cold += 1;
                lacking.bring_in();
            }
        }
    }
    Ok((bytes, cold))
}
