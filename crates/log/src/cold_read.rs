//! Reads for a thread that may not wait for a disk: what is not in memory is named, for another thread to bring there.

use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};

use crate::fs::File;

/// How much is brought into memory with one call.
const BLOCK_BYTES: usize = 256 * 1024;

/// From here on it is batches that are read, one fetch after the other, and not an index.
const READ_ON_FROM_BYTES: usize = 64 * 1024;
/// How much of what comes next is asked for, as a multiple of what is read, and at most: the fetches that read it then find it
/// in memory, are not put off, and copy it once.
const READ_ON: u64 = 2;
const READ_ON_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a file that a read needs and memory does not have.
#[derive(Debug, Clone)]
pub struct ColdRead {
    file: Arc<dyn File>,
    offset: u64,
    length: usize,
    can_be_told: bool,
}

impl ColdRead {
    /// Has the kernel bring them into memory, and waits for that. Says whether the same read will find them there without
    /// waiting: on some file systems nobody can tell.
    pub fn bring_in(&self) -> bool {
        if self.length >= READ_ON_FROM_BYTES {
            let length = self.length as u64;
            self.file.will_need(self.offset, length + (length * READ_ON).min(READ_ON_BYTES_MAX));
        }
        let mut block = vec![0; self.length.min(BLOCK_BYTES)];
        let mut done = 0;
        while done < self.length {
            let wanted = (self.length - done).min(block.len());
            match self.file.read_at(&mut block[..wanted], self.offset + done as u64) {
                Ok(more) if more > 0 => done += more,
                // An error is for the read itself to meet.
                _ => break,
            }
        }
        self.can_be_told
    }
}

/// The first bytes that a read did without, if it lacked any.
pub(crate) type Lack = OnceLock<ColdRead>;

/// A file of which only what is in memory can be read; what is not is noted.
#[derive(Debug)]
pub(crate) struct MemoryOnly {
    file: Arc<dyn File>,
    lack: Arc<Lack>,
}

impl MemoryOnly {
    pub(crate) fn new(file: Arc<dyn File>, lack: Arc<Lack>) -> MemoryOnly {
        MemoryOnly { file, lack }
    }
}

impl File for MemoryOnly {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at_without_waiting(buffer, offset).inspect_err(|error| {
            let can_be_told = match error.kind() {
                ErrorKind::WouldBlock => true,
                ErrorKind::Unsupported => false,
                _ => return,
            };
            let cold = ColdRead { file: Arc::clone(&self.file), offset, length: buffer.len(), can_be_told };
            // Only the first counts: what is read without it leads nowhere.
            let _ = self.lack.set(cold);
        })
    }

    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn preallocate(&self, _length: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
}
