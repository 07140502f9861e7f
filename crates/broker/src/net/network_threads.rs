use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::connection::{Admission, Connection, End, Shared};
use super::dispatcher::Peer;
use super::frame_reader::FrameError;
use super::grpc::{GrpcService, serve_grpc};
use super::inbox::Inbox;
use super::limits::Place;
use super::peer_socket::{OpenSockets, PeerSocket};
use super::prefixed::Prefixed;

/// How many reads of a thread's connections wait for disks at once; others wait for them.
const DISK_READERS_MAX: usize = 16;

/// A connection on its way to its thread.
pub(crate) struct Accepted {
    pub(crate) socket: std::net::TcpStream,
    pub(crate) peer: Arc<Peer>,
    pub(crate) place: Place,
    pub(crate) grpc: Option<GrpcService>,
}

/// `num.network.threads` single-threaded runtimes; each owns its connections and runs their requests.
pub(crate) struct NetworkThreads {
    shared: Shared,
    threads: Mutex<Vec<NetworkThread>>,
    next: AtomicUsize,
}

struct NetworkThread {
    index: usize,
    inbox: Arc<Inbox>,
    sockets: Arc<OpenSockets>,
    thread: JoinHandle<()>,
}

impl NetworkThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no more threads or no event queue.
    pub(crate) fn start(shared: &Shared) -> io::Result<NetworkThreads> {
        let count = shared.config.num_network_threads.max(1);
        let threads = (0..count).map(|index| NetworkThread::start(index, shared)).collect::<io::Result<_>>()?;
        Ok(NetworkThreads { shared: shared.clone(), threads: Mutex::new(threads), next: AtomicUsize::new(0) })
    }

    /// Gives a connection to the next thread; `false` once the threads are stopping.
    pub(crate) fn assign(&self, accepted: Accepted) -> bool {
        let threads = self.threads.lock();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        match threads.len() {
            0 => false,
            count => threads[turn % count].inbox.put(accepted).is_ok(),
        }
    }

    /// Puts others in the place of threads that do not get on within `patience`, each held up by a request that does not
    /// return. Their connections are ended, so that the clients come back, to a thread that serves them, instead of
    /// waiting for their own timeouts. Such a thread ends when it can.
    pub(crate) async fn replace_stuck(&self, patience: Duration) {
        let questions: Vec<(usize, Arc<Inbox>, _)> = {
            let threads = self.threads.lock();
            threads.iter().map(|thread| (thread.index, Arc::clone(&thread.inbox), thread.inbox.ask())).collect()
        };
        let deadline = tokio::time::Instant::now() + patience;
        for (index, inbox, answered) in questions {
            if tokio::time::timeout_at(deadline, answered).await.is_err() {
                self.replace(index, &inbox);
            }
        }
    }

    fn replace(&self, index: usize, stuck: &Arc<Inbox>) {
        let mut threads = self.threads.lock();
        let Some(place) = threads.iter_mut().find(|thread| Arc::ptr_eq(&thread.inbox, stuck)) else { return };
        let fresh = match NetworkThread::start(index, &self.shared) {
            Ok(fresh) => fresh,
            Err(error) => {
                return tracing::error!("network thread {index} stands still and cannot be replaced: {error}");
            }
        };
        let old = std::mem::replace(place, fresh);
        for accepted in old.inbox.close() {
            // It is dropped where the new thread is stopping already.
            let _ = place.inbox.put(accepted);
        }
        drop(threads);
        let connections = old.sockets.hang_up();
        tracing::warn!(
            connections,
            "network thread {index} stands still: another takes its place, its clients come back"
        );
    }

    /// Ends every connection and the threads. Blocks until they are gone, but for those that were replaced.
    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in &threads {
            drop(thread.inbox.close());
        }
        for thread in threads {
            if thread.thread.join().is_err() {
                tracing::error!("a network thread ended by a panic");
            }
        }
    }
}

impl NetworkThread {
    fn start(index: usize, shared: &Shared) -> io::Result<NetworkThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(DISK_READERS_MAX)
            .thread_name("disk-reader")
            .build()?;
        let (inbox, sockets) = (Arc::new(Inbox::default()), Arc::new(OpenSockets::default()));
        let serving = serve_arrivals(Arc::clone(&inbox), Arc::clone(&sockets), shared.clone());
        let run = move || LocalSet::new().block_on(&runtime, serving);
        let thread = std::thread::Builder::new().name(format!("network-{index}")).spawn(run)?;
        Ok(NetworkThread { index, inbox, sockets, thread })
    }
}

/// Runs until the inbox is closed; the connections end with it.
async fn serve_arrivals(inbox: Arc<Inbox>, sockets: Arc<OpenSockets>, shared: Shared) {
    while let Some(accepted) = inbox.next().await {
        tokio::task::spawn_local(serve(accepted, sockets.clone(), shared.clone()));
    }
}

async fn serve(accepted: Accepted, sockets: Arc<OpenSockets>, shared: Shared) {
    let Accepted { socket, peer, place, grpc } = accepted;
    let socket = match TcpStream::from_std(socket) {
        Ok(socket) => PeerSocket::new(socket, &sockets),
        Err(error) => {
            tracing::warn!(client = %peer.address, "a connection cannot be served: {error}");
            return;
        }
    };
    tracing::debug!(client = %peer.address, listener = %peer.listener, "connected");
    let admission = Admission { takes_http2: grpc.is_some(), brokers_only: place.is_for_brokers() };
    let (end, socket, rest) = Connection::new(socket, peer.clone(), shared, admission).serve().await;
    match (end, grpc) {
        (End::Frame(FrameError::Http2Preface), Some(grpc)) => {
            if let Err(error) = serve_grpc(Prefixed::new(rest, socket), grpc).await {
                tracing::debug!(peer = %peer.address, "a gRPC connection ended: {error}");
            }
        }
        (End::Client | End::Io(_), _) => tracing::debug!(client = %peer.address, "disconnected"),
        (end @ (End::Idle(_) | End::FirstRequest(_)), _) => tracing::debug!(client = %peer.address, "closed: {end}"),
        (end, _) => tracing::info!(client = %peer.address, listener = %peer.listener, "closed a connection: {end}"),
    }
    drop(place);
}
