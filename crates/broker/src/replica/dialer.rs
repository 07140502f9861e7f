//! Keeps one stream to each leader that this broker follows.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;
use raftsman_rpc::replica as pb;
use raftsman_rpc::replica::replication_client::ReplicationClient;
use raftsman_types::MonotonicTime;
use tonic::Status;
use tonic::transport::Endpoint;

use super::core::Core;
use super::fetch_stream::{FetchStream, Target};
use super::follower_end::{FollowerEnd, FollowerFrames};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(2);
/// A leader that stays away is reported again this often.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// HTTP/2 windows: well above the credit, which is the real limit.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// The leader may send so much in one HTTP/2 frame: each costs it a system call, and the 16 KiB of the default make eight of
/// an ordinary batch.
const HTTP2_FRAME_BYTES_MAX: u32 = 1 << 20;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(500);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_millis(1000);

/// What a frame may hold beside its batches.
const FRAME_OVERHEAD_BYTES_MAX: usize = 1 << 20;

/// Why a connection ended.
enum Ended {
    /// This side wanted it to.
    Superseded,
    /// The leader said so, in words: it lives.
    Refused(Status),
    /// It broke, or never stood.
    Broken(String),
}

/// Keeps the stream up for as long as anyone follows over it.
pub(super) async fn drive(core: Arc<Core>, stream: Arc<FetchStream>) {
    let mut backoff = Duration::ZERO;
    let mut reported: Option<Instant> = None;
    while let Some(target) = stream.wanted().await {
        tokio::time::sleep(backoff).await;
        let mut stood = false;
        let mut end = FollowerEnd::begin(&core, &stream);
        let ended = converse(&core, &mut end, &target, &mut stood).await;
        end.ended();
        backoff = if stood { Duration::ZERO } else { next_backoff(backoff, core.config.reconnect_backoff_max) };
        match ended {
            Ended::Superseded => {}
            Ended::Refused(status) => {
                tracing::warn!(leader = %stream.leader, "the leader ended the replication stream: {status}");
                backoff = core.config.reconnect_backoff_max;
            }
            Ended::Broken(reason) => {
                if stood || reported.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL) {
                    tracing::info!(leader = %stream.leader, "no stream to the leader: {reason}");
                    core.link.report_unreachable(stream.leader);
                    reported = Some(Instant::now());
                }
            }
        }
    }
}

fn next_backoff(last: Duration, max: Duration) -> Duration {
    (last * 2).clamp(FIRST_BACKOFF, max)
}

/// One connection, from the dial to its end.
async fn converse(core: &Core, end: &mut FollowerEnd, target: &Target, stood: &mut bool) -> Ended {
    let superseded = end.superseded();
    tokio::pin!(superseded);
    let mut incoming = tokio::select! {
        connected = connect(core, target, Frames(end.frames())) => match connected {
            Ok(incoming) => incoming,
            Err(ended) => return ended,
        },
        () = &mut superseded => return Ended::Superseded,
    };
    *stood = true;
    tracing::debug!(host = %target.host, port = target.port, "replicates from the leader");
    end.stands();
    loop {
        tokio::select! {
            received = incoming.message() => match received {
                Ok(Some(frame)) => end.take_in(frame),
                Ok(None) => return Ended::Broken("it ended".to_owned()),
                Err(status) => return ended(status),
            },
            () = until(core, end.retry_at()) => end.retry(),
            () = &mut superseded => return Ended::Superseded,
        }
    }
}

async fn until(core: &Core, at: Option<MonotonicTime>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(core.now())).await,
        None => std::future::pending().await,
    }
}

async fn connect(core: &Core, target: &Target, frames: Frames) -> Result<tonic::Streaming<pb::LeaderFrame>, Ended> {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.to_string() };
    let broken = |error: &dyn std::error::Error| Ended::Broken(chain(error));
    let channel = Endpoint::from_shared(format!("http://{host}:{}", target.port))
        .map_err(|e| broken(&e))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|e| broken(&e))?;
    // A batch may be larger than a frame should be: the last one in it counts in full.
    let frame_bytes_max = core.config.frame_bytes + core.config.batch_bytes_max + FRAME_OVERHEAD_BYTES_MAX;
    let mut client = ReplicationClient::new(channel).max_decoding_message_size(frame_bytes_max);
    let replied = tokio::time::timeout(CONNECT_TIMEOUT, client.replicate(frames)).await;
    match replied {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(ended(status)),
        Err(_) => Err(Ended::Broken("the leader did not answer a hello".to_owned())),
    }
}

/// A status with a cause comes from the transport; one without was sent.
fn ended(status: Status) -> Ended {
    if std::error::Error::source(&status).is_some() { Ended::Broken(chain(&status)) } else { Ended::Refused(status) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A follower's frames as the transport takes them.
struct Frames(FollowerFrames);

impl Stream for Frames {
    type Item = pb::FollowerFrame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<pb::FollowerFrame>> {
        self.0.poll_frame(cx)
    }
}
