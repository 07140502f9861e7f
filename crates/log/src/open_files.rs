//! How many segment files are open at once, over all logs of a process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use crate::error::{IoContext, StorageError};
use crate::fs::{File, FileSystem, OpenMode, Volume};

/// Of the files that were not used for longest, so many are looked at for one that need not be synced before it is closed.
const LOOK_AT: usize = 32;
/// Files that are kept open for nothing, so that what has begun is not left half done for want of one.
const SPARES: usize = 4;

/// The segment files that are open, of all logs on the file systems that share it, see [`crate::fs::BoundedFs`]. Of no more than
/// `limit` it keeps them open between two uses; what was not used for longest is closed first.
///
/// A file that somebody works with is never closed, nor counted on to be: there may be more open than `limit` for as long as more
/// are in use. One with bytes that no flush has synced is synced before it is closed, because only its own handle is sure to hear
/// of a write-back that fails; if that sync fails its log hears of it with the next write or flush.
///
/// Who uses a file that is open takes no lock that concerns any other, only who opens or closes one.
#[derive(Debug)]
pub struct OpenFiles {
    limit: usize,
    /// Rises with every file that is opened: the time that use is told by.
    ticks: AtomicU64,
    /// How many of the open ones have unsynced bytes.
    unsynced: AtomicUsize,
    held: Mutex<Held>,
    spares: Mutex<Vec<Arc<dyn Volume>>>,
}

#[derive(Debug, Default)]
struct Held {
    /// By the last use that is known here, and an id that tells equals apart.
    by_use: BTreeMap<(u64, u64), Arc<Slot>>,
    next_id: u64,
}

/// The file of one segment, whether it is open now or not.
#[derive(Debug)]
struct Slot {
    /// Whom to tell that it is closed.
    files: Option<Arc<OpenFiles>>,
    /// By [`OpenFiles::ticks`].
    last_used: AtomicU64,
    /// Its key among those held; changed with them locked. 0 if it is not.
    held_since: AtomicU64,
    id: AtomicU64,
    /// Whether something was written that no flush has synced.
    is_unsynced: AtomicBool,
    /// Locked before those held are, never after.
    state: Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    file: Option<Arc<dyn File>>,
    is_writable: bool,
    /// What became of the sync before it was closed, if that failed.
    failed: Option<String>,
}

/// A segment's file, opened when it is used and closed when nobody does and others need its place.
#[derive(Debug, Default)]
pub(crate) struct SegmentFile {
    slot: OnceLock<Arc<Slot>>,
}

impl OpenFiles {
    /// Of at most so many files.
    pub fn new(limit: usize) -> OpenFiles {
        OpenFiles {
            limit,
            ticks: AtomicU64::new(0),
            unsynced: AtomicUsize::new(0),
            held: Mutex::default(),
            spares: Mutex::default(),
        }
    }

    /// How many it keeps open.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are open now.
    pub fn open_count(&self) -> usize {
        self.held().by_use.len()
    }

    /// Whether so many of them have unsynced bytes that a flush is due: else each that is opened has another one synced by
    /// itself.
    pub fn wants_flush(&self) -> bool {
        self.unsynced.load(Ordering::Relaxed) > self.limit / 2
    }

    /// Makes room for another file that is opened, whatever it is for. False if none is left that can be done without.
    pub(crate) fn give_one_back(&self) -> bool {
        let spare = self.spares().pop();
        spare.is_some() || self.close_one()
    }

    /// Closes what was not used for longest and nobody uses now. False if there is no such file.
    pub(crate) fn close_one(&self) -> bool {
        for count in [LOOK_AT, usize::MAX] {
            let oldest = self.oldest(count);
            if oldest.iter().any(|slot| slot.close_if_idle(false)) || oldest.iter().any(|slot| slot.close_if_idle(true))
            {
                return true;
            }
        }
        false
    }

    /// Whether what is begun now can count on the spares.
    pub(crate) fn lacks_spares(&self) -> bool {
        self.spares().len() < SPARES
    }

    /// Keeps a file for later.
    pub(crate) fn add_spare(&self, spare: Arc<dyn Volume>) {
        self.spares().push(spare);
    }

    /// Those that were not used for longest, the oldest first.
    fn oldest(&self, count: usize) -> Vec<Arc<Slot>> {
        let mut held = self.held();
        let mut oldest: Vec<((u64, u64), Arc<Slot>)> = Vec::new();
        // Each that was used since it was put there goes where it belongs, once.
        let mut looks = held.by_use.len().saturating_mul(2);
        while oldest.len() < count && looks > 0 {
            looks -= 1;
            let Some(((since, id), slot)) = held.by_use.pop_first() else { break };
            let used = slot.last_used.load(Ordering::Relaxed);
            if used > since {
                slot.held_since.store(used, Ordering::Relaxed);
                held.by_use.insert((used, id), slot);
            } else {
                oldest.push(((since, id), slot));
            }
        }
        for (key, slot) in &oldest {
            held.by_use.insert(*key, Arc::clone(slot));
        }
        oldest.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Closes others until one more may be opened, as far as they are not in use.
    fn make_place(&self) {
        while self.open_count() >= self.limit && self.close_one() {}
    }

    /// Takes in a file that was opened. Its state is locked by the caller.
    fn admit(&self, slot: &Arc<Slot>) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let mut held = self.held();
        held.next_id += 1;
        let id = held.next_id;
        slot.id.store(id, Ordering::Relaxed);
        slot.last_used.store(now, Ordering::Relaxed);
        slot.held_since.store(now, Ordering::Relaxed);
        held.by_use.insert((now, id), Arc::clone(slot));
    }

