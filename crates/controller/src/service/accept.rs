use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::Connection;
use super::door::Door;

/// How long to wait after an accept failed, which mostly means that there are no file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Between two lines of the log on the same trouble.
const QUIET: Duration = Duration::from_secs(5);
const MAX_STREAMS: u32 = 1024;

/// Serves gRPC on a listener until the task is dropped. The listener is closed first then, so that redials are refused.
///
/// # Errors
/// The server could not run at all.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Arc<Door>,
    routes: tonic::service::Routes,
) -> Result<(), tonic::transport::Error> {
    let (sender, connections) = mpsc::channel(64);
    let accepting = async move {
        let mut trouble = Trouble::default();
        loop {
            let connection = accept(&listener, &door, &mut trouble).await;
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

/// The next connection that may stay. Whoever may not is hung up on at once instead of waiting in the socket's queue, where those
/// who may would wait behind it.
async fn accept(listener: &TcpListener, door: &Door, trouble: &mut Trouble) -> Connection {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                trouble.say(|| tracing::warn!(%error, "the controller cannot accept a connection"));
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Some(place) = door.admit(address.ip()) else {
            trouble.say(|| {
                tracing::warn!(
                    %address,
                    "the controller's listener has no place for another connection of this address: who holds them?"
                );
            });
            continue;
        };
        // A socket that refuses the setting is about to break: its first read says so.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        return Connection::new(stream, place, door.handshake_timeout());
    }
}

/// Keeps the log from flooding.
#[derive(Default)]
struct Trouble {
    said: Option<Instant>,
}

impl Trouble {
    fn say(&mut self, line: impl FnOnce()) {
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            self.said = Some(Instant::now());
            line();
        }
    }
}
