use std::path::Path;
use std::sync::Arc;

use raftsman_log::LogConfig;

use super::Failure;
use super::limits::{Limits, forget, read_through};
use super::meter::{Cost, Meter};
use super::read;
use super::rig::{EPOCH, NOW, batch, open};

/// A log of some gigabytes that was never closed: recovered, and read, both from the disk.
pub fn run(directory: &Path, limits: &Limits, gigabytes: u64, reads: bool, recovers: bool) -> Result<(), Failure> {
    let path = directory.join("large");
    let config = Arc::new(LogConfig::default());
    fill(&path, &config, gigabytes)?;
    // Files of this size need more memory than the one that the limit of the disk was measured with. Read twice: memory that was
    // not used for a while is slow on some machines, and whoever comes first would pay for it.
    forget_all(&path)?;
    let _warm = read_plainly(&path)?;
    forget_all(&path)?;
    let plain = read_plainly(&path)?;
    if recovers {
        println!("recovery of {gigabytes} GB, every CRC checked");
        plain.print("the same files read in blocks of 1 MiB", Some(("disk", limits.read)), "");
        forget_all(&path)?;
        let meter = Meter::start();
        let log = open(&path, &config, false)?;
        let cost = meter.stop(log.size_in_bytes());
        cost.print("one log, 64 KiB batches", Some(("that", plain)), "");
    }
    if reads {
        println!("cold read, 1 MiB a fetch");
        // Opened first: what recovery reads is not to be measured, and leaves the cache warm.
        let log = open(&path, &config, false)?;
        forget_all(&path)?;
        let meter = Meter::start();
        let bytes = read::all(&log)?;
        let cost = meter.stop(bytes);
        plain.print("the same files read in blocks of 1 MiB", Some(("disk", limits.read)), "");
        cost.print("one log, 64 KiB batches", Some(("that", plain)), "aim 1200 MB/s");
        forget_all(&path)?;
        let meter = Meter::start();
        let (bytes, cold) = read::all_without_waiting(&log)?;
        let what = format!("as a broker: {cold} reads put off");
        meter.stop(bytes).print(&what, Some(("that", plain)), "");
    }
    Ok(std::fs::remove_dir_all(&path)?)
}

fn fill(path: &Path, config: &Arc<LogConfig>, gigabytes: u64) -> Result<(), Failure> {
    let mut log = open(path, config, true)?;
    let batch = batch(64 << 10);
    for _ in 0..gigabytes * 1_000_000_000 / batch.len() as u64 {
        log.append_as_leader(batch.clone(), EPOCH, NOW)?;
    }
    Ok(())
}

fn read_plainly(path: &Path) -> Result<Cost, Failure> {
    let meter = Meter::start();
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        bytes += read_through(&entry?.path())?;
    }
    Ok(meter.stop(bytes))
}

fn forget_all(path: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(path)? {
        forget(&entry?.path())?;
    }
    Ok(())
}
