use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftsman_types::WallTime;

use super::{DirectoryEntry, File, FileLock, FileSystem, OpenMode};

/// A file system in memory that keeps apart what was written and what would survive a power cut: file
/// content only up to the last `sync_data`, names only up to the last `sync_directory`. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryFs {
    state: Arc<Mutex<State>>,
}

/// What of a file's unsynced content a power cut leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing: the content of the last sync.
    Lost,
    /// All of it.
    All,
    /// Its first bytes: a torn write.
    Prefix(usize),
    /// The length, but zeros in place of the bytes (delayed allocation).
    Zeros,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails without effect, once.
    Error(ErrorKind),
    /// A write leaves so many of its bytes and then fails, once.
    TornWrite(usize),
    /// This and every later operation fails, until [`MemoryFs::crash`].
    PowerCut,
}

/// Which operations a fault counts and strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTarget {
    /// Every one that changes something or syncs.
    AnyChange,
    /// Writes to files.
    Write,
    /// Syncs of files and directories.
    Sync,
}

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// Which operations count.
    pub target: FaultTarget,
    /// How many of them still succeed.
    pub skip: u64,
    /// What happens then.
    pub fault: Fault,
}

const ROOT: u64 = 0;

#[derive(Debug)]
struct State {
    inodes: HashMap<u64, Inode>,
    next_inode: u64,
    plan: Option<FaultPlan>,
    powerless: bool,
    /// Rises at every crash; handles of an earlier life fail.
    life: u64,
    locked: BTreeSet<PathBuf>,
    now: WallTime,
    changes: u64,
}

#[derive(Debug)]
enum Inode {
    Directory { current: BTreeMap<String, u64>, durable: BTreeMap<String, u64> },
    File(Content),
}

#[derive(Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Where the first byte lies that differs, or may differ, from `durable`.
    dirty_from: usize,
    modified: WallTime,
}

