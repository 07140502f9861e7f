use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSlice};
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use raftsman_types::WallTime;
#[cfg(target_os = "linux")]
use rustix::fs::Advice;
use rustix::fs::FlockOperation;
use rustix::io::{Errno, ReadWriteFlags};

use super::{DirectoryEntry, File, FileLock, FileSystem, OpenMode, Volume, VolumeSpace};

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

/// From here on a write asks the kernel not to keep its pages: readers are served from our own cache,
/// and first touches of cold page-cache memory cost more than the write itself. Below, the flag would
/// write the same page again and again.
const DONTCACHE_FROM_BYTES: usize = 64 * 1024;
/// What the page cache holds of a file is a multiple of this; where pages are larger, the last one is written to twice.
const PAGE_BYTES: u64 = 4096;
/// Of more, some disks' drivers have the kernel begin only the front.
#[cfg(target_os = "linux")]
const WILL_NEED_BYTES: NonZeroU64 = NonZeroU64::new(128 * 1024).expect("it is not zero");
/// What a call takes at once (`IOV_MAX`, on every system we know).
const SLICES_MAX: usize = 1024;
/// `RWF_DONTCACHE`, Linux 6.14; not yet in the headers of most systems.
const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
/// Cleared for good at the first refusal: a kernel or file system without the flag stays without it.
static DONTCACHE_WORKS: AtomicBool = AtomicBool::new(cfg!(target_os = "linux"));

#[derive(Debug)]
struct RealFile(fs::File);

#[derive(Debug)]
struct RealLock(#[expect(dead_code, reason = "held for its lock, which closing releases")] fs::File);

impl FileLock for RealLock {}

#[derive(Debug)]
struct RealVolume(fs::File);

impl Volume for RealVolume {
    #[cfg(target_os = "linux")]
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    /// Elsewhere there is no call that waits for one file system and reports errors.
    #[cfg(not(target_os = "linux"))]
    fn sync(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

impl FileSystem for RealFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true);
            }
            OpenMode::Truncate => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed between the listing and the look at it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_directory = metadata.is_dir();
            let length = if is_directory { 0 } else { metadata.len() };
            entries.push(DirectoryEntry { name, is_directory, length });
        }
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn modified(&self, path: &Path) -> io::Result<WallTime> {
        let modified = fs::metadata(path)?.modified()?;
        let since_1970 = modified.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        Ok(WallTime(since_1970.as_millis() as i64))
    }

    fn space(&self, path: &Path) -> io::Result<VolumeSpace> {
        let volume = rustix::fs::statvfs(path)?;
        // What only root may use is not counted.
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(VolumeSpace { total: bytes(volume.f_blocks), free: bytes(volume.f_bavail) })
    }

    fn open_volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>> {
        Ok(Arc::new(RealVolume(fs::File::open(path)?)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock(file)))
    }
}

impl RealFile {
    fn write_some(&self, slices: &[IoSlice<'_>], offset: u64, dont_cache: bool) -> io::Result<usize> {
        if dont_cache && DONTCACHE_WORKS.load(Ordering::Relaxed) {
            match rustix::io::pwritev2(&self.0, slices, offset, DONTCACHE) {
                Ok(written) => return Ok(written),
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => DONTCACHE_WORKS.store(false, Ordering::Relaxed),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(rustix::io::pwritev(&self.0, slices, offset)?)
    }

    /// Writes all of the slices, as if they were one.
    fn write_slices(&self, mut slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        // The last, partly filled page stays in the page cache: else the next append would have to read it back first.
        let whole_pages = match total >= DONTCACHE_FROM_BYTES {
            true => total - ((offset + total as u64) % PAGE_BYTES) as usize,
            false => 0,
        };
        let mut written = 0;
        while written < total {
            let dont_cache = written < whole_pages;
            let upto = if dont_cache { whole_pages } else { total };
            let first = first_bytes(slices, upto - written);
            match self.write_some(&first, offset + written as u64, dont_cache) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(more) => {
                    written += more;
                    drop(first);
                    IoSlice::advance_slices(&mut slices, more);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// So many bytes of the slices, or fewer if they are too many slices for one call.
fn first_bytes<'a>(slices: &'a [IoSlice<'_>], mut bytes: usize) -> Vec<IoSlice<'a>> {
    let mut first = Vec::with_capacity(slices.len().min(SLICES_MAX));
    for slice in slices.iter().take(SLICES_MAX) {
        let taken = slice.len().min(bytes);
        bytes -= taken;
        if taken > 0 {
            first.push(IoSlice::new(&slice[..taken]));
        }
    }
    first
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn read_at_without_waiting(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut slices = [io::IoSliceMut::new(buffer)];
        let read = || rustix::io::preadv2(&self.0, &mut slices, offset, ReadWriteFlags::NOWAIT);
        match rustix::io::retry_on_intr(read) {
            // A kernel before 4.14, or a file system that does not say what it has in memory.
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Err(ErrorKind::Unsupported.into()),
            read => Ok(read?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_at_without_waiting(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    fn will_need(&self, offset: u64, length: u64) {
        let end = offset.saturating_add(length);
        let mut from = offset;
        while let Some(rest) = NonZeroU64::new(end - from) {
            let block = rest.min(WILL_NEED_BYTES);
            if rustix::fs::fadvise(&self.0, from, Some(block), Advice::WillNeed).is_err() {
                return;
            }
            from += block.get();
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_slices(&mut [IoSlice::new(bytes)], offset)
    }

    fn write_pieces_at(&self, pieces: &[Bytes], offset: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        self.write_slices(&mut slices, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
