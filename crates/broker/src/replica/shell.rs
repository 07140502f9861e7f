//! Who lets the replicas work by themselves.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::cleaner::Cleaner;
use super::core::Core;
use super::fetch_stream::FetchStream;
use super::manager::Inner;
use super::{cleaner, dialer, flusher, housekeeping, isr_queue};
use crate::config::CleanerConfig;

/// Threads and tasks around the replicas, or a simulation that takes each step by hand.
pub(super) enum Shell {
    /// Threads flush and keep house, tasks on this runtime talk to others.
    Running(Running),
    /// Nothing happens unless [`stepped`](super::stepped) says so.
    Stepped,
}

pub(super) struct Running {
    runtime: Handle,
    threads: Mutex<Vec<JoinHandle<()>>>,
    isr_task: Mutex<Option<AbortHandle>>,
    cleaner: Arc<Cleaner>,
}

impl Shell {
    pub fn on(runtime: Handle, cleaner: CleanerConfig) -> Shell {
        let cleaner = Arc::new(Cleaner::new(cleaner, rand::random()));
        Shell::Running(Running { runtime, threads: Mutex::default(), isr_task: Mutex::default(), cleaner })
    }

    /// Whether several threads may work at the same time.
    pub fn has_threads(&self) -> bool {
        matches!(self, Shell::Running(_))
    }

    /// Starts what runs from the beginning.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(&self, inner: &Arc<Inner>) -> std::io::Result<()> {
        let Shell::Running(running) = self else { return Ok(()) };
        let isr_task = running.runtime.spawn(isr_queue::drive(Arc::clone(&inner.core)));
        *running.isr_task.lock() = Some(isr_task.abort_handle());
        let mut threads = running.threads.lock();
        for directory in &inner.directories {
            let (core, directory) = (Arc::clone(&inner.core), Arc::clone(directory));
            let thread = std::thread::Builder::new().name("flusher".to_owned());
            threads.push(thread.spawn(move || flusher::drive(&core, &directory))?);
        }
        for _ in 0..running.cleaner.threads() {
            let (cleaner, inner) = (Arc::clone(&running.cleaner), Arc::downgrade(inner));
            let thread = std::thread::Builder::new().name("log-cleaner".to_owned());
            threads.push(thread.spawn(move || cleaner::drive(&cleaner, &inner))?);
        }
        let (core, inner) = (Arc::clone(&inner.core), Arc::downgrade(inner));
        let thread = std::thread::Builder::new().name("replica-keeper".to_owned());
        threads.push(thread.spawn(move || housekeeping::drive(&core, &inner))?);
        Ok(())
    }

    /// A stream to a leader is to be kept up from now on.
    pub fn stream_begun(&self, core: &Arc<Core>, stream: &Arc<FetchStream>) {
        if let Shell::Running(running) = self {
            running.runtime.spawn(dialer::drive(Arc::clone(core), Arc::clone(stream)));
        }
    }

    /// Ends the work that no queue's end ends.
    pub fn stop(&self) {
        let Shell::Running(running) = self else { return };
        running.cleaner.stop();
        if let Some(task) = running.isr_task.lock().take() {
            task.abort();
        }
    }

    /// Waits until the threads, which were told to, have ended.
    pub fn join(&self) {
        let Shell::Running(running) = self else { return };
        for thread in running.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the replica manager had panicked");
            }
        }
    }
}
