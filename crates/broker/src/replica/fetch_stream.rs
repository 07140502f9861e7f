use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use raftsman_metadata::ThrottledSide;
use raftsman_replication::Allowances;
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use tokio::sync::Notify;

use super::core::Core;
use super::partition::Partition;

/// Small things said in one frame, at most.
const PER_FRAME_MAX: usize = 1000;

/// Where a leader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub host: Arc<str>,
    pub port: u16,
}

/// The follower's side of the stream to one leader: who follows over it, and what there is to say.
pub(super) struct FetchStream {
    pub leader: BrokerId,
    core: Arc<Core>,
    state: Mutex<State>,
    /// Wakes whoever sends frames.
    waker: AtomicWaker,
    /// Wakes the stream's task when it should look at its target or its partitions anew.
    changed: Notify,
    attention_queued: AtomicBool,
}

#[derive(Default)]
struct State {
    target: Option<Target>,
    /// Everyone who follows this leader.
    partitions: BTreeMap<TopicIdPartition, Arc<Partition>>,
    connected: bool,
    /// Rises whenever the present connection must not be used any longer.
    generation: u64,
    next_subscription: u32,
    names: HashMap<u32, Arc<Partition>>,
    by_partition: HashMap<TopicIdPartition, u32>,
    hello: Option<pb::Hello>,
    subscribe: Vec<pb::Subscribe>,
    unsubscribe: Vec<u32>,
    acks: BTreeMap<u32, pb::Ack>,
    without_room: Vec<u32>,
    throttled: Allowances,
    /// What the leader is to hear of them.
    allowances: BTreeMap<u32, pb::Allowance>,
    /// How often the rate had been changed when they were allowed what they are.
    rate_changes: u64,
    /// Bytes taken in that the leader has not been given back.
    credit: u32,
    stopped: bool,
}

impl FetchStream {
    pub fn new(core: &Arc<Core>, leader: BrokerId) -> Arc<FetchStream> {
        Arc::new(FetchStream {
            leader,
            core: Arc::clone(core),
            state: Mutex::default(),
            waker: AtomicWaker::new(),
            changed: Notify::new(),
            attention_queued: AtomicBool::new(false),
        })
    }

