//! Keeps one stream to each leader that this broker follows.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;
use raftsman_replication::FollowerEvent;
use raftsman_rpc::replica as pb;
use raftsman_rpc::replica::replication_client::ReplicationClient;
use raftsman_types::TopicIdPartition;
use tonic::Status;
use tonic::transport::Endpoint;

use super::core::Core;
use super::fetch_stream::{FetchStream, Target};
use super::partition::Partition;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(2);
/// Followers that wait for time to pass are looked at this often.
const RETRY_TICK: Duration = Duration::from_millis(10);
/// A leader that stays away is reported again this often.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// HTTP/2 windows: well above the credit, which is the real limit.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
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
        let ended = converse(&core, &stream, &target, &mut stood).await;
        for partition in stream.disconnected() {
            partition.stream_event(&stream, FollowerEvent::Disconnected);
        }
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
async fn converse(core: &Arc<Core>, stream: &Arc<FetchStream>, target: &Target, stood: &mut bool) -> Ended {
    let image = core.image();
    let generation = stream.begin(|| pb::Hello {
        cluster_id: image.cluster_id.as_deref().unwrap_or_default().to_owned(),
        broker_id: core.me().0,
        broker_epoch: core.broker_epoch().0,
        leader_id: stream.leader.0,
        stream: core.next_id(),
    });
    let frames = Frames { stream: Arc::clone(stream), generation };
    let mut incoming = tokio::select! {
        connected = connect(core, target, frames) => match connected {
            Ok(incoming) => incoming,
            Err(ended) => return ended,
        },
        () = stream.superseded(generation) => return Ended::Superseded,
    };
    *stood = true;
    tracing::debug!(leader = %stream.leader, host = %target.host, port = target.port, "replicates from the leader");
    let mut waiting = Waiting::default();
    for partition in stream.connected() {
        waiting.note(&partition, partition.stream_event(stream, FollowerEvent::Connected));
    }
    loop {
        tokio::select! {
            received = incoming.message() => match received {
                Ok(Some(frame)) => take_in(stream, frame, &mut waiting),
                Ok(None) => return Ended::Broken("it ended".to_owned()),
                Err(status) => return ended(status),
            },
            () = waiting.tick() => waiting.retry(stream),
            () = stream.superseded(generation) => return Ended::Superseded,
        }
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

fn take_in(stream: &Arc<FetchStream>, frame: pb::LeaderFrame, waiting: &mut Waiting) {
    for said in frame.states {
        if let Some(partition) = stream.named(said.subscription) {
            waiting.note(&partition, partition.subscription_state(stream, said));
        }
    }
    let mut bytes = 0;
    for data in frame.data {
        bytes += data.records.len();
        if let Some(partition) = stream.named(data.subscription) {
            waiting.note(&partition, partition.data(stream, data));
        }
    }
    if bytes > 0 {
        stream.give_back(bytes);
    }
}

/// Followers that were refused and ask again in a moment.
#[derive(Default)]
struct Waiting {
    partitions: HashMap<TopicIdPartition, Arc<Partition>>,
    /// When to look at them. Kept over what comes in between, lest a busy stream put it off for ever.
    next: Option<tokio::time::Instant>,
}

impl Waiting {
    fn note(&mut self, partition: &Arc<Partition>, waits: bool) {
        if waits {
            self.partitions.insert(partition.at, Arc::clone(partition));
            self.next.get_or_insert_with(|| tokio::time::Instant::now() + RETRY_TICK);
        }
    }

    async fn tick(&self) {
        match self.next {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn retry(&mut self, stream: &Arc<FetchStream>) {
        self.partitions.retain(|_, partition| partition.stream_event(stream, FollowerEvent::Tick));
        self.next = (!self.partitions.is_empty()).then(|| tokio::time::Instant::now() + RETRY_TICK);
    }
}

/// What this follower says on one connection.
struct Frames {
    stream: Arc<FetchStream>,
    generation: u64,
}

impl Stream for Frames {
    type Item = pb::FollowerFrame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<pb::FollowerFrame>> {
        self.stream.poll_frame(self.generation, cx)
    }
}
