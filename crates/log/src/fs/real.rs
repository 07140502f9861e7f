use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSlice};
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use raftsman_types::WallTime;
#[cfg(target_os = "linux")]
use rustix::fs::Advice;
use rustix::fs::FlockOperation;
use rustix::io::{Errno, ReadWriteFlags};

use super::dont_cache::DontCache;
use super::{DirectoryEntry, File, FileLock, FileSystem, OpenMode, Volume, VolumeSpace};

/// The operating system's files. Each log directory is given its own: what the file system it is on can do is found out once for
/// all of its files. Clones share that.
#[derive(Debug, Clone, Default)]
pub struct RealFs {
    dont_cache: Arc<DontCache>,
}

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

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    dont_cache: Arc<DontCache>,
}

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

impl RealFs {
    /// Those of a log directory.
    pub fn new() -> RealFs {
        RealFs::default()
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
        Ok(Arc::new(RealFile { file: options.open(path)?, dont_cache: Arc::clone(&self.dont_cache) }))
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
        let flagged = if dont_cache { self.dont_cache.write_some(&self.file, slices, offset) } else { None };
        flagged.unwrap_or_else(|| Ok(rustix::io::pwritev(&self.file, slices, offset)?))
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
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn read_at_without_waiting(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut slices = [io::IoSliceMut::new(buffer)];
        let read = || rustix::io::preadv2(&self.file, &mut slices, offset, ReadWriteFlags::NOWAIT);
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
            if rustix::fs::fadvise(&self.file, from, Some(block), Advice::WillNeed).is_err() {
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
        self.file.set_len(length)
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(target_os = "linux")]
    fn begin_write_back(&self) {
        // A length of 0 is "up to the end". The outcome is that of a hint: no error of a write is taken from the sync to come.
        #[expect(unsafe_code, reason = "there is no safe binding of this call")]
        // SAFETY: it takes no pointers, and the descriptor is open as long as `self`.
        let _begun = unsafe { libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::dont_cache::flagged;
    use super::*;

    /// Some bytes at the end of a page, whole pages, and some more: from where the flag is used on.
    const LARGE: usize = 3 * DONTCACHE_FROM_BYTES + 777;
    const OFFSET: u64 = 1_000;

    fn content(seed: u8) -> Vec<u8> {
        (0..LARGE).map(|i| (i % 251) as u8 ^ seed).collect()
    }

    /// A file system whose flagged writes are told of and end so.
    fn with(
        outcome: impl Fn(&fs::File, &[IoSlice<'_>], u64) -> rustix::io::Result<usize> + Send + Sync + 'static,
    ) -> (RealFs, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let dont_cache = DontCache::by(move |file, slices, offset| {
            counted.fetch_add(1, Ordering::Relaxed);
            outcome(file, slices, offset)
        });
        (RealFs { dont_cache: Arc::new(dont_cache) }, asked)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_refuses_the_flag_gets_the_same_bytes_by_plain_writes_and_is_not_asked_again() {
        for refusal in [Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS] {
            let place = tempfile::tempdir().unwrap();
            let (fs, asked) = with(move |_, _, _| Err(refusal));
            let (other, other_asked) = with(|file, slices, offset| rustix::io::pwritev(file, slices, offset));
            for (i, name) in ["a", "b"].into_iter().enumerate() {
                let path = place.path().join(name);
                let file = fs.open(&path, OpenMode::Create).unwrap();
                file.write_all_at(&content(1), OFFSET).unwrap();
                let (first, second) = (Bytes::from(content(2)), Bytes::from(content(3)));
                file.write_pieces_at(&[first.clone(), second.clone()], OFFSET + LARGE as u64).unwrap();
                let written = std::fs::read(&path).unwrap();
                assert_eq!(written[OFFSET as usize..], [content(1), first.to_vec(), second.to_vec()].concat());
                assert_eq!(asked.load(Ordering::Relaxed), 1, "{refusal:?} once for all files of the directory");

                // Another directory goes by what its own file system says.
                other.open(&path, OpenMode::Create).unwrap().write_all_at(&content(4), 0).unwrap();
                assert_eq!(other_asked.load(Ordering::Relaxed), i + 1);
                assert_eq!(std::fs::read(&path).unwrap()[..LARGE], content(4));
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_refusal_in_the_middle_loses_nothing_and_other_errors_are_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        // A third of it gets there before the file system changes its mind.
        let calls = AtomicUsize::new(0);
        let (fs, asked) = with(move |file, slices, offset| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => rustix::io::pwrite(file, &slices[0][..LARGE / 3], offset),
            1 => Err(Errno::INTR),
            _ => Err(Errno::OPNOTSUPP),
        });
        fs.open(&path, OpenMode::Create).unwrap().write_all_at(&content(5), OFFSET).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert_eq!(std::fs::read(&path).unwrap()[OFFSET as usize..], content(5));

        let (full, asked) = with(|_, _, _| Err(Errno::NOSPC));
        let file = full.open(&path, OpenMode::Create).unwrap();
        for times in 1..3 {
            assert_eq!(file.write_all_at(&content(6), 0).unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
        file.write_all_at(&content(6)[..DONTCACHE_FROM_BYTES - 1], 0).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2, "small writes are plain ones");
    }

    /// The kernel's own flag, where it and the file system of one of these places have it.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernels_flag_is_used_where_it_has_one() {
        let mut refused = Vec::new();
        for place in [std::env::temp_dir(), std::env::current_dir().unwrap()] {
            let Ok(place) = tempfile::tempdir_in(&place) else { continue };
            let path = place.path().join("a");
            let (fs, asked) = with(flagged);
            let file = fs.open(&path, OpenMode::Create).unwrap();
            file.write_all_at(&content(7), OFFSET).unwrap();
            assert!(asked.load(Ordering::Relaxed) > 0);
            assert_eq!(std::fs::read(&path).unwrap()[OFFSET as usize..], content(7));
            if fs.dont_cache.works() {
                // The next writes, to this and other files, go on with it.
                let before = asked.load(Ordering::Relaxed);
                fs.open(&place.path().join("b"), OpenMode::Create).unwrap().write_all_at(&content(8), 0).unwrap();
                assert!(asked.load(Ordering::Relaxed) > before && fs.dont_cache.works());
                assert_eq!(std::fs::read(place.path().join("b")).unwrap(), content(8));
                return;
            }
            refused.push(place.path().display().to_string());
        }
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse::<u32>().unwrap_or(0));
        let has_flag = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 14);
        // A newer kernel's CI has a file system that takes it.
        assert!(
            !has_flag || std::env::var("CI").as_deref() != Ok("true"),
            "CI must not skip: {release} and {refused:?}"
        );
        eprintln!("skipped: RWF_DONTCACHE is refused by Linux {} in {refused:?}", release.trim());
    }
}