    /// The leader is here now; the next dial goes there.
    pub fn set_target(&self, target: Target) {
        let mut state = self.state.lock();
        if state.target.as_ref() != Some(&target) {
            state.target = Some(target);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// This broker has a new epoch: what is said on the present connection counts no more.
    pub fn restart(&self) {
        self.state.lock().generation += 1;
        self.waker.wake();
        self.changed.notify_one();
    }

    /// Ends the stream's task and lets go of its partitions.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.generation += 1;
        state.forget_connection();
        let partitions = std::mem::take(&mut state.partitions);
        drop(state);
        drop(partitions);
        self.waker.wake();
        self.changed.notify_one();
    }

    /// Takes a partition in, and says whether it can subscribe at once.
    pub fn add(&self, partition: &Arc<Partition>) -> bool {
        let mut state = self.state.lock();
        if state.stopped {
            return false;
        }
        state.partitions.insert(partition.at, Arc::clone(partition));
        let connected = state.connected;
        drop(state);
        if !connected {
            self.changed.notify_one();
        }
        connected
    }

    /// A partition follows over this stream no longer.
    pub fn remove(&self, at: TopicIdPartition) {
        let mut state = self.state.lock();
        state.partitions.remove(&at);
        if let Some(subscription) = state.by_partition.remove(&at) {
            self.refund(state.forget(subscription));
            if state.connected {
                state.unsubscribe.push(subscription);
                drop(state);
                self.waker.wake();
            }
        }
    }

    /// Puts a subscription in line and names it. The partition's earlier one is over.
    pub fn subscribe(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        leader_epoch: LeaderEpoch,
        (log_end_offset, last_epoch, flushed_offset): (Offset, LeaderEpoch, Offset),
        log_start_offset: Offset,
    ) -> u32 {
        let at = partition.at;
        let throttled = partition.is_throttled_follower();
        let mut state = self.state.lock();
        let subscription = state.next_subscription;
        state.next_subscription += 1;
        if let Some(old) = state.by_partition.insert(at, subscription) {
            self.refund(state.forget(old));
        }
        state.names.insert(subscription, Arc::clone(partition));
        state.subscribe.push(pb::Subscribe {
            subscription,
            topic_id: raftsman_rpc::id_bytes(at.topic_id.0),
            partition: at.partition,
            leader_epoch: leader_epoch.0,
            log_end_offset,
            last_epoch: last_epoch.0,
            flushed_offset,
            log_start_offset,
            throttled,
        });
        if throttled {
            state.throttled.throttle(subscription);
        }
        drop(state);
        self.waker.wake();
        if throttled {
            self.ask_for_tick();
        }
        subscription
    }

    /// Puts an ack in line; it replaces an older one of the subscription.
    pub fn ack(&self, ack: pb::Ack) {
        let mut state = self.state.lock();
        if !state.connected || !state.names.contains_key(&ack.subscription) {
            return;
        }
        state.acks.insert(ack.subscription, ack);
        drop(state);
        self.waker.wake();
    }

    /// Ends a subscription for want of room on the disk.
    pub fn without_room(&self, subscription: u32) {
        let mut state = self.state.lock();
        if !state.connected || !state.names.contains_key(&subscription) {
            return;
        }
        state.by_partition.retain(|_, named| *named != subscription);
        self.refund(state.forget(subscription));
        state.without_room.push(subscription);
        drop(state);
        self.waker.wake();
    }

    /// Records of a subscription came. Its partition, if it is still served; they count against this broker's quota if that is
    /// throttled.
    pub fn came(self: &Arc<Self>, subscription: u32, bytes: usize) -> Option<Arc<Partition>> {
        let mut state = self.state.lock();
        let partition = state.names.get(&subscription).cloned()?;
        if let Some(not_allowed) = state.throttled.came(subscription, bytes) {
            drop(state);
            self.spend(not_allowed);
        } else if partition.is_throttled_follower() {
            // Since it subscribed it was put on the list, or fell behind.
            state.throttled.throttle(subscription);
            state.allow(subscription, Some(0));
            drop(state);
            self.spend(bytes);
            self.waker.wake();
            self.ask_for_tick();
        }
        Some(partition)
    }

    /// Time passed: shares out so many bytes among the throttled subscriptions, and says how many of them.
    pub fn tick(self: &Arc<Self>, bytes: usize) -> usize {
        self.attention_queued.store(false, Ordering::Release);
        let mut state = self.state.lock();
        let state = &mut *state;
        let is_over = |subscription: &u32| {
            state.names.get(subscription).is_none_or(|partition| !partition.is_throttled_follower())
        };
        let over: Vec<u32> = state.throttled.throttled().filter(is_over).collect();
        for subscription in over {
            self.refund(state.throttled.end(subscription));
            state.allow(subscription, None);
        }
        let changes = self.core.throttle.follower_rate_changes();
        if std::mem::replace(&mut state.rate_changes, changes) != changes {
            state.throttled.revoke();
            let revoked: Vec<u32> = state.throttled.throttled().collect();
            revoked.into_iter().for_each(|subscription| state.allow(subscription, Some(0)));
        }
        let shares = state.throttled.share_out(bytes, self.core.config.frame_bytes);
        let spent = shares.iter().map(|(_, bytes)| *bytes).fold(0, usize::saturating_add);
        self.spend(spent);
        for (subscription, bytes) in shares {
            state.allow(subscription, Some(bytes as u64));
        }
        if !state.throttled.is_empty() {
            self.ask_for_tick();
        }
        self.waker.wake();
        spent
    }

    fn spend(&self, bytes: usize) {
        self.core.throttle.spend(ThrottledSide::Follower, bytes, self.core.now());
    }

    fn refund(&self, bytes: usize) {
        if bytes > 0 {
            self.core.throttle.refund(ThrottledSide::Follower, bytes, self.core.now());
        }
    }

    fn ask_for_tick(self: &Arc<Self>) {
        if !self.attention_queued.swap(true, Ordering::AcqRel) {
            self.core.attention.stream(Arc::clone(self));
        }
    }

    /// Bytes of records were taken in: the leader may push as many more.
    pub fn give_back(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.credit = state.credit.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let due = state.credit >= self.credit_window() / 4;
        drop(state);
        if due {
            self.waker.wake();
        }
    }

    /// The partition of a subscription.
    pub fn named(&self, subscription: u32) -> Option<Arc<Partition>> {
        self.state.lock().names.get(&subscription).cloned()
    }

    /// Waits until there is a reason to be connected, and says where to; `None` when the stream is stopped.
    pub async fn wanted(&self) -> Option<Target> {
        while !self.state.lock().stopped {
            if let Some(target) = self.wanted_now() {
                return Some(target);
            }
            self.changed.notified().await;
        }
        None
    }

    /// Where to connect to, if there is a reason to.
    pub fn wanted_now(&self) -> Option<Target> {
        let state = self.state.lock();
        if state.stopped || state.partitions.is_empty() { None } else { state.target.clone() }
    }

    /// Begins a connection and says what will end it. The hello is made when the generation is settled: a broker epoch
    /// that changes after that ends the connection, lest it goes on under the old one.
    pub fn begin(&self, hello: impl FnOnce() -> pb::Hello) -> u64 {
        let mut state = self.state.lock();
        state.forget_connection();
        state.hello = Some(hello());
        state.credit = self.credit_window();
        state.generation
    }

    /// The connection stands: the partitions that are to subscribe.
    pub fn connected(&self) -> Vec<Arc<Partition>> {
        let mut state = self.state.lock();
        state.connected = true;
        state.partitions.values().cloned().collect()
    }

    /// The connection is gone: the partitions that are to know.
    pub fn disconnected(&self) -> Vec<Arc<Partition>> {
        let mut state = self.state.lock();
        state.forget_connection();
        state.generation += 1;
        let partitions = state.partitions.values().cloned().collect();
        drop(state);
        self.waker.wake();
        partitions
    }

    /// Completes when the connection of this generation must not be used any longer.
    pub async fn superseded(&self, generation: u64) {
        while !self.is_superseded(generation) {
            self.changed.notified().await;
        }
    }

    /// Whether the connection of this generation must not be used any longer.
    pub fn is_superseded(&self, generation: u64) -> bool {
        self.state.lock().generation != generation
    }

    /// The next frame of a connection; `None` when it is over.
    pub fn poll_frame(&self, generation: u64, cx: &mut Context<'_>) -> Poll<Option<pb::FollowerFrame>> {
        self.waker.register(cx.waker());
        let mut state = self.state.lock();
        if state.generation != generation {
            return Poll::Ready(None);
        }
        match state.take_frame(self.credit_window() / 4) {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Poll::Pending,
        }
    }

    fn credit_window(&self) -> u32 {
        self.core.config.credit_bytes
    }
}

impl State {
    /// What there is to say; `None` if that is nothing, but for less credit than `credit_due`.
    fn take_frame(&mut self, credit_due: u32) -> Option<pb::FollowerFrame> {
        let mut frame = pb::FollowerFrame { hello: self.hello.take(), ..Default::default() };
        // The leader learns of a subscription from one frame and of what became of it from a later one: the other way round
        // it would not know what is meant, and an ack that is lost may be the last.
        let unknown = self.subscribe.first().map_or(u32::MAX, |first| first.subscription);
        let subscribes = self.subscribe.len().min(PER_FRAME_MAX);
        frame.subscribe.extend(self.subscribe.drain(..subscribes));
        frame.unsubscribe = self.unsubscribe.extract_if(.., |named| *named < unknown).collect();
        frame.without_room = self.without_room.extract_if(.., |named| *named < unknown).collect();
        let later = self.acks.split_off(&unknown);
        frame.acks.extend(std::mem::replace(&mut self.acks, later).into_values());
        let later = self.allowances.split_off(&unknown);
        frame.allowances.extend(std::mem::replace(&mut self.allowances, later).into_values());
        let says = frame.hello.is_some()
            || !frame.subscribe.is_empty()
            || !frame.unsubscribe.is_empty()
            || !frame.without_room.is_empty()
            || !frame.acks.is_empty()
            || !frame.allowances.is_empty();
        if !says && self.credit < credit_due {
            return None;
        }
        frame.credit_bytes = std::mem::take(&mut self.credit);
        Some(frame)
    }

