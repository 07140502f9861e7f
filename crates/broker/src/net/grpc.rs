use std::convert::Infallible;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::util::BoxCloneSyncService;

/// The gRPC services of the inter-broker listener.
pub type GrpcService = BoxCloneSyncService<Request<Incoming>, Response<tonic::body::Body>, Infallible>;

/// Flow-control windows: replication pushes frames of up to 256 KiB for many partitions at once.
const WINDOW_BYTES: u32 = 4 << 20;
const MAX_STREAMS: u32 = 256;
/// A peer that is stopped or cut off is noticed within two of these.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Speaks HTTP/2 on a connection until it ends.
pub(crate) async fn serve_grpc<S>(socket: S, service: GrpcService) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_frame_size(64 << 10)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service))
        .await
}