impl Default for State {
    fn default() -> State {
        let root = Inode::Directory { current: BTreeMap::new(), durable: BTreeMap::new() };
        State {
            inodes: HashMap::from([(ROOT, root)]),
            next_inode: ROOT + 1,
            plan: None,
            powerless: false,
            life: 0,
            locked: BTreeSet::new(),
            now: WallTime(0),
            changes: 0,
        }
    }
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
        self.state().plan = Some(plan);
    }

    /// Operations so far that changed something or synced.
    pub fn changes(&self) -> u64 {
        self.state().changes
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

impl Content {
    fn crash(&mut self, survival: &mut impl FnMut(usize) -> Survival) {
        let clean = self.dirty_from >= self.current.len() && self.current.len() == self.durable.len();
        if clean {
            return;
        }
        let dirty_from = self.dirty_from.min(self.current.len());
        match survival(self.current.len() - dirty_from) {
            Survival::Lost => self.current.clone_from(&self.durable),
            Survival::All => {}
            Survival::Prefix(bytes) => {
                let end = (dirty_from + bytes).min(self.current.len());
                let mut torn = self.current[..end].to_vec();
                torn.extend_from_slice(self.durable.get(end..).unwrap_or_default());
                self.current = torn;
            }
            Survival::Zeros => self.current[dirty_from..].fill(0),
        }
        self.durable.clone_from(&self.current);
        self.dirty_from = self.current.len();
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty_from = self.dirty_from.min(offset);
    }

    fn sync(&mut self) {
        let from = self.dirty_from.min(self.current.len()).min(self.durable.len());
        self.durable.truncate(from);
        self.durable.extend_from_slice(&self.current[from..]);
        self.dirty_from = self.current.len();
    }
}

impl State {
    fn begin_new_life(&mut self) {
        self.life += 1;
        self.plan = None;
        self.powerless = false;
        self.locked.clear();
    }

    fn remove_unreachable(&mut self) {
        let mut seen = BTreeSet::new();
        let mut pending = vec![ROOT];
        while let Some(id) = pending.pop() {
            if seen.insert(id)
                && let Some(Inode::Directory { current, .. }) = self.inodes.get(&id)
            {
                pending.extend(current.values());
            }
        }
        self.inodes.retain(|id, _| seen.contains(id));
    }

    /// Counts one operation; the fault that strikes it, if one does.
    fn strike(&mut self, target: FaultTarget) -> Option<Fault> {
        if self.powerless {
            return Some(Fault::PowerCut);
        }
        self.changes += 1;
        let plan = self.plan.as_mut()?;
        if plan.target != FaultTarget::AnyChange && plan.target != target {
            return None;
        }
        if plan.skip > 0 {
            plan.skip -= 1;
            return None;
        }
        let fault = plan.fault;
        self.plan = None;
        self.powerless = fault == Fault::PowerCut;
        Some(fault)
    }

    fn change(&mut self, target: FaultTarget) -> io::Result<()> {
        self.strike(target).map_or(Ok(()), |fault| Err(fault.into_error()))
    }

    fn check_power(&self) -> io::Result<()> {
        if self.powerless { Err(Fault::PowerCut.into_error()) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut id = ROOT;
        for name in names(path)? {
            id = *self.directory(id)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(id)
    }

    /// The directory above `path`, and the name in it.
    fn find_parent(&self, path: &Path) -> io::Result<(u64, String)> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        let mut id = ROOT;
        for name in names {
            id = *self.directory(id)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        Ok((id, name))
    }

    fn directory(&self, id: u64) -> io::Result<&BTreeMap<String, u64>> {
        match self.inodes.get(&id) {
            Some(Inode::Directory { current, .. }) => Ok(current),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn directory_mut(&mut self, id: u64) -> io::Result<&mut BTreeMap<String, u64>> {
        match self.inodes.get_mut(&id) {
            Some(Inode::Directory { current, .. }) => Ok(current),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn file_mut(&mut self, id: u64) -> io::Result<&mut Content> {
        match self.inodes.get_mut(&id) {
            Some(Inode::File(content)) => Ok(content),
            Some(Inode::Directory { .. }) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn add(&mut self, parent: u64, name: String, inode: Inode) -> io::Result<u64> {
        let id = self.next_inode;
        self.directory_mut(parent)?.insert(name, id);
        self.inodes.insert(id, inode);
        self.next_inode += 1;
        Ok(id)
    }
}

impl Fault {
    fn into_error(self) -> io::Error {
        match self {
            Fault::Error(kind) => kind.into(),
            Fault::TornWrite(_) => io::Error::other("injected: torn write"),
            Fault::PowerCut => io::Error::other("injected: power cut"),
        }
    }
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or(ErrorKind::InvalidInput)?.to_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}

impl FileSystem for MemoryFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.check_power()?;
        let id = match state.find(path) {
            Ok(id) => {
                if mode == OpenMode::Truncate {
                    state.change(FaultTarget::Write)?;
                    let content = state.file_mut(id)?;
                    content.current.clear();
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
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), id, life, writable: mode != OpenMode::Read }))
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
        let state = self.state();
        state.check_power()?;
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
        state.change(FaultTarget::Write)?;
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
        let content = state.file_mut(self.id)?;
        let rest = content.current.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if !self.writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let fault = state.strike(FaultTarget::Write);
        let written = match fault {
            None => bytes.len(),
            Some(Fault::TornWrite(kept)) => kept.min(bytes.len()),
            Some(other) => return Err(other.into_error()),
        };
        let now = state.now;
        let content = state.file_mut(self.id)?;
        content.write(&bytes[..written], offset as usize);
        content.modified = now;
        fault.map_or(Ok(()), |fault| Err(fault.into_error()))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.change(FaultTarget::Write)?;
        let content = state.file_mut(self.id)?;
        let shorter = (length as usize).min(content.current.len());
        content.current.resize(length as usize, 0);
        content.dirty_from = content.dirty_from.min(shorter);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.file_mut(self.id)?.current.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(FaultTarget::Sync)?.file_mut(self.id)?.sync();
        Ok(())
    }
}
