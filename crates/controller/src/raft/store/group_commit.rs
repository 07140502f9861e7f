use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::MetaStore;

type Completion = Box<dyn FnOnce(io::Result<()>) + Send>;

/// How many flushes may wait. Raft has at most a few in flight; beyond that the writer waits for the disk.
const QUEUE_LIMIT: usize = 1024;

/// The one thread that flushes: everything written while one flush runs shares the next.
///
/// A failed flush is final (a retry may falsely succeed, since the kernel drops the dirty pages): from then on every
/// flush fails.
pub(in crate::raft) struct GroupCommit {
    queue: Mutex<Option<SyncSender<Completion>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    flushes_since: Arc<Mutex<Option<Instant>>>,
}

impl GroupCommit {
    /// Starts the thread.
    pub fn start(store: Arc<dyn MetaStore>) -> io::Result<GroupCommit> {
        let (sender, receiver) = sync_channel(QUEUE_LIMIT);
        let flushes_since = Arc::<Mutex<Option<Instant>>>::default();
        let noted = Arc::clone(&flushes_since);
        let thread = std::thread::Builder::new()
            .name("raft-flush".to_owned())
            .stack_size(256 << 10)
            .spawn(move || run(&*store, &receiver, &noted))?;
        Ok(GroupCommit { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), flushes_since })
    }

    /// Calls back when everything written before this call is on the disk.
    pub fn flush(&self, completion: impl FnOnce(io::Result<()>) + Send + 'static) {
        let completion: Completion = Box::new(completion);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rejected = match queue {
            Some(queue) => queue.send(completion).err().map(|e| e.0),
            None => Some(completion),
        };
        if let Some(completion) = rejected {
            completion(Err(io::Error::other("the flush thread of the metadata store has ended")));
        }
    }

    /// For how long the flush under way has been so; zero if none is.
    pub fn flushes_for(&self) -> Duration {
        let since = *self.flushes_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns when everything written before this call is on the disk.
    pub async fn flushed(&self) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.flush(move |result| {
            // Whoever waited may have been cancelled: then nobody needs to know.
            let _ = sender.send(result);
        });
        receiver.await.unwrap_or_else(|_| Err(io::Error::other("the flush thread of the metadata store has ended")))
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the flush thread of the metadata store panicked");
        }
    }
}

fn run(store: &dyn MetaStore, queue: &Receiver<Completion>, flushes_since: &Mutex<Option<Instant>>) {
    let note = |since| *flushes_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    let mut failure: Option<(io::ErrorKind, String)> = None;
    while let Ok(first) = queue.recv() {
        let group: Vec<Completion> = std::iter::once(first).chain(queue.try_iter().take(QUEUE_LIMIT)).collect();
        note(Some(Instant::now()));
        if failure.is_none()
            && let Err(error) = store.sync()
        {
            tracing::error!(%error, "the metadata store could not be flushed; this controller stops");
            failure = Some((error.kind(), error.to_string()));
        }
        note(None);
        for completion in group {
            completion(match &failure {
                None => Ok(()),
                Some((kind, message)) => Err(io::Error::new(*kind, message.clone())),
            });
        }
    }
}
