//! Kafka frames by hand, for what no client library would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection that gives up on a silent server.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker takes connections");
    stream.set_read_timeout(Some(SILENCE)).expect("a read timeout can be set");
    stream
}

/// A request with header version 1 and this body, its length in front.
pub fn frame(api_key: i16, api_version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let client_id = b"by-hand";
    let length = 2 + 2 + 4 + 2 + client_id.len() + body.len();
    let mut bytes = (length as i32).to_be_bytes().to_vec();
    bytes.extend(api_key.to_be_bytes());
    bytes.extend(api_version.to_be_bytes());
    bytes.extend(correlation_id.to_be_bytes());
    bytes.extend((client_id.len() as i16).to_be_bytes());
    bytes.extend(client_id);
    bytes.extend(body);
    bytes
}

/// One whole answer, without its length; `None` when the server hangs up instead.
pub fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// Whether the server ends the connection without a word.
pub fn hangs_up(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    match stream.read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Whether a well-behaved client is served: an ApiVersions request gets its answer.
pub fn serves_good_clients(address: SocketAddr) -> bool {
    const API_VERSIONS: i16 = 18;
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(SILENCE)).expect("a read timeout can be set");
    stream.write_all(&frame(API_VERSIONS, 0, 77, &[])).is_ok()
        && answer(&mut stream).is_some_and(|body| body.starts_with(&77i32.to_be_bytes()) && body.len() > 50)
}
