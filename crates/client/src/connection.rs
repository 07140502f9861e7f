use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use raftsman_protocol::messages::api_versions::ApiVersionsRequest;
use raftsman_protocol::{ApiKey, Frame, Request, RequestHeader, Str, decode_response, encode_request};
use raftsman_types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::{ClientError, ClientOptions};

/// Requests that may wait for their answers at a time.
const IN_FLIGHT: usize = 64;
/// No answer is longer: Kafka's own default limit for a request is 100 MiB.
const LONGEST_ANSWER: usize = 256 << 20;
/// The version of ApiVersions every server answers in the plain encoding.
const API_VERSIONS_VERSION: i16 = 2;

/// One connection to one server. Requests go out in the order of the calls and are answered in that order.
///
/// Two tasks own the halves of the socket, so dropping a call's future never leaves half a frame on the wire.
#[derive(Debug)]
pub struct Connection {
    address: String,
    client_id: Str,
    request_timeout: Duration,
    correlation: AtomicI32,
    outgoing: mpsc::Sender<Outgoing>,
    versions: HashMap<i16, (i16, i16)>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Outgoing {
    frame: Frame,
    reply: Option<oneshot::Sender<Bytes>>,
}

impl Connection {
    /// Connects and asks which versions the server serves.
    ///
    /// # Errors
    /// The address does not resolve, nobody listens there, or it is no Kafka server.
    pub async fn open(host: &str, port: u16, options: &ClientOptions) -> Result<Connection, ClientError> {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let broken = |cause: String| ClientError::Connection { address: address.clone(), cause };
        let connect = async {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = tokio::time::timeout(options.connect_timeout, connect)
            .await
            .map_err(|_| broken(format!("no connection within {} ms", options.connect_timeout.as_millis())))?
            .map_err(|error| broken(error.to_string()))?;
        let (reader, writer) = stream.into_split();
        let (outgoing, to_write) = mpsc::channel(IN_FLIGHT);
        let (expected, to_read) = mpsc::channel(IN_FLIGHT);
        let tasks = [tokio::spawn(write_all(writer, to_write, expected)), tokio::spawn(read_all(reader, to_read))];
        let mut connection = Connection {
            address: address.clone(),
            client_id: Str::copy_from(&options.client_id),
            request_timeout: options.request_timeout,
            correlation: AtomicI32::new(0),
            outgoing,
            versions: HashMap::new(),
            tasks,
        };
        connection.versions = connection.ask_versions(options.connect_timeout).await?;
        Ok(connection)
    }

    async fn ask_versions(&self, timeout: Duration) -> Result<HashMap<i16, (i16, i16)>, ClientError> {
        let answer = self.request_within(&ApiVersionsRequest::default(), API_VERSIONS_VERSION, timeout).await?;
        if answer.error_code != 0 {
            return Err(ClientError::server(answer.error_code, None, || format!("ApiVersions to {}", self.address)));
        }
        Ok(answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect())
    }

    /// The other end, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the connection broke; calls on it fail from then on.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed() || self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// The highest version of a request that both ends speak and that is not above `highest`.
    ///
    /// # Errors
    /// There is none.
    pub fn version_of<R: Request>(&self, highest: i16) -> Result<i16, ClientError> {
        let unsupported = || ClientError::Unsupported { address: self.address.clone(), api: R::KEY.name() };
        let (min, max) = self.versions.get(&R::KEY.code()).copied().ok_or_else(unsupported)?;
        let version = max.min(highest).min(*R::VERSIONS.end());
        if version >= min && R::VERSIONS.contains(&version) { Ok(version) } else { Err(unsupported()) }
    }

    /// Whether the server serves an API at all.
    pub fn serves(&self, key: ApiKey) -> bool {
        self.versions.contains_key(&key.code())
    }

    /// Asks and waits for the answer, in the highest version both speak up to `highest`.
    ///
    /// # Errors
    /// The connection broke (whether the server acted on the request is unknown then), or the answer is unreadable.
    pub async fn request<R: Request>(&self, request: &R, highest: i16) -> Result<R::Response, ClientError> {
        self.request_within(request, self.version_of::<R>(highest)?, self.request_timeout).await
    }

    /// As [`request`](Connection::request), with a time limit of its own for answers that are meant to take long.
    ///
    /// # Errors
    /// As [`request`](Connection::request).
    pub async fn request_slow<R: Request>(
        &self,
        request: &R,
        highest: i16,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.request_within(request, self.version_of::<R>(highest)?, timeout).await
    }

    async fn request_within<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let expected = self.send(request, version, Some(reply)).await?;
            let frame = answer.await.map_err(|_| self.broken("closed by the other end before it answered"))?;
            let (correlation, response) = decode_response::<R>(frame, version)?;
            if correlation != expected {
                self.close();
                return Err(self.broken("an answer out of order"));
            }
            Ok(response)
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(done) => done,
            Err(_) => {
                // Answers come in order: one that does not come blocks all after it.
                self.close();
                Err(self.broken(&format!("no answer to {} within {} ms", R::KEY.name(), timeout.as_millis())))
            }
        }
    }

