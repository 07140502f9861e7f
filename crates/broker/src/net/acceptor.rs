use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::creation_rate::CreationRate;
use super::dispatcher::Peer;
use super::grpc::GrpcService;
use super::limits::ConnectionLimits;
use super::network_threads::{Accepted, NetworkThreads};

/// Who a client is without authentication.
const ANONYMOUS: &str = "User:ANONYMOUS";
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// Between two lines of the log on the same trouble.
const QUIET: Duration = Duration::from_secs(5);
/// A peer that is gone without a word is noticed after about a minute and a half.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_RETRIES: u32 = 3;
/// Errors of accept(2) that mean: no more open files, of this process or of the whole system (EMFILE, ENFILE).
const NO_MORE_FILES: [i32; 2] = [24, 23];

/// Accepts the connections of one listener and hands them to the network threads.
pub(crate) struct Acceptor {
    pub(crate) name: Arc<str>,
    pub(crate) listener: TcpListener,
    /// Set on the inter-broker listener alone: what it serves besides Kafka's protocol.
    pub(crate) grpc: Option<GrpcService>,
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) rate: Arc<CreationRate>,
    pub(crate) threads: Arc<NetworkThreads>,
}

impl Acceptor {
    /// Accepts until the network threads are gone or the task is dropped.
    pub(crate) async fn accept_all(self) {
        let principal: Arc<str> = ANONYMOUS.into();
        let mut trouble = Trouble::new();
        let mut spare = SpareFile::new();
        let with_brokers = self.grpc.is_some();
        loop {
            let Some(room) = self.limits.room(with_brokers).await else { return };
            self.rate.turn().await;
            let (socket, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if trouble.lasts() && error.raw_os_error().is_some_and(|code| NO_MORE_FILES.contains(&code)) {
                        spare.turn_one_away(&self.listener);
                    }
                    trouble.wait_out(&self.name, &error).await;
                    continue;
                }
            };
            trouble.over();
            let Some(place) = self.limits.admit(address.ip(), room, with_brokers) else {
                trouble.say(
                    || tracing::info!(%address, listener = %self.name, "refused: max.connections.per.ip is reached"),
                );
                continue;
            };
            let socket = match configure(socket) {
                Ok(socket) => socket,
                // The client is gone again already.
                Err(error) => {
                    tracing::debug!(%address, "a connection ended at once: {error}");
                    continue;
                }
            };
            let peer = Arc::new(Peer {
                listener: self.name.clone(),
                principal: principal.clone(),
                address,
                connected_at: std::time::Instant::now(),
            });
            if !self.threads.assign(Accepted { socket, peer, place, grpc: self.grpc.clone() }) {
                return;
            }
        }
    }
}

/// Small answers must not wait for more, and a peer that vanished must be noticed.
fn configure(socket: TcpStream) -> io::Result<std::net::TcpStream> {
    socket.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_AFTER)
        .with_interval(KEEP_ALIVE_EVERY)
        .with_retries(KEEP_ALIVE_RETRIES);
    SockRef::from(&socket).set_tcp_keepalive(&keep_alive)?;
    socket.into_std()
}

/// A file kept open for the moment when no other can be opened: closed, it makes room to accept a client and hang up.
/// So a client goes on to another broker instead of waiting for its own timeout.
struct SpareFile(Option<std::fs::File>);

impl SpareFile {
    fn new() -> SpareFile {
        SpareFile(std::fs::File::open("/dev/null").ok())
    }

    fn turn_one_away(&mut self, listener: &TcpListener) {
        self.0 = None;
        // Whoever it was, and whether or not there was somebody: the connection ends here.
        drop(SockRef::from(listener).accept());
        *self = SpareFile::new();
    }
}

/// Keeps an acceptor from spinning, and the log from flooding, while connections cannot be accepted.
struct Trouble {
    backoff: Duration,
    said: Option<Instant>,
}

impl Trouble {
    fn new() -> Trouble {
        Trouble { backoff: FIRST_BACKOFF, said: None }
    }

    /// Whether it is no matter of a moment any more.
    fn lasts(&self) -> bool {
        self.backoff >= LONGEST_BACKOFF
    }

    fn over(&mut self) {
        self.backoff = FIRST_BACKOFF;
    }

    fn say(&mut self, line: impl FnOnce()) {
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            self.said = Some(Instant::now());
            line();
        }
    }

    async fn wait_out(&mut self, listener: &str, error: &io::Error) {
        // The client was gone before its connection was taken: the next one is another's.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        self.say(|| {
            tracing::error!(listener, "cannot accept connections: {error}; is the limit of open files too low?")
        });
        tokio::time::sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
    }
}
