//! What strangers may not do to others, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tower::util::BoxCloneSyncService;

use super::tests::{Net, config, eventually, is_closed, request, response, serve, serve_with};
use crate::config::NetworkConfig;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame, which an HTTP/2 client begins with and a server, too.
const SETTINGS: &[u8; 9] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn is_served(socket: &mut TcpStream, id: u8) -> bool {
    socket.write_all(&request(b'e', id)).is_ok() && response_or_end(socket).is_some_and(|body| body[1] == id)
}

fn response_or_end(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut body = vec![0; i32::from_be_bytes(length) as usize];
    socket.read_exact(&mut body).ok()?;
    Some(body)
}

fn with_grpc(config: NetworkConfig) -> Net {
    let service = tower::service_fn(async |_| Ok(hyper::Response::new(tonic::body::Body::empty())));
    serve_with(config, Some(BoxCloneSyncService::new(service)))
}

/// Begins HTTP/2 and answers whether the other side does.
fn speaks_http2(socket: &mut TcpStream) -> bool {
    let mut frame = [0; 9];
    socket.write_all(&[&PREFACE[..], SETTINGS].concat()).is_ok()
        && socket.read_exact(&mut frame).is_ok()
        && frame[3] == SETTINGS[3]
}

#[test]
fn a_first_request_that_dribbles_in_ends_the_connection() {
    let net = serve(NetworkConfig { first_request_timeout: Duration::from_millis(200), ..config() });
    let mut slow = net.connect();
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let bytes = request(b'e', 1);
    let began = Instant::now();
    // A byte now and then earns nothing; the last one is never sent.
    let mut rest = bytes[..bytes.len() - 1].iter();
    loop {
        if let Some(byte) = rest.next() {
            let _ = slow.write_all(&[*byte]);
        }
        match slow.read(&mut [0]) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            other => assert!(began.elapsed() < Duration::from_secs(60), "still open: {other:?}"),
        }
    }
    assert!(is_served(&mut net.connect(), 2));
}

#[test]
fn who_says_nothing_may_stay_until_places_are_scarce() {
    let first_request_timeout = Duration::from_millis(50);
    let net = serve(NetworkConfig { first_request_timeout, max_connections: 8, ..config() });
    let mut silent = net.connect();
    // Somebody who began later is hung up on: the time is over for the silent one, too, who is served all the same.
    let mut begun = net.connect();
    begun.write_all(&request(b'e', 1)[..3]).unwrap();
    assert!(is_closed(&mut begun));
    assert!(is_served(&mut silent, 2));

    // Six of eight places are taken: some have to go, until enough are free again.
    let others: Vec<TcpStream> = (0..5).map(|_| net.connect()).collect();
    others.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    let has_ended = |socket: &TcpStream| match socket.peek(&mut [0]) {
        Ok(0) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        Ok(_) => false,
    };
    eventually("who says nothing goes", || others.iter().any(has_ended));
    assert!(is_served(&mut silent, 3), "who has spoken stays");
}

#[test]
fn who_begins_http2_and_stops_is_hung_up_on() {
    let net = with_grpc(NetworkConfig { first_request_timeout: Duration::from_millis(50), ..config() });
    for begun in [4, 23] {
        let mut socket = net.connect();
        socket.write_all(&PREFACE[..begun]).unwrap();
        assert!(is_closed(&mut socket), "{begun} bytes");
    }
    let net = with_grpc(config());
    assert!(speaks_http2(&mut net.connect()));
}

#[test]
fn a_full_house_still_lets_brokers_in_and_no_client() {
    let net = with_grpc(NetworkConfig { max_connections: 2, ..config() });
    let mut clients: Vec<TcpStream> = (0..2).map(|_| net.connect()).collect();
    for (id, socket) in clients.iter_mut().enumerate() {
        assert!(is_served(socket, id as u8));
    }
    let mut third = net.connect();
    third.write_all(&request(b'e', 3)).unwrap();
    assert!(is_closed(&mut third), "a client beyond max.connections");
    let mut broker = net.connect();
    assert!(speaks_http2(&mut broker), "a broker beyond max.connections");
    assert!(is_served(&mut clients[0], 4));
    drop(clients.pop());
    eventually("there is room for a client again", || is_served(&mut net.connect(), 5));
}

#[test]
fn an_address_with_too_many_clients_may_still_be_a_brokers() {
    let net = with_grpc(NetworkConfig { max_connections_per_ip: 1, ..config() });
    let mut client = net.connect();
    assert!(is_served(&mut client, 1));
    let mut second = net.connect();
    second.write_all(&request(b'e', 2)).unwrap();
    assert!(is_closed(&mut second));
    assert!(speaks_http2(&mut net.connect()));
    assert!(is_served(&mut client, 3));
}

#[test]
fn an_override_says_otherwise_for_one_address() {
    let overrides = [("127.0.0.1".parse().unwrap(), 1)].into();
    let net = serve(NetworkConfig { max_connections_per_ip_overrides: overrides, ..config() });
    let mut first = net.connect();
    assert!(is_served(&mut first, 1));
    assert!(is_closed(&mut net.connect()));
    let generous = [("127.0.0.1".parse().unwrap(), 5)].into();
    let net =
        serve(NetworkConfig { max_connections_per_ip: 0, max_connections_per_ip_overrides: generous, ..config() });
    assert!(is_served(&mut net.connect(), 2));
}

#[test]
fn a_storm_of_connects_waits_and_nobody_is_refused() {
    let net = serve(NetworkConfig { max_connection_creation_rate: 20, ..config() });
    let began = Instant::now();
    let mut sockets: Vec<TcpStream> = (0..40).map(|_| net.connect()).collect();
    for (id, socket) in sockets.iter_mut().enumerate() {
        assert!(is_served(socket, id as u8));
    }
    // A second's worth at once, the others one by one: never faster, whatever the machine does.
    assert!(began.elapsed() >= Duration::from_millis(900), "40 connections in {:?}", began.elapsed());
}

#[test]
fn a_spent_budget_is_won_back_from_who_does_not_go_on() {
    let limits = NetworkConfig { queued_max_bytes: 8 << 20, frame_timeout: Duration::from_millis(600), ..config() };
    let net = serve(limits);
    let mut holders: Vec<TcpStream> = (0..3).map(|_| net.connect()).collect();
    for socket in &mut holders {
        socket.set_nonblocking(true).unwrap();
        socket.write_all(&(50i32 << 20).to_be_bytes()).unwrap();
    }
    // They send as much as is taken, and then nothing.
    eventually("the budget is spent", || {
        holders.iter().for_each(|mut socket| drop(socket.write(&[1; 64 << 10])));
        net.budget.is_spent()
    });
    // A large request of somebody else gets through, because those who hold the budget are hung up on.
    let mut good = net.connect();
    let mut large = (1i32 << 20).to_be_bytes().to_vec();
    large.extend([b'e', 9]);
    large.resize(4 + (1 << 20), 0);
    good.write_all(&large).unwrap();
    assert_eq!(response(&mut good)[..2], [b'e', 9]);
}