    /// Sends a request that the server does not answer (Produce with acks=0).
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send_unanswered<R: Request>(&self, request: &R, highest: i16) -> Result<(), ClientError> {
        self.send(request, self.version_of::<R>(highest)?, None).await.map(|_| ())
    }

    async fn send<R: Request>(
        &self,
        request: &R,
        version: i16,
        reply: Option<oneshot::Sender<Bytes>>,
    ) -> Result<i32, ClientError> {
        let correlation_id = self.correlation.fetch_add(1, Ordering::Relaxed);
        let header = RequestHeader {
            api_key: R::KEY.code(),
            api_version: version,
            correlation_id,
            client_id: Some(self.client_id.clone()),
        };
        let frame = encode_request(&header, request)?;
        self.outgoing.send(Outgoing { frame, reply }).await.map_err(|_| self.broken("closed"))?;
        Ok(correlation_id)
    }

    fn broken(&self, cause: &str) -> ClientError {
        ClientError::Connection { address: self.address.clone(), cause: cause.to_owned() }
    }

    fn close(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Writes frames until a write fails or nobody is left to send any.
async fn write_all(
    mut socket: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Outgoing>,
    expected: mpsc::Sender<oneshot::Sender<Bytes>>,
) {
    while let Some(Outgoing { frame, reply }) = frames.recv().await {
        if let Some(reply) = reply
            && expected.send(reply).await.is_err()
        {
            return;
        }
        let mut chunks = frame.into_chunks();
        // Small requests are one segment; big ones are mostly one chunk of records.
        if chunks.len() > 1 && chunks.iter().map(Bytes::len).sum::<usize>() < 16 << 10 {
            chunks = vec![Bytes::from(chunks.concat())];
        }
        for chunk in chunks {
            if socket.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}

/// Reads answers, each for the caller whose turn it is. Callers still waiting learn of the end when their sender drops.
async fn read_all(mut socket: OwnedReadHalf, mut expected: mpsc::Receiver<oneshot::Sender<Bytes>>) {
    let mut buffer = BytesMut::new();
    loop {
        let Ok(frame) = read_frame(&mut socket, &mut buffer).await else { return };
        // An answer nobody asked for: not a server to go on with.
        let Ok(reply) = expected.try_recv() else { return };
        // A caller that gave up is fine: its answer is dropped.
        let _ = reply.send(frame);
    }
}

async fn read_frame(socket: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<Bytes> {
    while buffer.len() < 4 {
        read_more(socket, buffer).await?;
    }
    let length = usize::try_from(buffer.get_i32()).unwrap_or(usize::MAX);
    if length > LONGEST_ANSWER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
    }
    // The buffer grows with what arrives, never by the length alone.
    while buffer.len() < length {
        read_more(socket, buffer).await?;
    }
    Ok(buffer.split_to(length).freeze())
}

async fn read_more(socket: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(16 << 10);
    match socket.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Fails unless the code is 0.
pub(crate) fn check(code: i16, message: Option<&str>, what: impl FnOnce() -> String) -> Result<(), ClientError> {
    if code == ErrorCode::None.code() { Ok(()) } else { Err(ClientError::server(code, message, what)) }
}
