use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// Every broker keeps some connections, every controller a few: more are nobody's of ours.
const MAX_CONNECTIONS: usize = 4096;
/// How long to wait after an accept failed, which mostly means that there are no file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
const MAX_STREAMS: u32 = 1024;

/// An accepted connection. It counts against the limit until it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
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

/// Serves gRPC on a listener until the task is dropped. The listener is closed first then, so that redials are refused.
///
/// # Errors
/// The server could not run at all.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: tonic::service::Routes,
) -> Result<(), tonic::transport::Error> {
    let (sender, connections) = mpsc::channel(64);
    let accepting = async move {
        let limit = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(permit) = limit.clone().acquire_owned().await {
            let connection = accept(&listener, permit).await;
            if sender.send(Ok::<_, io::Error>(connection)).await.is_err() {
                break;
            }
        }
    };
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(2)))
        .http2_keepalive_timeout(Some(Duration::from_secs(2)))
        .add_routes(routes)
        .serve_with_incoming(ReceiverStream::new(connections));
    tokio::select! {
        () = accepting => Ok(()),
        served = serving => served,
    }
}

async fn accept(listener: &TcpListener, permit: OwnedSemaphorePermit) -> Connection {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A socket that refuses the setting is about to break: its first read says so.
                let _ = stream.set_nodelay(true);
                let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
                return Connection { stream, _permit: permit };
            }
            Err(error) => {
                tracing::warn!(%error, "the controller cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
