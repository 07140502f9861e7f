use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::connection::{Admission, Connection, End, Shared};
use super::dispatcher::Peer;
use super::frame_reader::FrameError;
use super::grpc::{GrpcService, serve_grpc};
use super::limits::Place;
use super::prefixed::Prefixed;

/// Accepted connections that one thread may have waiting.
const BACKLOG: usize = 128;

/// A connection on its way to its thread.
pub(crate) struct Accepted {
    pub(crate) socket: std::net::TcpStream,
    pub(crate) peer: Arc<Peer>,
    pub(crate) place: Place,
    pub(crate) grpc: Option<GrpcService>,
}

/// `num.network.threads` single-threaded runtimes; each owns its connections and runs their requests.
pub(crate) struct NetworkThreads {
    inboxes: Mutex<Vec<mpsc::Sender<Accepted>>>,
    next: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl NetworkThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no more threads or no event queue.
    pub(crate) fn start(shared: &Shared) -> io::Result<NetworkThreads> {
        let (mut inboxes, mut threads) = (Vec::new(), Vec::new());
        for index in 0..shared.config.num_network_threads.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (inbox, arrivals) = mpsc::channel(BACKLOG);
            let shared = shared.clone();
            let run = move || LocalSet::new().block_on(&runtime, serve_arrivals(arrivals, shared));
            threads.push(std::thread::Builder::new().name(format!("network-{index}")).spawn(run)?);
            inboxes.push(inbox);
        }
        Ok(NetworkThreads { inboxes: Mutex::new(inboxes), next: AtomicUsize::new(0), threads: Mutex::new(threads) })
    }

    /// Gives a connection to the next thread; `false` once the threads are stopping.
    pub(crate) async fn assign(&self, accepted: Accepted) -> bool {
        let inbox = {
            let inboxes = self.inboxes.lock();
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            match inboxes.len() {
                0 => return false,
                count => inboxes[turn % count].clone(),
            }
        };
        inbox.send(accepted).await.is_ok()
    }

    /// Ends every connection and the threads. Blocks until they are gone.
    pub(crate) fn stop(&self) {
        self.inboxes.lock().clear();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a network thread ended by a panic");
            }
        }
    }
}

/// Runs until the inbox is closed; the connections end with it.
async fn serve_arrivals(mut arrivals: mpsc::Receiver<Accepted>, shared: Shared) {
    while let Some(accepted) = arrivals.recv().await {
        tokio::task::spawn_local(serve(accepted, shared.clone()));
    }
}

async fn serve(accepted: Accepted, shared: Shared) {
    let Accepted { socket, peer, place, grpc } = accepted;
    let socket = match TcpStream::from_std(socket) {
        Ok(socket) => socket,
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
