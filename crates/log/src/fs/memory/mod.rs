mod fault;
mod state;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use raftsman_types::WallTime;

use self::state::{Content, Handle, Inode, ROOT, State, names};
use super::{DirectoryEntry, File, FileLock, FileSystem, OpenMode, Volume, VolumeSpace};

pub use self::fault::{Fault, FaultPlan, FaultTarget, Survival};

/// A file system in memory that keeps apart what was written and what would survive a power cut: file
/// content only up to the last `sync_data`, names only up to the last `sync_directory`. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryFs {
    state: Arc<Mutex<State>>,
}

impl MemoryFs {
    /// An empty one.
    pub fn new() -> MemoryFs {
        MemoryFs::default()
    }

    /// Cuts the power and restores it: what was not synced is gone, open files and locks are dead.
    pub fn crash(&self) {
        self.crash_with(|_| Survival::Lost);
    }

    /// Like [`MemoryFs::crash`], but `survival` decides for each file with unsynced bytes (it is given
    /// their count) what is left of them. Unsynced names are gone all the same.
    pub fn crash_with(&self, mut survival: impl FnMut(usize) -> Survival) {
        let mut state = self.state();
        let mut ids: Vec<u64> = state.inodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            match state.inodes.get_mut(&id) {
                Some(Inode::Directory { current, durable }) => *current = durable.clone(),
                Some(Inode::File(content)) => content.crash(&mut survival),
                None => {}
            }
        }
        state.remove_unreachable();
        state.begin_new_life();
    }

    /// Kills the process only: everything written stays, open files and locks are dead.
    pub fn kill(&self) {
        self.state().begin_new_life();
    }

    /// Arms a fault; it replaces one not yet struck.
    pub fn inject(&self, plan: FaultPlan) {
        let mut state = self.state();
        state.plan = Some(plan);
        state.struck = false;
    }

    /// Takes back a fault that was armed; whether it has struck.
    pub fn disarm(&self) -> bool {
        let mut state = self.state();
        state.plan = None;
        state.struck
    }

    /// Operations so far that changed something or synced.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Limits the bytes of all files together, from now on; `None` is no limit. A write that does not fit leaves what
    /// does, and fails.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Makes every file that is there cold: until it has been read once, who may not wait for a disk is not given it. Where the
    /// file system `tells` nothing such a reader never is.
    pub fn make_cold(&self, tells: bool) {
        let mut state = self.state();
        state.tells_cold = tells;
        for inode in state.inodes.values_mut() {
            if let Inode::File(content) = inode {
                content.is_cold = true;
            }
        }
    }

    /// The threads that have waited for a cold file, once for each time.
    pub fn waited(&self) -> Vec<ThreadId> {
        self.state().waited.clone()
    }

    /// The files, and directories as volumes, that are open: each as often as it is, in no order.
    pub fn open_handles(&self) -> Vec<PathBuf> {
        self.state().handles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often somebody was told that there are too many.
    pub fn handles_refused(&self) -> u64 {
        self.state().handles_refused
    }

    /// How many files may be open at once, from now on; whoever opens one more is told that there are too many (`EMFILE`).
    pub fn set_handles_max(&self, handles: usize) {
        self.state().handles_max = handles;
    }

    /// How many files may be opened from now on, directories to be listed or synced included, before the same happens; `u64::MAX`
    /// is no limit.
    pub fn set_handles_left(&self, handles: u64) {
        self.state().handles_left = handles;
    }

    /// Sets the time that files written from now on show.
    pub fn set_now(&self, now: WallTime) {
        self.state().now = now;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a test that holds the lock leaves plain data behind, which is still readable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem for MemoryFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.check_power()?;
        let handle = state.handle(path)?;
        let id = match state.find(path) {
            Ok(id) => {
                if mode == OpenMode::Truncate {
                    state.change(FaultTarget::Write)?;
                    let content = state.file_mut(id)?;
                    content.current.clear();
                    content.set_aside = 0;
                    content.dirty_from = 0;
                }
                state.file_mut(id)?;
                id
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if matches!(mode, OpenMode::Read | OpenMode::ReadWrite) {
                    return Err(error);
                }
                state.change(FaultTarget::Write)?;
                let (parent, name) = state.find_parent(path)?;
                let content = Content { modified: state.now, ..Content::default() };
                state.add(parent, name, Inode::File(content))?
            }
            Err(error) => return Err(error),
        };
        let life = state.life;
        drop(state);
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), id, life, writable, _handle: handle }))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(FaultTarget::Write)?;
        let mut id = ROOT;
        for name in names(path)? {
            id = match state.directory(id)?.get(&name) {
                Some(child) => *child,
                None => {
                    let inode = Inode::Directory { current: BTreeMap::new(), durable: BTreeMap::new() };
                    state.add(id, name, inode)?
                }
            };
        }
        state.directory(id).map(|_| ())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut state = self.state();
        state.check_power()?;
        drop(state.handle(path)?);
        let directory = state.directory(state.find(path)?)?;
        let entries = directory.iter().map(|(name, id)| {
            let (is_directory, length) = match state.inodes.get(id) {
                Some(Inode::File(content)) => (false, content.current.len() as u64),
                _ => (true, 0),
            };
            DirectoryEntry { name: name.clone(), is_directory, length }
        });
        Ok(entries.collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(FaultTarget::Rename)?;
        let (from_parent, from_name) = state.find_parent(from)?;
        let (to_parent, to_name) = state.find_parent(to)?;
        state.directory(to_parent)?;
        let id = state.directory_mut(from_parent)?.remove(&from_name).ok_or(ErrorKind::NotFound)?;
        state.directory_mut(to_parent)?.insert(to_name, id);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(FaultTarget::Write)?;
        let id = state.find(path)?;
        state.file_mut(id)?;
        let (parent, name) = state.find_parent(path)?;
        state.directory_mut(parent)?.remove(&name);
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(FaultTarget::Write)?;
        let id = state.find(path)?;
        state.directory(id)?;
        let (parent, name) = state.find_parent(path)?;
        state.directory_mut(parent)?.remove(&name);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        drop(state.handle(path)?);
        state.change(FaultTarget::Sync)?;
        let id = state.find(path)?;
        match state.inodes.get_mut(&id) {
            Some(Inode::Directory { current, durable }) => {
                durable.clone_from(current);
                Ok(())
            }
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.check_power()?;
        match state.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn modified(&self, path: &Path) -> io::Result<WallTime> {
        let mut state = self.state();
        state.check_power()?;
        let id = state.find(path)?;
        Ok(state.file_mut(id)?.modified)
    }

    fn space(&self, _path: &Path) -> io::Result<VolumeSpace> {
        let state = self.state();
        Ok(VolumeSpace { total: state.capacity.unwrap_or(u64::MAX), free: state.free() })
    }

    fn open_volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>> {
        let mut state = self.state();
        state.check_power()?;
        state.directory(state.find(path)?)?;
        let handle = state.handle(path)?;
        Ok(Arc::new(MemoryVolume { state: Arc::clone(&self.state), life: state.life, _handle: handle }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.open(path, OpenMode::Create)?;
        let mut state = self.state();
        if !state.locked.insert(path.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        drop(state);
        Ok(Box::new(MemoryLock { state: Arc::clone(&self.state), path: path.to_owned(), life }))
    }
}

#[derive(Debug)]
struct MemoryVolume {
    state: Arc<Mutex<State>>,
    life: u64,
    _handle: Handle,
}

impl Volume for MemoryVolume {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.life != self.life {
            return Err(io::Error::other("the volume was opened before a crash"));
        }
        state.change(FaultTarget::Sync)?;
        state.sync_all();
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl FileLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.life == self.life {
            state.locked.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    state: Arc<Mutex<State>>,
    id: u64,
    life: u64,
    writable: bool,
    _handle: Handle,
}

impl MemoryFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.life != self.life {
            return Err(io::Error::other("the file was opened before a crash"));
        }
        state.check_power()?;
        Ok(state)
    }

    fn change(&self, target: FaultTarget) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state()?;
        if !self.writable && target == FaultTarget::Write {
            return Err(ErrorKind::PermissionDenied.into());
        }
        state.change(target)?;
        Ok(state)
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        if std::mem::take(&mut state.file_mut(self.id)?.is_cold) {
            state.waited.push(std::thread::current().id());
        }
        let content = state.file_mut(self.id)?;
        let rest = content.current.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn read_at_without_waiting(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        if !state.tells_cold {
            return Err(ErrorKind::Unsupported.into());
        }
        if state.file_mut(self.id)?.is_cold {
            return Err(ErrorKind::WouldBlock.into());
        }
        drop(state);
        self.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if !self.writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let fault = state.strike(FaultTarget::Write);
        let mut written = match fault {
            None => bytes.len(),
            Some(Fault::TornWrite(kept)) => kept.min(bytes.len()),
            Some(other) => return Err(other.into_error()),
        };
        let free = state.free();
        let room = state.file_mut(self.id)?.taken().saturating_add(free).saturating_sub(offset);
        let is_full = room < written as u64;
        if is_full {
            written = room as usize;
        }
        let now = state.now;
        let content = state.file_mut(self.id)?;
        content.write(&bytes[..written], offset as usize);
        content.modified = now;
        match fault {
            Some(fault) => Err(fault.into_error()),
            None if is_full => Err(ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.change(FaultTarget::Write)?;
        let free = state.free();
        let content = state.file_mut(self.id)?;
        if length > content.taken().saturating_add(free) {
            return Err(ErrorKind::StorageFull.into());
        }
        content.set_aside = 0;
        let shorter = (length as usize).min(content.current.len());
        content.current.resize(length as usize, 0);
        content.dirty_from = content.dirty_from.min(shorter);
        Ok(())
    }

    /// Only counts, against the capacity. Where that is not enough all that is left is taken, as some file systems do it.
    fn preallocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.change(FaultTarget::Write)?;
        let free = state.free();
        let content = state.file_mut(self.id)?;
        let most = content.taken().saturating_add(free);
        content.set_aside = content.set_aside.max(length.min(most));
        if length > most { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.file_mut(self.id)?.current.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(FaultTarget::Sync)?.file_mut(self.id)?.sync();
        Ok(())
    }
}