    /// What the leader is to hear next of a subscription's allowance.
    fn allow(&mut self, subscription: u32, bytes: Option<u64>) {
        self.allowances.insert(subscription, pb::Allowance { subscription, bytes });
    }

    /// A subscription is over. Returns what of its allowance did not come, in bytes.
    fn forget(&mut self, subscription: u32) -> usize {
        self.names.remove(&subscription);
        self.acks.remove(&subscription);
        self.allowances.remove(&subscription);
        self.throttled.end(subscription)
    }

    fn forget_connection(&mut self) {
        self.connected = false;
        self.names.clear();
        self.by_partition.clear();
        self.hello = None;
        self.subscribe.clear();
        self.unsubscribe.clear();
        self.acks.clear();
        self.without_room.clear();
        self.throttled.clear();
        self.allowances.clear();
        self.credit = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(frame: &pb::FollowerFrame) -> (Vec<u32>, Vec<u32>, Vec<u32>, Vec<u32>) {
        let subscribe = frame.subscribe.iter().map(|s| s.subscription).collect();
        let acks = frame.acks.iter().map(|a| a.subscription).collect();
        (subscribe, frame.unsubscribe.clone(), frame.without_room.clone(), acks)
    }

    fn say(state: &mut State, subscriptions: impl IntoIterator<Item = u32>) {
        for subscription in subscriptions {
            state.unsubscribe.push(subscription);
            state.without_room.push(subscription);
            state.acks.insert(subscription, pb::Ack { subscription, ..Default::default() });
        }
    }

    #[test]
    fn a_leader_hears_of_a_subscription_before_it_hears_what_became_of_it() {
        let mut state = State::default();
        state.subscribe.extend((5..7).map(|subscription| pb::Subscribe { subscription, ..Default::default() }));
        say(&mut state, 4..7);
        let first = state.take_frame(1).expect("there is something to say");
        assert_eq!(names(&first), (vec![5, 6], vec![4], vec![4], vec![4]));
        let second = state.take_frame(1).expect("the rest");
        assert_eq!(names(&second), (vec![], vec![5, 6], vec![5, 6], vec![5, 6]));
        assert_eq!(state.take_frame(1), None);
    }

    #[test]
    fn more_subscriptions_than_a_frame_holds_keep_that_order() {
        let mut state = State::default();
        let all = PER_FRAME_MAX as u32 + 1;
        state.subscribe.extend((0..all).map(|subscription| pb::Subscribe { subscription, ..Default::default() }));
        say(&mut state, 0..all);
        let frames: Vec<_> = std::iter::from_fn(|| state.take_frame(1)).map(|frame| names(&frame)).collect();
        let lengths = |(s, u, w, a): &(Vec<u32>, Vec<u32>, Vec<u32>, Vec<u32>)| [s.len(), u.len(), w.len(), a.len()];
        let lengths: Vec<_> = frames.iter().map(lengths).collect();
        let most = PER_FRAME_MAX;
        assert_eq!(lengths, [[most, 0, 0, 0], [1, most, most, most], [0, 1, 1, 1]]);
    }
}
