//! Connections end to end over real sockets, with a dispatcher that does what a frame's first bytes say.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use raftsman_protocol::{Frame, Writer};
use tokio::sync::Notify;

use super::*;
use crate::api::Close;
use crate::config::NetworkConfig;

/// What the test dispatcher saw and waits for.
#[derive(Default)]
struct Log {
    begun: Mutex<Vec<u8>>,
    completed: Mutex<Vec<u8>>,
    release: Notify,
    released: Mutex<bool>,
}

/// A frame is `[kind, id, ...]` padded to 8 bytes: `e`cho, `w`ait (overlapping) until released, `s`ilent, `c`lose,
/// `b`ig answer, `h`old the thread until released.
struct TestDispatcher {
    log: Arc<Log>,
}

fn frame_of(body: &[u8]) -> Frame {
    let mut w = Writer::new();
    for byte in body {
        w.i8(*byte as i8);
    }
    w.finish()
}

impl Dispatcher for TestDispatcher {
    fn dispatch(&self, _peer: &Arc<Peer>, frame: Bytes) -> Result<Dispatched, Close> {
        let (kind, id, log) = (frame[0], frame[1], self.log.clone());
        if kind == b'x' {
            return Err(Close::because("refused by the test"));
        }
        let answer = async move {
            log.begun.lock().push(id);
            if kind == b'w' {
                while !*log.released.lock() {
                    let released = log.release.notified();
                    if *log.released.lock() {
                        break;
                    }
                    released.await;
                }
            }
            while kind == b'h' && !*log.released.lock() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            log.completed.lock().push(id);
            match kind {
                b's' => Ok(None),
                b'c' => Err(Close::because("closed by the test")),
                b'b' => Ok(Some(frame_of(&vec![id; 1 << 20]))),
                _ => Ok(Some(frame_of(&frame))),
            }
        };
        Ok(Dispatched { answer: Box::pin(answer), overlaps: kind == b'w' })
    }
}

