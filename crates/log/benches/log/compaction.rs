use std::path::Path;
use std::sync::Arc;

use raftsman_log::{CompactionLimits, LogConfig, Pace, Stopped};
use raftsman_records::{BatchBuilder, Compression};

use super::Failure;
use super::limits::Limits;
use super::meter::Meter;
use super::rig::{EPOCH, NOW, open};

const BYTES: u64 = 1_000_000_000;
/// Each is written about ten times.
const KEYS: u64 = 100_000;
const RECORDS_PER_BATCH: u64 = 64;

/// As fast as it goes.
struct Unlimited;

impl Pace for Unlimited {
    fn moved(&self, _bytes: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// One pass over a log of 1 GB.
pub fn run(directory: &Path, limits: &Limits) -> Result<(), Failure> {
    println!("compaction of 1 GB, ten records of 1 KiB a key");
    let path = directory.join("compacted");
    let config = LogConfig { compact: true, segment_bytes: 128 << 20, ..LogConfig::default() };
    let mut log = open(&path, &Arc::new(config), true)?;
    let value: Vec<u8> = (0..1000_usize).map(|i| ((i * 37) >> 2) as u8).collect();
    let mut written = 0;
    while log.size_in_bytes() < BYTES {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..RECORDS_PER_BATCH {
            // Every key comes up in turn, in an order that repeats itself only after all of them.
            let key = (written * 7919 % KEYS).to_be_bytes();
            builder.append(NOW.0, Some(&key), Some(&value), &[]);
            written += 1;
        }
        log.append_as_leader(builder.build(0, EPOCH), EPOCH, NOW)?;
    }
    log.flush(NOW)?;
    let recovery_point = log.recovery_point();
    log.recovery_point_checkpointed(recovery_point)?;

    let size_before = log.size_in_bytes();
    let end = log.log_end_offset();
    // A broker's defaults.
    let memory = CompactionLimits {
        dedupe_buffer_bytes: 128 << 20,
        load_factor: 0.9,
        io_buffer_bytes: 512 << 10,
        hash_key: [3; 16],
    };
    let meter = Meter::start();
    let mut compaction = log.begin_compaction(end, memory, NOW)?.ok_or("there is nothing to compact")?;
    compaction.read_keys(&Unlimited)?;
    while let Some(group) = compaction.next_group(&Unlimited)? {
        if !log.announce_swap(&group)? {
            return Err("a compacted segment was refused".into());
        }
        group.sync_names()?;
        if !log.swap(group, NOW)? {
            return Err("a compacted segment was refused".into());
        }
    }
    log.compaction_finished(&compaction);
    let cost = meter.stop(compaction.stats().bytes_before);
    let kept = log.size_in_bytes() as f64 / size_before as f64;
    cost.print(&format!("{:.0} % of it kept", kept * 100.0), Some(("disk", limits.read)), "");
    drop(log);
    Ok(std::fs::remove_dir_all(&path)?)
}
