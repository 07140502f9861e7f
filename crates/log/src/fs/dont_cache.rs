use std::fmt;
use std::fs;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags};

/// `RWF_DONTCACHE`, Linux 6.14; not yet in the headers of most systems.
const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// A write that asks the kernel to keep nothing of it in its page cache.
type FlaggedWrite = dyn Fn(&fs::File, &[IoSlice<'_>], u64) -> rustix::io::Result<usize> + Send + Sync;

/// How the files of one log directory are written to without filling the page cache: by a flag to the write where there is one,
/// else by plain writes. A kernel without the flag stays without it, and so does a file system: from the first refusal on nothing
/// in the directory is tried with it again. Of others, which may be on another file system, that says nothing.
pub(super) struct DontCache {
    works: AtomicBool,
    write: Box<FlaggedWrite>,
}

impl fmt::Debug for DontCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DontCache").field("works", &self.works).finish_non_exhaustive()
    }
}

impl Default for DontCache {
    /// By the kernel.
    fn default() -> DontCache {
        DontCache::by(flagged)
    }
}

/// The kernel's.
pub(super) fn flagged(file: &fs::File, slices: &[IoSlice<'_>], offset: u64) -> rustix::io::Result<usize> {
    rustix::io::pwritev2(file, slices, offset, DONTCACHE)
}

impl DontCache {
    pub(super) fn by(
        write: impl Fn(&fs::File, &[IoSlice<'_>], u64) -> rustix::io::Result<usize> + Send + Sync + 'static,
    ) -> DontCache {
        DontCache { works: AtomicBool::new(cfg!(target_os = "linux")), write: Box::new(write) }
    }

    /// Whether nothing has refused it yet.
    pub(super) fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// Writes some of the bytes; `None` if that has to be done without the flag.
    pub(super) fn write_some(&self, file: &fs::File, slices: &[IoSlice<'_>], offset: u64) -> Option<io::Result<usize>> {
        if !self.works() {
            return None;
        }
        match (self.write)(file, slices, offset) {
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
                self.works.store(false, Ordering::Relaxed);
                None
            }
            written => Some(written.map_err(io::Error::from)),
        }
    }
}
