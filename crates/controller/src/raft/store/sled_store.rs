use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{MAX_VALUE_BYTES, MetaStore, Visit, Write};

/// sled's page cache. The log is short (it is purged after each snapshot) and read mostly where it was just written.
const CACHE_BYTES: u64 = 2 << 20;
/// How long to wait for a store that was just closed in this process to let go of its lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// sled 0.34.7, made durable.
///
/// Its own `flush` only starts the writing of its file (`sync_file_range`): in simulated power cuts most runs lost what
/// it had acknowledged. So each sync also calls `fdatasync` on that file, and flushes the directory when a file
/// appeared in it. See docs/decisions for the measurements.
pub(in crate::raft) struct SledStore {
    db: sled::Db,
    data: File,
    directory: File,
    path: PathBuf,
    directory_changed: Mutex<Option<SystemTime>>,
}

impl SledStore {
    /// Opens the store in a directory, which is created if it is absent.
    ///
    /// # Errors
    /// What sled or the file system said. A store that another process has open is one of them.
    pub fn open(path: &Path) -> io::Result<SledStore> {
        let created = !path.exists();
        fs::create_dir_all(path)?;
        if created && let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        let db = open_patiently(path)?;
        let store = SledStore {
            db,
            data: File::options().read(true).write(true).open(path.join("db"))?,
            directory: File::open(path)?,
            path: path.to_owned(),
            directory_changed: Mutex::new(None),
        };
        store.refuse_spilled_pages()?;
        store.sync()?;
        Ok(store)
    }

    /// sled keeps pages over 128 KiB in files of `blobs/`, which nobody flushes. With values of at most 8 KiB none appear;
    /// one that does would be data that a power cut may take.
    fn refuse_spilled_pages(&self) -> io::Result<()> {
        let spilled = match fs::read_dir(self.path.join("blobs")) {
            Ok(entries) => entries.count(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if spilled > 0 {
            return Err(io::Error::other(format!("{spilled} pages lie outside of the flushed file, in blobs/")));
        }
        Ok(())
    }

    fn sync_directory_if_changed(&self) -> io::Result<()> {
        let modified = self.directory.metadata()?.modified()?;
        let mut known = self.directory_changed.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != Some(modified) {
            self.directory.sync_all()?;
            *known = Some(modified);
        }
        Ok(())
    }
}

impl Drop for SledStore {
    /// sled syncs its file when the last reference goes, and panics if it cannot: in the released program that is the node's end, in the
    /// midst of saying why it stops. On a disk that fails, it never goes.
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(path = %self.path.display(), "the metadata store is left as it is, it cannot be flushed: {error}");
            std::mem::forget(self.db.clone());
        }
    }
}

/// Waits a little for the lock: a controller that was stopped and started again in one process finds its predecessor's
/// last references still being dropped.
fn open_patiently(path: &Path) -> io::Result<sled::Db> {
    let started = Instant::now();
    loop {
        match open_guarded(path) {
            Err(error) if error.to_string().contains("lock") && started.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(10)); // tidy: a file lock cannot be waited on with a limit
            }
            opened => return opened,
        }
    }
}

fn open_guarded(path: &Path) -> io::Result<sled::Db> {
    announce_panics();
    OPENING.set(Some(path.to_owned()));
    let opened = std::panic::catch_unwind(|| {
        sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None).open()
    });
    OPENING.set(None);
    match opened {
        // With its kind: a full disk is no damage.
        Ok(opened) => Ok(opened?),
        Err(_) => Err(io::Error::other("sled found it damaged and panicked")),
    }
}

thread_local! {
    /// The store that this thread is opening.
    static OPENING: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// sled panics on some damage, and the released program ends at a panic: the hook is the last chance to say what to do.
fn announce_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            previous(panic);
            OPENING.with_borrow(|opening| {
                if let Some(path) = opening {
                    tracing::error!("{}", super::super::what_to_do(path));
                }
            });
        }));
    });
}

impl MetaStore for SledStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.db.get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        for entry in self.db.range(from..to) {
            let (key, value) = entry?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let last = self.db.range(from..to).next_back().transpose()?;
        Ok(last.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn write(&self, batch: Vec<Write>) -> io::Result<()> {
        let mut changes = sled::Batch::default();
        for write in batch {
            match write {
                Write::Put(key, value) => {
                    assert!(value.len() <= MAX_VALUE_BYTES, "a value of {} bytes would leave sled's file", value.len());
                    changes.insert(key, value);
                }
                Write::Remove(key) => changes.remove(key),
            }
        }
        Ok(self.db.apply_batch(changes)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.db.flush()?;
        self.data.sync_data()?;
        self.sync_directory_if_changed()
    }
}
