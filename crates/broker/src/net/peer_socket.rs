use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The open sockets of one network thread, for whoever has to end them from outside.
#[derive(Default)]
pub(crate) struct OpenSockets {
    sockets: Mutex<HashSet<RawFd>>,
}

impl OpenSockets {
    /// Ends all connections: their clients hear of it at once, though their thread hears of nothing.
    pub(crate) fn hang_up(&self) -> usize {
        let sockets = self.sockets.lock();
        for descriptor in sockets.iter() {
            // SAFETY: a socket is noted here for as long as it is open: it is taken out, under this lock, before it is closed.
            #[expect(unsafe_code, reason = "the descriptor belongs to a thread that stands still")]
            let socket = unsafe { BorrowedFd::borrow_raw(*descriptor) };
            if let Err(error) = SockRef::from(&socket).shutdown(std::net::Shutdown::Both) {
                // The client was faster.
                tracing::debug!("a connection had ended already: {error}");
            }
        }
        sockets.len()
    }
}

/// A client's socket, noted among its thread's as long as it is open.
pub(crate) struct PeerSocket {
    // Dropped first, so that no socket is noted that is closed.
    _note: Note,
    socket: TcpStream,
}

struct Note {
    descriptor: RawFd,
    open: Arc<OpenSockets>,
}

impl Drop for Note {
    fn drop(&mut self) {
        self.open.sockets.lock().remove(&self.descriptor);
    }
}

impl PeerSocket {
    pub(crate) fn new(socket: TcpStream, open: &Arc<OpenSockets>) -> PeerSocket {
        let descriptor = socket.as_raw_fd();
        open.sockets.lock().insert(descriptor);
        PeerSocket { _note: Note { descriptor, open: Arc::clone(open) }, socket }
    }
}

impl AsyncRead for PeerSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