pub(super) struct Net {
    log: Arc<Log>,
    pub(super) address: SocketAddr,
    pub(super) budget: Arc<ByteBudget>,
    threads: Arc<NetworkThreads>,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Net {
    fn drop(&mut self) {
        self.threads.stop();
    }
}

pub(super) fn serve(config: NetworkConfig) -> Net {
    serve_with(config, None)
}

pub(super) fn serve_with(config: NetworkConfig, grpc: Option<GrpcService>) -> Net {
    let log = Arc::new(Log::default());
    let budget = ByteBudget::new(config.queued_max_bytes);
    let limits = Arc::new(ConnectionLimits::new(&config));
    let rate = Arc::new(CreationRate::new(config.max_connection_creation_rate));
    let dispatcher = Arc::new(TestDispatcher { log: log.clone() });
    let shared = Shared { dispatcher, config: Arc::new(config), budget: budget.clone(), limits: limits.clone() };
    let threads = Arc::new(NetworkThreads::start(&shared).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = Acceptor { name: "TEST".into(), listener, grpc, limits, rate, threads: threads.clone() };
    runtime.spawn(acceptor.accept_all());
    Net { log, address, budget, threads, runtime }
}

pub(super) fn config() -> NetworkConfig {
    NetworkConfig { num_network_threads: 2, ..NetworkConfig::default() }
}

impl Net {
    pub(super) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }

    fn release(&self) {
        *self.log.released.lock() = true;
        self.log.release.notify_waiters();
    }
}

pub(super) fn request(kind: u8, id: u8) -> Vec<u8> {
    [&8i32.to_be_bytes()[..], &[kind, id, 0, 0, 0, 0, 0, 0]].concat()
}

pub(super) fn response(socket: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut body = vec![0; i32::from_be_bytes(length) as usize];
    socket.read_exact(&mut body).unwrap();
    body
}

pub(super) fn is_closed(socket: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    match socket.read(&mut byte) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Waits for a condition; the deadline only ends a test that has failed.
pub(super) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn answers_come_in_the_order_of_requests() {
    let net = serve(config());
    let mut socket = net.connect();
    let requests: Vec<u8> = (0..100).flat_map(|id| request(if id % 3 == 0 { b's' } else { b'e' }, id)).collect();
    socket.write_all(&requests).unwrap();
    for id in (0..100).filter(|id| id % 3 != 0) {
        assert_eq!(response(&mut socket)[..2], [b'e', id]);
    }
    assert_eq!(*net.log.begun.lock(), (0..100).collect::<Vec<u8>>());
}

#[test]
fn a_thread_that_stands_still_is_replaced_and_its_clients_come_back() {
    let net = serve(NetworkConfig { num_network_threads: 1, ..config() });
    let (mut neighbour, mut holder) = (net.connect(), net.connect());
    neighbour.write_all(&request(b'e', 1)).unwrap();
    response(&mut neighbour);
    holder.write_all(&request(b'h', 2)).unwrap();
    eventually("the thread is held", || net.log.begun.lock().contains(&2));
    let mut latest = net.connect();
    latest.write_all(&request(b'e', 4)).unwrap();
    net.runtime.block_on(net.threads.replace_stuck(Duration::from_millis(50)));
    assert!(is_closed(&mut neighbour) && is_closed(&mut holder), "they hear that they have to come back");
    assert_eq!(response(&mut latest)[1], 4, "who waited for the thread is served by the new one");

    // One that gets on is left alone.
    net.runtime.block_on(net.threads.replace_stuck(Duration::from_secs(60)));
    latest.write_all(&request(b'e', 5)).unwrap();
    assert_eq!(response(&mut latest)[1], 5);
    net.release();
}

#[test]
fn produce_overlaps_produce_and_everything_else_waits() {
    let net = serve(config());
    let mut socket = net.connect();
    let requests = [request(b'w', 1), request(b'w', 2), request(b'w', 3), request(b'e', 4), request(b'w', 5)].concat();
    socket.write_all(&requests).unwrap();
    eventually("three waiting requests begin", || net.log.begun.lock().len() == 3);
    // A second connection that gets its answer shows that the first had its turn, and began no more.
    let mut other = net.connect();
    for id in 50..60 {
        other.write_all(&request(b'e', id)).unwrap();
        response(&mut other);
    }
    assert_eq!(net.log.begun.lock().iter().filter(|id| **id < 50).collect::<Vec<_>>(), [&1, &2, &3]);
    net.release();
    for id in 1..=5 {
        assert_eq!(response(&mut socket)[1], id);
    }
}

#[test]
fn a_connection_that_announces_much_costs_nothing() {
    let net = serve(NetworkConfig { queued_max_bytes: 64 << 20, ..config() });
    let mut sockets: Vec<TcpStream> = (0..300).map(|_| net.connect()).collect();
    for socket in &mut sockets {
        socket.write_all(&(90i32 << 20).to_be_bytes()).unwrap();
        socket.write_all(&[1; 1024]).unwrap();
    }
    // Others are served meanwhile.
    let mut socket = net.connect();
    for id in 0..50 {
        socket.write_all(&request(b'e', id)).unwrap();
        assert_eq!(response(&mut socket)[1], id);
    }
    assert!(net.budget.used() < 1 << 20, "{} bytes are charged", net.budget.used());
}

#[test]
fn hostile_lengths_end_the_connection() {
    let net = serve(NetworkConfig { socket_request_max_bytes: 1 << 20, ..config() });
    for prefix in [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 0], [0, 0, 0, 7], *b"GET ", *b"PRI ", [22, 3, 1, 2]] {
        let mut socket = net.connect();
        socket.write_all(&prefix).unwrap();
        assert!(is_closed(&mut socket), "{prefix:?}");
    }
}

#[test]
fn refusals_end_the_connection_after_what_came_before() {
    let net = serve(config());
    for kind in [b'x', b'c'] {
        let mut socket = net.connect();
        let requests = [request(b'e', 1), request(b's', 2), request(kind, 3), request(b'e', 4)].concat();
        socket.write_all(&requests).unwrap();
        assert_eq!(response(&mut socket)[1], 1, "kind {kind}");
        assert!(is_closed(&mut socket), "kind {kind}");
        assert!(!net.log.begun.lock().contains(&4), "what comes behind is not begun");
    }
}

#[test]
fn what_was_sent_before_a_client_hung_up_is_carried_out() {
    let net = serve(config());
    let mut socket = net.connect();
    let requests: Vec<u8> = (0..50).flat_map(|id| request(b's', id)).collect();
    socket.write_all(&requests).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert!(is_closed(&mut socket));
    assert_eq!(net.log.completed.lock().len(), 50);
}

#[test]
fn a_slow_reader_waits_for_itself() {
    let net = serve(config());
    let mut slow = net.connect();
    let requests: Vec<u8> = (0..60).flat_map(|id| request(b'b', id)).collect();
    slow.write_all(&requests).unwrap();
    eventually("some answers are made", || !net.log.completed.lock().is_empty());
    let mut other = net.connect();
    for id in 100..200 {
        other.write_all(&request(b'e', id)).unwrap();
        response(&mut other);
    }
    let made = net.log.completed.lock().iter().filter(|id| **id < 60).count();
    assert!(made < 60, "every answer was made for a client that reads none");
    assert!(net.budget.used() < 64 << 20);
    for id in 0..60 {
        let answer = response(&mut slow);
        assert_eq!((answer.len(), answer[0]), (1 << 20, id));
    }
    eventually("everything is given back", || net.budget.used() == 0);
}

#[test]
fn silence_ends_a_connection() {
    let first_request_timeout = Duration::from_millis(50);
    let net = serve(NetworkConfig { first_request_timeout, ..config() });
    let mut begun = net.connect();
    begun.write_all(&request(b'e', 1)[..3]).unwrap();
    assert!(is_closed(&mut begun), "a first request that stops");

    let net = serve(NetworkConfig { connections_max_idle: Duration::from_millis(50), ..config() });
    assert!(is_closed(&mut net.connect()), "nothing was ever sent");

    let net = serve(NetworkConfig { connections_max_idle: Duration::from_millis(50), ..config() });
    let mut idle = net.connect();
    idle.write_all(&request(b'e', 1)).unwrap();
    response(&mut idle);
    assert!(is_closed(&mut idle), "idle");

    let net = serve(NetworkConfig { frame_timeout: Duration::from_millis(50), ..config() });
    let mut half = net.connect();
    half.write_all(&request(b'e', 1)[..7]).unwrap();
    assert!(is_closed(&mut half), "half a frame");
}

#[test]
fn a_waiting_request_is_not_idleness() {
    let net = serve(NetworkConfig { connections_max_idle: Duration::from_millis(30), ..config() });
    let mut waiting = net.connect();
    waiting.write_all(&request(b'w', 1)).unwrap();
    eventually("it begins", || !net.log.begun.lock().is_empty());
    // Another connection goes idle and is closed: more than the idle time has passed.
    let mut idle = net.connect();
    idle.write_all(&request(b'e', 2)).unwrap();
    response(&mut idle);
    assert!(is_closed(&mut idle));
    net.release();
    assert_eq!(response(&mut waiting)[1], 1);
}

#[test]
fn one_address_gets_its_share_of_connections() {
    let net = serve(NetworkConfig { max_connections_per_ip: 2, ..config() });
    let mut served: Vec<TcpStream> = (0..2).map(|_| net.connect()).collect();
    for (id, socket) in served.iter_mut().enumerate() {
        socket.write_all(&request(b'e', id as u8)).unwrap();
        response(socket);
    }
    assert!(is_closed(&mut net.connect()));
    drop(served.pop());
    eventually("a place is free again", || {
        let mut socket = net.connect();
        socket.write_all(&request(b'e', 9)).is_ok() && !is_closed(&mut socket)
    });
}

#[test]
fn a_full_house_accepts_when_somebody_leaves() {
    let net = serve(NetworkConfig { max_connections: 1, ..config() });
    let mut first = net.connect();
    first.write_all(&request(b'e', 1)).unwrap();
    response(&mut first);
    let mut second = net.connect();
    second.write_all(&request(b'e', 2)).unwrap();
    drop(first);
    assert_eq!(response(&mut second)[1], 2);
}
