use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::Connection;
use super::door::Door;

/// How long to wait after an accept failed, which mostly means that there are no file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Between two lines of the log on the same trouble.
const QUIET: Duration = Duration::from_secs(5);
const MAX_STREAMS: u32 = 1024;
/// What HTTP/2 says to somebody who is not served: SETTINGS, as every server begins, and GOAWAY with `ENHANCE_YOUR_CALM` (RFC 9113,
/// sections 6.5 and 6.8).
const NO_PLACE: &[u8; 26] =
    &[0, 0, 0, 4, 0, 0, 0, 0, 0, /* GOAWAY */ 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

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
            hang_up(stream);
            continue;
        };
        // A socket that refuses the setting is about to break: its first read says so.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        return Connection::new(stream, place, door.handshake_timeout());
    }
}

/// Ends a connection with a word, so that nobody takes a controller that has no place for one that is dead: who dials to find out
/// hears it.
fn hang_up(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        // A new socket has room for it. If it is gone already nobody listens.
        let _ = stream.write(NO_PLACE);
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
