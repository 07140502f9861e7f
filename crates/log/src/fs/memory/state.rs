use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use raftsman_types::WallTime;
use rustix::io::Errno;

use super::fault::{Fault, FaultPlan, FaultTarget, Survival};

pub(super) const ROOT: u64 = 0;

#[derive(Debug)]
pub(super) struct State {
    pub(super) inodes: HashMap<u64, Inode>,
    next_inode: u64,
    pub(super) plan: Option<FaultPlan>,
    /// Whether the last fault that was armed has struck.
    pub(super) struck: bool,
    pub(super) powerless: bool,
    /// Rises at every crash; handles of an earlier life fail.
    pub(super) life: u64,
    pub(super) locked: BTreeSet<PathBuf>,
    pub(super) now: WallTime,
    pub(super) changes: u64,
    /// How many bytes all files together may have.
    pub(super) capacity: Option<u64>,
    /// Whether it can tell which files are cold.
    pub(super) tells_cold: bool,
    /// Who read what was cold.
    pub(super) waited: Vec<ThreadId>,
    /// What is open, once for each handle, and how many there may be; and how many more may be opened, whatever becomes of the others.
    pub(super) handles: Arc<Mutex<Vec<PathBuf>>>,
    pub(super) handles_max: usize,
    pub(super) handles_left: u64,
    pub(super) handles_refused: u64,
}

/// A handle on a file, for as long as it is open.
#[derive(Debug)]
pub(super) struct Handle {
    all: Arc<Mutex<Vec<PathBuf>>>,
    path: PathBuf,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|path| *path == self.path) {
            all.swap_remove(at);
        }
    }
}

#[derive(Debug)]
pub(super) enum Inode {
    Directory { current: BTreeMap<String, u64>, durable: BTreeMap<String, u64> },
    File(Content),
}

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Where the first byte lies that differs, or may differ, from `durable`.
    pub(super) dirty_from: usize,
    pub(super) modified: WallTime,
    /// Up to which length room was set aside.
    pub(super) set_aside: u64,
    /// Who reads it waits for a disk.
    pub(super) is_cold: bool,
}

impl Default for State {
    fn default() -> State {
        let root = Inode::Directory { current: BTreeMap::new(), durable: BTreeMap::new() };
        State {
            inodes: HashMap::from([(ROOT, root)]),
            next_inode: ROOT + 1,
            plan: None,
            struck: false,
            powerless: false,
            life: 0,
            locked: BTreeSet::new(),
            now: WallTime(0),
            changes: 0,
            capacity: None,
            tells_cold: true,
            waited: Vec::new(),
            handles: Arc::default(),
            handles_max: usize::MAX,
            handles_left: u64::MAX,
            handles_refused: 0,
        }
    }
}

impl Content {
    pub(super) fn crash(&mut self, survival: &mut impl FnMut(usize) -> Survival) {
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

    /// How much of the disk it takes.
    pub(super) fn taken(&self) -> u64 {
        self.set_aside.max(self.current.len() as u64)
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty_from = self.dirty_from.min(offset);
    }

    pub(super) fn sync(&mut self) {
        let from = self.dirty_from.min(self.current.len()).min(self.durable.len());
        self.durable.truncate(from);
        self.durable.extend_from_slice(&self.current[from..]);
        self.dirty_from = self.current.len();
    }
}

impl State {
    /// How many bytes may still be written.
    pub(super) fn free(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        // What was removed takes no room, though a power cut may bring it back.
        let (mut taken, mut pending) = (0, vec![ROOT]);
        while let Some(id) = pending.pop() {
            match self.inodes.get(&id) {
                Some(Inode::File(content)) => taken += content.taken(),
                Some(Inode::Directory { current, .. }) => pending.extend(current.values()),
                None => {}
            }
        }
        capacity.saturating_sub(taken)
    }

    /// Opens a file as far as the number of them is concerned.
    pub(super) fn handle(&mut self, path: &Path) -> io::Result<Handle> {
        let mut all = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if self.handles_left == 0 || all.len() >= self.handles_max {
            self.handles_refused += 1;
            return Err(Errno::MFILE.into());
        }
        if self.handles_left < u64::MAX {
            self.handles_left -= 1;
        }
        all.push(path.to_owned());
        Ok(Handle { all: Arc::clone(&self.handles), path: path.to_owned() })
    }

    pub(super) fn begin_new_life(&mut self) {
        self.life += 1;
        self.plan = None;
        self.powerless = false;
        self.locked.clear();
    }

    pub(super) fn sync_all(&mut self) {
        for inode in self.inodes.values_mut() {
            match inode {
                Inode::Directory { current, durable } => durable.clone_from(current),
                Inode::File(content) => content.sync(),
            }
        }
    }

    pub(super) fn remove_unreachable(&mut self) {
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
    pub(super) fn strike(&mut self, target: FaultTarget) -> Option<Fault> {
        if self.powerless {
            return Some(Fault::PowerCut);
        }
        self.changes += 1;
        let plan = self.plan.as_mut()?;
        let strikes = match plan.target {
            FaultTarget::AnyChange => true,
            FaultTarget::Write => target != FaultTarget::Sync,
            only => only == target,
        };
        if !strikes {
            return None;
        }
        if plan.skip > 0 {
            plan.skip -= 1;
            return None;
        }
        let fault = plan.fault;
        self.struck = true;
        if !matches!(fault, Fault::ErrorFromHere(_)) {
            self.plan = None;
        }
        self.powerless = fault == Fault::PowerCut;
        Some(fault)
    }

    pub(super) fn change(&mut self, target: FaultTarget) -> io::Result<()> {
        self.strike(target).map_or(Ok(()), |fault| Err(fault.into_error()))
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.powerless { Err(Fault::PowerCut.into_error()) } else { Ok(()) }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let mut id = ROOT;
        for name in names(path)? {
            id = *self.directory(id)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(id)
    }

    /// The directory above `path`, and the name in it.
    pub(super) fn find_parent(&self, path: &Path) -> io::Result<(u64, String)> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        let mut id = ROOT;
        for name in names {
            id = *self.directory(id)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        Ok((id, name))
    }

    pub(super) fn directory(&self, id: u64) -> io::Result<&BTreeMap<String, u64>> {
        match self.inodes.get(&id) {
            Some(Inode::Directory { current, .. }) => Ok(current),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn directory_mut(&mut self, id: u64) -> io::Result<&mut BTreeMap<String, u64>> {
        match self.inodes.get_mut(&id) {
            Some(Inode::Directory { current, .. }) => Ok(current),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: u64) -> io::Result<&mut Content> {
        match self.inodes.get_mut(&id) {
            Some(Inode::File(content)) => Ok(content),
            Some(Inode::Directory { .. }) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn add(&mut self, parent: u64, name: String, inode: Inode) -> io::Result<u64> {
        let id = self.next_inode;
        self.directory_mut(parent)?.insert(name, id);
        self.inodes.insert(id, inode);
        self.next_inode += 1;
        Ok(id)
    }
}

pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
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
