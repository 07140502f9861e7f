//! Strangers at the controllers' listeners.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use raftsman_controller::DoorConfig;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::brokers::{create_topic, register, session};
use crate::cluster::{LIMIT, Quorum};

/// An address that no test's node has.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 255, 0, 9));

async fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Waits until the other side has hung up.
async fn until_the_end(mut socket: TcpStream) {
    while socket.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
}

/// Connects until the other side begins HTTP/2, as it does with everybody who may stay.
async fn until_let_in(from: IpAddr, to: SocketAddr) {
    let trying = async { while !connect(from, to).await.read(&mut [0; 1]).await.is_ok_and(|count| count > 0) {} };
    timeout(LIMIT, trying).await.unwrap_or_else(|_| panic!("{from} is not let in"));
}

/// Connects until the stranger has `places` and is hung up on whenever it comes again. What is answered holds the places.
async fn fill(to: SocketAddr, places: usize) -> JoinSet<()> {
    const TOO_MANY: usize = 5;
    let mut connections = JoinSet::new();
    for _ in 0..places + TOO_MANY {
        connections.spawn(until_the_end(connect(STRANGER, to).await));
    }
    for _ in 0..TOO_MANY {
        timeout(LIMIT, connections.join_next()).await.expect("more than its places end at once");
    }
    assert!(connections.try_join_next().is_none(), "{} connections are left of {places}", connections.len());
    connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_fill_the_listeners_and_the_quorum_and_a_broker_go_on() {
    let mut quorum = Quorum::of(3);
    // Strangers stay as long as they like here: it is their number that is limited.
    quorum.door = DoorConfig { max_connections: 64, handshake_timeout: Duration::from_secs(3600) };
    let mut strangers = Vec::new();
    for index in 0..3 {
        quorum.start(index);
        let node = &quorum.nodes[index];
        // Half of what is for all.
        strangers.push(fill(format!("{}:{}", node.host, node.port).parse().unwrap(), 24).await);
    }
    let active = quorum.until_whole().await;
    let mut client = quorum.nodes[active].client().await;
    let epoch = register(&mut client, 1).await;
    let mut broker = session(&mut client, 1, epoch).await;
    broker.until_unfenced().await;
    create_topic(&mut client, 1, epoch, "during").await;

    // Another leader is found, which takes redials and new connections, and brokers find it.
    quorum.nodes[active].stop();
    let next = quorum.active().await;
    let mut client = quorum.nodes[next].client().await;
    let epoch = register(&mut client, 2).await;
    let mut broker = session(&mut client, 2, epoch).await;
    broker.until_unfenced().await;
    create_topic(&mut client, 2, epoch, "after").await;
    let mut running = strangers.iter_mut().enumerate().filter(|(index, _)| *index != active);
    assert!(running.all(|(_, held)| held.try_join_next().is_none()), "the strangers were there all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_has_room_for_the_addresses_of_voters_and_registered_brokers() {
    let mut quorum = Quorum::of(1);
    quorum.door = DoorConfig { max_connections: 16, handshake_timeout: Duration::from_secs(3600) };
    quorum.start(0);
    quorum.until_whole().await;
    let node = &quorum.nodes[0];
    let to: SocketAddr = format!("{}:{}", node.host, node.port).parse().unwrap();
    // Its listener is at 127.0.0.1. The client keeps a place that is for all.
    let mut client = node.client().await;
    register(&mut client, 1).await;

    let mut strangers = JoinSet::new();
    for last in 1..=40 {
        strangers.spawn(until_the_end(connect([127, 255, 1, last].into(), to).await));
    }
    for _ in 0..28 {
        timeout(LIMIT, strangers.join_next()).await.expect("no more than 12 places are for all");
    }
    until_let_in(Ipv4Addr::LOCALHOST.into(), to).await;
    until_let_in(node.host.parse().unwrap(), to).await;
}
