//! What strangers may not do to controllers and brokers, over real sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::door::Door;
use super::serve;
use crate::config::DoorConfig;
use crate::raft::{Dial, dial};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame, which an HTTP/2 client begins with and a server, too.
const SETTINGS: &[u8; 9] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING_FRAME: u8 = 6;
const PING: &[u8; 17] = &[0, 0, 8, PING_FRAME, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const VOTER: [u8; 4] = [127, 0, 0, 1];

/// Eight, two of which are for who is known. Who says nothing may stay.
fn few_places() -> DoorConfig {
    DoorConfig { max_connections: 8, handshake_timeout: Duration::from_secs(3600) }
}

/// A listener whose only known address is the voter's. It ends with the test's runtime.
async fn listen(config: DoorConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Arc::new(Door::new(&config));
    door.know([IpAddr::from(VOTER)]);
    tokio::spawn(serve(listener, door, tonic::service::Routes::default()));
    address
}

async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

fn is_end(read: &io::Result<usize>) -> bool {
    match read {
        Ok(count) => *count == 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
    }
}

/// Whether the other side has not hung up so far, after all that came.
fn is_open(socket: &TcpStream) -> bool {
    loop {
        let read = socket.try_read(&mut [0; 64]);
        match &read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            _ if is_end(&read) => return false,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads what comes until the other side hangs up.
async fn until_hung_up_on(socket: &mut TcpStream) {
    let reading = async { while !is_end(&socket.read(&mut [0; 64]).await) {} };
    timeout(LIMIT, reading).await.expect("the other side hangs up");
}

/// A peer that speaks HTTP/2 and answers pings, as long as the other side goes on.
struct Peer {
    writer: Arc<Mutex<OwnedWriteHalf>>,
    /// One for each ping that was answered.
    answers: mpsc::UnboundedReceiver<()>,
}

impl Peer {
    /// Begins HTTP/2; `None` if the other side does not go on with it.
    async fn begin(socket: TcpStream) -> Option<Peer> {
        let (mut reader, mut writer) = socket.into_split();
        let begun = async {
            writer.write_all(&[&PREFACE[..], SETTINGS].concat()).await?;
            frame(&mut reader).await
        };
        let (kind, ..) = timeout(LIMIT, begun).await.expect("an answer or an end").ok()?;
        assert_eq!(kind, SETTINGS[3]);
        let writer = Arc::new(Mutex::new(writer));
        let (sender, answers) = mpsc::unbounded_channel();
        tokio::spawn(answer_pings(reader, writer.clone(), sender));
        let mut peer = Peer { writer, answers };
        peer.is_served().await.then_some(peer)
    }

    /// Whether a ping is answered, on this connection and no other.
    async fn is_served(&mut self) -> bool {
        if self.writer.lock().await.write_all(PING).await.is_err() {
            return false;
        }
        timeout(LIMIT, self.answers.recv()).await.expect("an answer or an end").is_some()
    }
}

/// Type, flags and payload of the next frame.
async fn frame(reader: &mut OwnedReadHalf) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    reader.read_exact(&mut payload).await?;
    Ok((head[3], head[4], payload))
}

async fn answer_pings(
    mut reader: OwnedReadHalf,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    answered: mpsc::UnboundedSender<()>,
) {
    while let Ok((kind, flags, payload)) = frame(&mut reader).await {
        match (kind, flags) {
            (PING_FRAME, 1) => drop(answered.send(())),
            (PING_FRAME, _) => {
                let answer = [&[0, 0, 8, PING_FRAME, 1, 0, 0, 0, 0][..], &payload].concat();
                drop(writer.lock().await.write_all(&answer).await);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_says_nothing_or_stops_half_way_is_hung_up_on() {
    let address = listen(DoorConfig { handshake_timeout: Duration::from_millis(100), ..DoorConfig::default() }).await;
    let mut good = Peer::begin(connect(VOTER, address).await).await.expect("the house is empty");
    for begun in [0, 4, 23, 24, 32] {
        let mut socket = connect(VOTER, address).await;
        let whole = [&PREFACE[..], SETTINGS].concat();
        socket.write_all(&whole[..begun]).await.unwrap();
        until_hung_up_on(&mut socket).await;
    }
    // Its time is over as well, but it has begun.
    assert!(good.is_served().await);
}

#[tokio::test]
async fn dribbling_earns_nothing() {
    let address = listen(DoorConfig { handshake_timeout: Duration::from_millis(200), ..DoorConfig::default() }).await;
    let mut slow = connect(VOTER, address).await;
    let dribbling = async {
        // The last byte is never sent, so that only the time can end it.
        for byte in &PREFACE[..23] {
            let _ = slow.write_all(&[*byte]).await;
            if let Ok(read) = timeout(Duration::from_millis(20), slow.read(&mut [0; 64])).await
                && is_end(&read)
            {
                return;
            }
        }
        until_hung_up_on(&mut slow).await;
    };
    timeout(LIMIT, dribbling).await.expect("it is hung up on");
}

#[tokio::test]
async fn strangers_of_many_addresses_fill_the_house_and_a_voter_gets_in() {
    let address = listen(few_places()).await;
    let mut strangers = Vec::new();
    for last in 2..8 {
        strangers.push(connect([127, 0, 0, last], address).await);
    }
    until_hung_up_on(&mut connect([127, 0, 0, 8], address).await).await;
    let mut voter = Peer::begin(connect(VOTER, address).await).await.expect("a place is kept for voters");

    drop(strangers);
    let coming_again = async { while Peer::begin(connect([127, 0, 0, 8], address).await).await.is_none() {} };
    timeout(LIMIT, coming_again).await.expect("places come back");
    assert!(voter.is_served().await);
}

#[tokio::test]
async fn one_address_does_not_keep_the_others_out() {
    let address = listen(few_places()).await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(connect([127, 0, 0, 2], address).await);
    }
    until_hung_up_on(&mut connect([127, 0, 0, 2], address).await).await;
    // A broker whose address nobody can know yet.
    let mut broker = Peer::begin(connect([127, 0, 0, 3], address).await).await.expect("its address has places");
    assert!(broker.is_served().await);
    assert!(strangers.iter().all(is_open), "who is in stays in");
}

/// Else it would be deposed for having many friends.
#[tokio::test]
async fn a_controller_without_a_place_is_not_taken_for_dead() {
    let address = listen(few_places()).await;
    let mut friends = Vec::new();
    // A known address gets all but an eighth.
    for _ in 0..7 {
        friends.push(connect(VOTER, address).await);
    }
    until_hung_up_on(&mut connect(VOTER, address).await).await;
    assert_eq!(dial("127.0.0.1", address.port(), LIMIT).await, Dial::Answered);
    assert!(friends.iter().all(is_open), "who is in stays in");
}
