use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use raftsman_log::ColdRead;
use raftsman_replication::SubscriptionKey;
use raftsman_rpc::replica as pb;
use raftsman_rpc::replica::subscription_state::State as Said;
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset};

use super::core::Core;
use super::partition::{COLD_READS_MAX, FollowerRead, NotNow, Partition};

/// Small things said in one frame, at most.
const ANSWERS_MAX: usize = 1000;
/// Bytes of producers in them, but for the last.
const ANSWER_BYTES_MAX: usize = 512 << 10;
/// Bytes of producers that wait to be sent, but for the last.
const QUEUED_BYTES_MAX: usize = 4 << 20;
/// Pieces of data in one frame, at most.
const PIECES_MAX: usize = 1000;

/// The leader's side of one follower's stream: what the follower subscribed to, and what it is to be sent next.
///
/// Partitions put in what there is to send and wake the stream's task, which builds the frames. Nothing is copied
/// here before the follower's credit and the transport have room for it.
pub(super) struct Session {
    pub follower: BrokerId,
    pub broker_epoch: BrokerEpoch,
    /// The number the follower gave the stream.
    pub stream: u64,
    core: Arc<Core>,
    state: Mutex<State>,
    waker: AtomicWaker,
    attention_queued: AtomicBool,
}

#[derive(Default)]
struct State {
    subscriptions: BTreeMap<u32, Subscription>,
    /// Subscriptions with data to send, in turn.
    ready: VecDeque<u32>,
    /// Those of them that have to wait for a quota. Looked at again with the next tick: settings, the ISR and the quota change meanwhile.
    throttled: Vec<u32>,
    /// What followers' own quotas allow, in bytes, for the subscriptions that have one.
    allowances: BTreeMap<u32, u64>,
    answers: VecDeque<pb::SubscriptionState>,
    /// Subscriptions whose follower does not know the present watermark.
    stale: Vec<u32>,
    /// Whether the stale ones are due.
    tell_stale: bool,
    /// Bytes of records the follower has room for.
    credit: i64,
    closed: bool,
}

struct Subscription {
    partition: Arc<Partition>,
    next_offset: Offset,
    /// In line, or to be again: once what it reads next is in memory, or the quota allows it.
    ready: bool,
    /// How often that was done for the next read.
    cold_reads: usize,
    stale: bool,
}

/// A subscription whose turn it is.
struct Ready {
    subscription: u32,
    partition: Arc<Partition>,
    from: Offset,
    cold_reads: usize,
    allowance: Option<u64>,
}

/// Bytes of what an answer says of producers.
fn producers_in(answer: &pb::SubscriptionState) -> usize {
    if let Some(Said::Refused(refused)) = &answer.state { refused.producers.len() } else { 0 }
}

impl Session {
    pub fn new(core: &Arc<Core>, follower: BrokerId, broker_epoch: BrokerEpoch, stream: u64) -> Arc<Session> {
        Arc::new(Session {
            core: Arc::clone(core),
            follower,
            broker_epoch,
            stream,
            state: Mutex::default(),
            waker: AtomicWaker::new(),
            attention_queued: AtomicBool::new(false),
        })
    }

    pub fn key(&self, subscription: u32) -> SubscriptionKey {
        SubscriptionKey { broker: self.follower, broker_epoch: self.broker_epoch, stream: self.stream, subscription }
    }

