use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use raftsman_replication::FollowerEvent;
use raftsman_rpc::replica as pb;
use raftsman_types::{MonotonicTime, TopicIdPartition};

use super::core::Core;
use super::fetch_stream::FetchStream;
use super::partition::Partition;

/// Followers that wait for time to pass are looked at this often.
const RETRY_TICK: Duration = Duration::from_millis(10);

/// A follower's end of one connection to a leader, without the transport: frames go in and come out.
///
/// Frames may be taken from the dial on (the first one says hello); [`stands`](FollowerEnd::stands) is called once the
/// leader has answered, [`ended`](FollowerEnd::ended) when the connection is over.
pub(super) struct FollowerEnd {
    core: Arc<Core>,
    stream: Arc<FetchStream>,
    generation: u64,
    /// Followers that were refused and ask again in a moment.
    waiting: BTreeMap<TopicIdPartition, Arc<Partition>>,
    /// When to look at them. Kept over what comes in between, lest a busy stream put it off for ever.
    retry_at: Option<MonotonicTime>,
}

impl FollowerEnd {
    /// Begins a connection.
    pub fn begin(core: &Arc<Core>, stream: &Arc<FetchStream>) -> FollowerEnd {
        let image = core.image();
        let generation = stream.begin(|| pb::Hello {
            cluster_id: image.cluster_id.as_deref().unwrap_or_default().to_owned(),
            broker_id: core.me().0,
            broker_epoch: core.broker_epoch().0,
            leader_id: stream.leader.0,
            stream: core.next_id(),
        });
        FollowerEnd {
            core: Arc::clone(core),
            stream: Arc::clone(stream),
            generation,
            waiting: BTreeMap::new(),
            retry_at: None,
        }
    }

    /// What this end says.
    pub fn frames(&self) -> FollowerFrames {
        FollowerFrames { stream: Arc::clone(&self.stream), generation: self.generation }
    }

    /// The leader has answered: everybody subscribes.
    pub fn stands(&mut self) {
        for partition in self.stream.connected() {
            let waits = partition.stream_event(&self.stream, FollowerEvent::Connected);
            self.note(&partition, waits);
        }
    }

    /// Takes a frame of the leader's.
    pub fn take_in(&mut self, frame: pb::LeaderFrame) {
        for said in frame.states {
            if let Some(partition) = self.stream.named(said.subscription) {
                let waits = partition.subscription_state(&self.stream, said);
                self.note(&partition, waits);
            }
        }
        let mut bytes = 0;
        for data in frame.data {
            let (subscription, length) = (data.subscription, data.records.len());
            bytes += length;
            if let Some(partition) = self.stream.came(subscription, length) {
                let waits = partition.data(&self.stream, data);
                self.note(&partition, waits);
            }
        }
        if bytes > 0 {
            self.stream.give_back(bytes);
        }
    }

    /// When [`retry`](FollowerEnd::retry) is due, if at all.
    pub fn retry_at(&self) -> Option<MonotonicTime> {
        self.retry_at
    }

    /// Those who were refused look whether it is time to ask again.
    pub fn retry(&mut self) {
        let stream = &self.stream;
        self.waiting.retain(|_, partition| partition.stream_event(stream, FollowerEvent::Tick));
        self.retry_at = (!self.waiting.is_empty()).then(|| self.core.now() + RETRY_TICK);
    }

    /// Whether this connection must not be used any longer.
    pub fn is_superseded(&self) -> bool {
        self.stream.is_superseded(self.generation)
    }

    /// Completes when this connection must not be used any longer.
    pub fn superseded(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stream, generation) = (Arc::clone(&self.stream), self.generation);
        async move { stream.superseded(generation).await }
    }

    /// The connection is over: everybody knows.
    pub fn ended(self) {
        for partition in self.stream.disconnected() {
            partition.stream_event(&self.stream, FollowerEvent::Disconnected);
        }
    }

    fn note(&mut self, partition: &Arc<Partition>, waits: bool) {
        if waits {
            self.waiting.insert(partition.at, Arc::clone(partition));
            let core = &self.core;
            self.retry_at.get_or_insert_with(|| core.now() + RETRY_TICK);
        }
    }
}

/// What a follower says on one connection.
pub(super) struct FollowerFrames {
    stream: Arc<FetchStream>,
    generation: u64,
}

impl FollowerFrames {
    /// The next frame, once there is something to say; `None` when the connection must not be used any longer.
    pub fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<pb::FollowerFrame>> {
        self.stream.poll_frame(self.generation, cx)
    }
}
