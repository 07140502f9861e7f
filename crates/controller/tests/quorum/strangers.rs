//! Strangers at the controllers' listeners.

use std::net::SocketAddr;
use std::time::Duration;

use raftsman_controller::DoorConfig;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::brokers::{create_topic, register, session};
use crate::cluster::{LIMIT, Quorum};

/// An address that no test's node has.
const STRANGER: [u8; 4] = [127, 255, 0, 9];

async fn connect(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((STRANGER, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Connects until the stranger has `places` and is hung up on whenever it comes again. What is answered holds the places.
async fn fill(to: SocketAddr, places: usize) -> JoinSet<()> {
    const TOO_MANY: usize = 5;
    let mut connections = JoinSet::new();
    for _ in 0..places + TOO_MANY {
        let mut socket = connect(to).await;
        // It ends with the connection.
        connections.spawn(async move { while socket.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} });
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
    session(&mut client, 2, epoch).await.until_unfenced().await;
    create_topic(&mut client, 2, epoch, "after").await;
    let mut running = strangers.iter_mut().enumerate().filter(|(index, _)| *index != active);
    assert!(running.all(|(_, held)| held.try_join_next().is_none()), "the strangers were there all the time");
}