    /// Push this partition's records from an offset on. False if the stream is gone already, and nobody will end the
    /// subscription.
    #[must_use]
    pub fn accept(&self, subscription: u32, partition: &Arc<Partition>, from: Offset) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        // It may have missed a rise of the watermark while it was away, and have all records already.
        let partition = Arc::clone(partition);
        let accepted = Subscription { partition, next_offset: from, ready: true, cold_reads: 0, stale: true };
        state.subscriptions.insert(subscription, accepted);
        state.ready.push_back(subscription);
        state.stale.push(subscription);
        state.tell_stale = true;
        drop(state);
        self.waker.wake();
        true
    }

    pub fn diverge(&self, subscription: u32, epoch: LeaderEpoch, end_offset: Offset) {
        self.answer(subscription, Said::Diverging(pb::Diverging { epoch: epoch.0, end_offset }));
    }

    pub fn refuse(&self, subscription: u32, error: ErrorCode, log_start_offset: Offset) {
        self.refuse_knowing(subscription, error, log_start_offset, Bytes::new());
    }

    /// Refuses a follower that has to begin at the log's start, and tells it of producers what it will find nowhere in the log.
    pub fn refuse_knowing(&self, subscription: u32, error: ErrorCode, log_start_offset: Offset, producers: Bytes) {
        let queued = self.state.lock().answers.iter().map(producers_in).sum::<usize>();
        if !producers.is_empty() && queued > QUEUED_BYTES_MAX {
            // It asks again in a moment.
            return self.refuse(subscription, ErrorCode::NotLeaderOrFollower, log_start_offset);
        }
        let error_code = i32::from(error.code());
        self.answer(subscription, Said::Refused(pb::Refused { error_code, log_start_offset, producers }));
    }

    /// Ends a subscription with a word on why.
    fn answer(&self, subscription: u32, said: Said) {
        let mut state = self.state.lock();
        state.forget(subscription);
        if !state.closed {
            state.answers.push_back(pb::SubscriptionState { subscription, state: Some(said) });
        }
        drop(state);
        self.waker.wake();
    }

    /// Ends a subscription whose follower knows that it is over.
    pub fn forget(&self, subscription: u32) {
        self.state.lock().forget(subscription);
    }

    /// The subscription's partition, if it is still served.
    pub fn partition(&self, subscription: u32) -> Option<Arc<Partition>> {
        self.state.lock().subscriptions.get(&subscription).map(|s| Arc::clone(&s.partition))
    }

    /// The partition's log has grown.
    pub fn has_data(&self, subscription: u32) {
        let mut state = self.state.lock();
        let Some(entry) = state.subscriptions.get_mut(&subscription) else { return };
        if std::mem::replace(&mut entry.ready, true) {
            return;
        }
        state.ready.push_back(subscription);
        drop(state);
        self.waker.wake();
    }

    /// The partition's watermark has risen. The next data tells the follower; if none comes, the housekeeping has it
    /// told soon: it is needed only when leaders change.
    pub fn watermark_moved(self: &Arc<Self>, subscription: u32) {
        let mut state = self.state.lock();
        let Some(entry) = state.subscriptions.get_mut(&subscription) else { return };
        if std::mem::replace(&mut entry.stale, true) {
            return;
        }
        state.stale.push(subscription);
        drop(state);
        self.ask_for_tick();
    }

    fn ask_for_tick(self: &Arc<Self>) {
        if !self.attention_queued.swap(true, Ordering::AcqRel) {
            self.core.attention.session(Arc::clone(self));
        }
    }

    /// Time passed: followers that did not hear of a risen watermark by now are told, and what was throttled is looked at again.
    pub fn tick(&self) {
        self.attention_queued.store(false, Ordering::Release);
        let mut state = self.state.lock();
        state.tell_stale = true;
        state.line_up_throttled();
        drop(state);
        self.waker.wake();
    }

    /// What was throttled may not be any longer.
    pub fn look_at_throttled(&self) {
        if self.state.lock().line_up_throttled() {
            self.waker.wake();
        }
    }

    /// A subscription that is about to be asked for is sent nothing before its follower's quota allows it.
    pub fn begin_throttled(&self, subscription: u32) {
        self.state.lock().allowances.insert(subscription, 0);
    }

    /// What the follower's quota allows by now, or that it has none any more.
    pub fn allow(&self, allowances: Vec<pb::Allowance>) {
        if allowances.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for pb::Allowance { subscription, bytes } in allowances {
            match bytes.filter(|_| state.subscriptions.contains_key(&subscription)) {
                Some(bytes) => state.allowances.insert(subscription, bytes),
                None => state.allowances.remove(&subscription),
            };
        }
        if state.line_up_throttled() {
            drop(state);
            self.waker.wake();
        }
    }

    pub fn add_credit(&self, bytes: u32) {
        let mut state = self.state.lock();
        // Bounded, whatever a follower sends.
        state.credit = (state.credit + i64::from(bytes)).min(i64::from(u32::MAX));
        let blocked = !state.ready.is_empty();
        drop(state);
        if blocked {
            self.waker.wake();
        }
    }

    /// The stream is gone: tells the partitions.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let subscriptions = std::mem::take(&mut state.subscriptions);
        drop(state);
        for (subscription, entry) in subscriptions {
            entry.partition.unsubscribed(self.key(subscription));
        }
        self.waker.wake();
    }

    /// The next frame, once there is something to say; `None` when the stream is over.
    pub fn poll_frame(self: &Arc<Self>, cx: &mut Context<'_>, frame_bytes: usize) -> Poll<Option<pb::LeaderFrame>> {
        // Registered first, so that what comes in while the frame is built wakes the task again.
        self.waker.register(cx.waker());
        let mut frame = pb::LeaderFrame::default();
        if !self.take_answers(&mut frame) {
            return Poll::Ready(None);
        }
        self.take_data(&mut frame, frame_bytes);
        self.take_stale(&mut frame);
        if frame.data.is_empty() && frame.states.is_empty() { Poll::Pending } else { Poll::Ready(Some(frame)) }
    }

    fn take_answers(&self, frame: &mut pb::LeaderFrame) -> bool {
        let mut state = self.state.lock();
        let mut bytes = 0;
        while bytes < ANSWER_BYTES_MAX && frame.states.len() < ANSWERS_MAX {
            let Some(answer) = state.answers.pop_front() else { break };
            bytes += producers_in(&answer);
            frame.states.push(answer);
        }
        !state.closed
    }

    fn take_data(self: &Arc<Self>, frame: &mut pb::LeaderFrame, frame_bytes: usize) {
        let mut bytes = 0;
        while bytes < frame_bytes && frame.data.len() < PIECES_MAX {
            let Some(ready) = self.next_ready() else { break };
            let (subscription, key) = (ready.subscription, self.key(ready.subscription));
            let max_bytes = frame_bytes - bytes;
            let may_wait = ready.cold_reads >= COLD_READS_MAX;
            let read = FollowerRead { key, from: ready.from, max_bytes, may_wait, allowance: ready.allowance };
            let piece = match ready.partition.read_for_follower(&read) {
                Ok(Some(piece)) => piece,
                Ok(None) => continue,
                Err(NotNow::Cold(cold)) => {
                    self.bring_in(subscription, cold);
                    continue;
                }
                Err(NotNow::Throttled) => {
                    self.put_off(subscription);
                    continue;
                }
            };
            bytes += piece.records.len();
            self.sent(subscription, piece.records.len(), piece.next_offset, piece.more);
            frame.data.push(pb::Data {
                subscription,
                previous_offset: piece.previous_offset,
                previous_epoch: piece.previous_epoch.0,
                records: piece.records,
                high_watermark: piece.high_watermark,
                log_start_offset: piece.log_start_offset,
            });
        }
    }

    /// What a subscription is to read next is on the disk alone: another thread has it read, for this one serves others.
    fn bring_in(self: &Arc<Self>, subscription: u32, cold: ColdRead) {
        let is_in_line = |entry: &mut Subscription| std::mem::replace(&mut entry.ready, true);
        // What is appended meanwhile does not put it in line; what was appended since its turn came has.
        if self.state.lock().subscriptions.get_mut(&subscription).is_none_or(is_in_line) {
            return;
        }
        let session = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let stays = cold.bring_in();
            let mut state = session.state.lock();
            let Some(entry) = state.subscriptions.get_mut(&subscription) else { return };
            entry.cold_reads = if stays { entry.cold_reads + 1 } else { COLD_READS_MAX };
            state.ready.push_back(subscription);
            drop(state);
            session.waker.wake();
        });
    }

    /// A quota allows a subscription nothing now. One that was appended to since its turn came is in line already: it must not be
    /// there twice.
    fn put_off(self: &Arc<Self>, subscription: u32) {
        let mut state = self.state.lock();
        let Some(entry) = state.subscriptions.get_mut(&subscription) else { return };
        if !std::mem::replace(&mut entry.ready, true) {
            state.throttled.push(subscription);
            drop(state);
            self.ask_for_tick();
        }
    }

    fn next_ready(&self) -> Option<Ready> {
        let mut state = self.state.lock();
        while state.credit > 0 {
            let subscription = state.ready.pop_front()?;
            if let Some(entry) = state.subscriptions.get_mut(&subscription) {
                // What is appended from now on puts it in line again.
                entry.ready = false;
                let partition = Arc::clone(&entry.partition);
                let (from, cold_reads) = (entry.next_offset, entry.cold_reads);
                let allowance = state.allowances.get(&subscription).copied();
                return Some(Ready { subscription, partition, from, cold_reads, allowance });
            }
        }
        None
    }

    fn sent(&self, subscription: u32, bytes: usize, next_offset: Offset, more: bool) {
        let mut state = self.state.lock();
        state.credit -= bytes as i64;
        if let Some(allowance) = state.allowances.get_mut(&subscription) {
            *allowance = allowance.saturating_sub(bytes as u64);
        }
        let Some(entry) = state.subscriptions.get_mut(&subscription) else { return };
        (entry.next_offset, entry.cold_reads) = (next_offset, 0);
        entry.stale = false;
        if more && !std::mem::replace(&mut entry.ready, true) {
            state.ready.push_back(subscription);
        }
    }

    fn take_stale(&self, frame: &mut pb::LeaderFrame) {
        let mut state = self.state.lock();
        // In a frame that goes out anyway they cost little.
        if !std::mem::take(&mut state.tell_stale) && frame.data.is_empty() && frame.states.is_empty() {
            return;
        }
        let mut due = Vec::new();
        for subscription in std::mem::take(&mut state.stale) {
            if let Some(entry) = state.subscriptions.get_mut(&subscription)
                && std::mem::take(&mut entry.stale)
            {
                due.push((subscription, Arc::clone(&entry.partition)));
            }
        }
        drop(state);
        for (subscription, partition) in due {
            let (high_watermark, log_start_offset) = partition.watermarks();
            let said = Said::Watermarks(pb::Watermarks { high_watermark, log_start_offset });
            frame.states.push(pb::SubscriptionState { subscription, state: Some(said) });
        }
    }
}

impl State {
    fn forget(&mut self, subscription: u32) {
        self.subscriptions.remove(&subscription);
        self.allowances.remove(&subscription);
    }

    /// Puts those that waited for a quota in line again; says whether there were any.
    fn line_up_throttled(&mut self) -> bool {
        let any = !self.throttled.is_empty();
        self.ready.extend(self.throttled.drain(..));
        any
    }
}
