use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use super::door::Place;

/// HTTP/2's preface and the header of the SETTINGS frame that follows it. Who has sent these is sent pings, and hung up on when it
/// does not answer.
const BEGINNING_BYTES: usize = 24 + 9;

/// An accepted connection. It keeps its place until it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    /// Until HTTP/2 has begun.
    beginning: Option<Beginning>,
    _place: Place,
}

/// A peer that has not yet shown that it speaks HTTP/2.
struct Beginning {
    missing_bytes: usize,
    until: Pin<Box<Sleep>>,
}

impl Connection {
    /// A connection whose peer begins HTTP/2 within `handshake_timeout`, or is hung up on.
    pub(super) fn new(stream: TcpStream, place: Place, handshake_timeout: Duration) -> Connection {
        let until = Box::pin(tokio::time::sleep(handshake_timeout));
        Connection { stream, beginning: Some(Beginning { missing_bytes: BEGINNING_BYTES, until }), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(beginning) = &mut self.beginning else { return read };
        if read.is_pending() {
            // Whoever waits for bytes is woken by the timer as well.
            ready!(beginning.until.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "HTTP/2 was not begun in time")));
        }
        beginning.missing_bytes = beginning.missing_bytes.saturating_sub(buf.filled().len() - before);
        if beginning.missing_bytes == 0 {
            self.beginning = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