    /// Lets go of one that is closed. Its state is locked by the caller.
    fn release(&self, slot: &Slot) {
        let mut held = self.held();
        held.by_use.remove(&(slot.held_since.load(Ordering::Relaxed), slot.id.load(Ordering::Relaxed)));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Between any two statements the map is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Arc<dyn Volume>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(files: Option<Arc<OpenFiles>>) -> Slot {
        Slot {
            files,
            last_used: AtomicU64::new(0),
            held_since: AtomicU64::new(0),
            id: AtomicU64::new(0),
            is_unsynced: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Its fields tell of what was done before they were set.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For others than the segment: closes it unless somebody works with it. One with unsynced bytes is synced first, or left as
    /// it is.
    fn close_if_idle(&self, sync: bool) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(file) = state.file.as_ref().filter(|file| Arc::strong_count(file) == 1) else { return false };
        if self.is_unsynced.load(Ordering::Relaxed) {
            if !sync {
                return false;
            }
            let synced = file.sync_data();
            state.failed = synced.err().map(|error| format!("a sync before it was closed failed: {error}"));
            self.note_unsynced(false);
        }
        self.close(&mut state);
        true
    }

    fn close(&self, state: &mut SlotState) {
        if state.file.take().is_some()
            && let Some(files) = &self.files
        {
            files.release(self);
        }
    }

    fn note_unsynced(&self, is_unsynced: bool) {
        // Mostly it is as it was: who sets it holds the file, and nobody clears it then.
        if self.is_unsynced.load(Ordering::Relaxed) == is_unsynced {
            return;
        }
        let was_unsynced = self.is_unsynced.swap(is_unsynced, Ordering::Relaxed);
        if let Some(files) = &self.files {
            match (was_unsynced, is_unsynced) {
                (false, true) => files.unsynced.fetch_add(1, Ordering::Relaxed),
                (true, false) => files.unsynced.fetch_sub(1, Ordering::Relaxed),
                _ => 0,
            };
        }
    }
}

impl SegmentFile {
    /// The file, opened in this mode if need be. It stays open for as long as it is held, and for the next who uses it if nobody
    /// else needs the place.
    pub(crate) fn get(
        &self,
        fs: &dyn FileSystem,
        path: impl Fn() -> PathBuf,
        mode: OpenMode,
    ) -> Result<Arc<dyn File>, StorageError> {
        if mode == OpenMode::Read && fs.open_files().is_none() && !self.is_open() {
            // Nobody would ever close it again but the log.
            return open(fs, &path(), mode);
        }
        let slot = self.slot.get_or_init(|| Arc::new(Slot::new(fs.open_files().cloned())));
        let mut state = slot.lock();
        if let Some(failed) = &state.failed
            && mode != OpenMode::Read
        {
            return Err(StorageError::new("open", &path(), io::Error::other(failed.clone())));
        }
        if let Some(file) = state.file.as_ref().filter(|_| state.is_writable || mode == OpenMode::Read) {
            if let Some(files) = &slot.files {
                slot.last_used.store(files.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            return Ok(Arc::clone(file));
        }
        slot.close(&mut state);
        if let Some(files) = &slot.files {
            files.make_place();
        }
        let file = open(fs, &path(), mode)?;
        state.file = Some(Arc::clone(&file));
        state.is_writable = mode != OpenMode::Read;
        if let Some(files) = &slot.files {
            files.admit(slot);
        }
        Ok(file)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.slot.get().is_some_and(|slot| slot.lock().file.is_some())
    }

    /// Something is about to be written to it, by who holds it.
    pub(crate) fn written(&self) {
        if let Some(slot) = self.slot.get() {
            slot.note_unsynced(true);
        }
    }

    /// All that was written to it is synced.
    pub(crate) fn synced(&self) {
        if let Some(slot) = self.slot.get() {
            slot.note_unsynced(false);
        }
    }

    /// Closes it, whatever it has, once nobody works with it any more.
    pub(crate) fn close(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.note_unsynced(false);
            let mut state = slot.lock();
            slot.close(&mut state);
        }
    }
}

fn open(fs: &dyn FileSystem, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, StorageError> {
    let operation = if mode == OpenMode::Truncate { "create" } else { "open" };
    fs.open(path, mode).context(operation, path)
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        self.close();
    }
}
