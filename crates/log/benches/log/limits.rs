use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use super::Failure;
use super::meter::{Cost, Meter};

const FILE_BYTES: usize = 1 << 30;
const BLOCK_BYTES: usize = 1 << 20;

/// What disk and memory do without us.
pub struct Limits {
    /// One file written front to back and then synced.
    pub write: Cost,
    /// A file that is in no cache, read front to back.
    pub read: Cost,
    pub copy: Cost,
}

impl Limits {
    pub fn measure(directory: &Path) -> Result<Limits, Failure> {
        let path = directory.join("limits");
        // Twice: the first file may meet a disk or a page cache that is not warm.
        let _warm = write(&path)?;
        let limits = Limits { write: write(&path)?, read: read(&path)?, copy: copy() };
        std::fs::remove_file(&path)?;
        Ok(limits)
    }

    pub fn print(&self) {
        println!("limits of this machine, now");
        self.write.print("write 1 GiB in blocks of 1 MiB, then fdatasync", None, "");
        self.read.print("read it in blocks of 1 MiB, from the disk", None, "");
        self.copy.print("copy 1 GiB of memory", None, "");
    }
}

fn write(path: &Path) -> Result<Cost, Failure> {
    let block = block();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let meter = Meter::start();
    for _ in 0..FILE_BYTES / BLOCK_BYTES {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    Ok(meter.stop(FILE_BYTES as u64))
}

fn read(path: &Path) -> Result<Cost, Failure> {
    forget(path)?;
    let meter = Meter::start();
    let bytes = read_through(path)?;
    Ok(meter.stop(bytes))
}

/// Reads a file front to back and throws it away; returns the bytes.
pub fn read_through(path: &Path) -> Result<u64, Failure> {
    let mut block = block();
    let mut file = File::open(path)?;
    let mut bytes = 0;
    loop {
        match file.read(&mut block)? {
            0 => return Ok(bytes),
            more => bytes += more as u64,
        }
    }
}

fn copy() -> Cost {
    // Larger than the caches, or this would be their speed.
    let from = vec![7_u8; FILE_BYTES / 4];
    let mut to = vec![1_u8; FILE_BYTES / 4];
    let meter = Meter::start();
    for _ in 0..4 {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    }
    meter.stop(FILE_BYTES as u64)
}

/// Has the page cache forget a file, which must be on the disk.
pub fn forget(path: &Path) -> Result<(), Failure> {
    let file = File::open(path)?;
    file.sync_data()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

fn block() -> Vec<u8> {
    (0..BLOCK_BYTES).map(|i| ((i * 31) >> 3) as u8).collect()
}
