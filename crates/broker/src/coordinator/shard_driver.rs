use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use raftsman_coordinator::{
    Caller, DeletedTopic, Effect, Event, Now, Record, Reply, Request, RequestId, Shard, State, WriteId,
};
use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_types::{ErrorCode, LeaderEpoch, MonotonicTime, Offset, TopicId, TopicIdPartition};
use tokio::sync::oneshot;

use super::batches;
use super::service::{Asker, Shared};
use super::shell::Shell;
use crate::replica::AppendError;

/// How long one wait for a commit lasts before it is looked whether this broker still leads.
const COMMIT_WAIT: Duration = Duration::from_secs(10);
/// The pause before a commit that cannot be had now is waited for again.
const COMMIT_RETRY: Duration = Duration::from_millis(100);

/// What a request got, or the coordinator's error.
pub(super) type Answer = Result<Reply, ErrorCode>;

/// One partition that this broker leads, in one leader epoch.
pub(super) struct ShardDriver {
    pub at: TopicIdPartition,
    pub leader_epoch: LeaderEpoch,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    next_request: u64,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    /// The last write that is in the log and not known to be committed.
    uncommitted: Option<Uncommitted>,
    is_committing: bool,
    /// Counts the shards there have been here: each counts its writes anew.
    incarnation: u64,
}

/// A write that is in the log and not known to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uncommitted {
    incarnation: u64,
    write: WriteId,
    pub last_offset: Offset,
}

enum Phase {
    /// The log is being read.
    Loading,
    Active(Box<Shard>),
    /// Another broker leads, or this one in another epoch.
    Retired,
}

/// How an append went.
enum Written {
    All(Offset),
    Nothing(ErrorCode),
    /// Some of it, or nobody knows.
    Unknown,
}

impl ShardDriver {
    pub fn new(shared: Arc<Shared>, at: TopicIdPartition, leader_epoch: LeaderEpoch) -> Arc<ShardDriver> {
        let inner = Inner {
            phase: Phase::Loading,
            next_request: 0,
            waiting: HashMap::new(),
            uncommitted: None,
            is_committing: false,
            incarnation: 0,
        };
        Arc::new(ShardDriver { at, leader_epoch, shared, inner: Mutex::new(inner) })
    }

    /// Asks the shard. The answer is there at once or comes over the receiver.
    pub fn ask(self: &Arc<Self>, asker: &Asker, request: &Request) -> Result<Answer, oneshot::Receiver<Answer>> {
        if !self.shared.log.is_serving(self.at, self.leader_epoch) {
            // Whatever the metadata says: this broker may be the last to hear of a new leader.
            return Ok(Err(ErrorCode::NotCoordinator));
        }
        let mut inner = self.inner.lock();
        match &inner.phase {
            Phase::Active(_) => {}
            Phase::Loading => return Ok(Err(ErrorCode::CoordinatorLoadInProgress)),
            Phase::Retired => return Ok(Err(ErrorCode::NotCoordinator)),
        }
        inner.next_request += 1;
        let id = RequestId(inner.next_request);
        let caller = Caller {
            request: id,
            version: asker.version,
            client_id: asker.client_id.clone(),
            client_host: asker.client_host.clone(),
        };
        let (sender, mut receiver) = oneshot::channel();
        inner.waiting.insert(id, sender);
        self.step(&mut inner, Event::Request(&caller, request));
        match receiver.try_recv() {
            Ok(answer) => Ok(answer),
            Err(_) => Err(receiver),
        }
    }

    /// Does what is due.
    pub fn tick(self: &Arc<Self>, now: MonotonicTime) {
        let mut inner = self.inner.lock();
        if inner.next_deadline().is_some_and(|due| due <= now) {
            self.step(&mut inner, Event::Tick);
        }
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        self.inner.lock().next_deadline()
    }

    /// Topics are gone, and with them their offsets. A shard that is being loaded looks for itself when it is done.
    pub fn topics_deleted(self: &Arc<Self>, topics: &[DeletedTopic]) {
        let mut inner = self.inner.lock();
        if matches!(inner.phase, Phase::Active(_)) {
            self.step(&mut inner, Event::TopicsDeleted(topics));
        }
    }

    /// This broker leads the partition no more, or in another epoch.
    pub fn retire(self: &Arc<Self>) {
        self.drop_shard(&mut self.inner.lock(), Phase::Retired, ErrorCode::NotCoordinator);
    }

    /// How often its memory was made anew, and what its shard knows of groups, once it is loaded.
    pub fn inspect<T>(&self, look: impl FnOnce(u64, Option<&State>) -> T) -> T {
        let inner = self.inner.lock();
        match &inner.phase {
            Phase::Active(shard) => look(inner.incarnation, Some(shard.state())),
            Phase::Loading | Phase::Retired => look(inner.incarnation, None),
        }
    }

    pub fn is_retired(&self) -> bool {
        matches!(self.inner.lock().phase, Phase::Retired)
    }

    /// Everything in the log has been read: the shard serves from now on.
    pub fn activate(self: &Arc<Self>, state: State) {
        let mut inner = self.inner.lock();
        if !matches!(inner.phase, Phase::Loading) {
            return;
        }
        let gone = gone_topics(&state, &self.shared.image());
        inner.phase = Phase::Active(Box::new(Shard::load(self.shared.config.clone(), state, self.shared.now())));
        if gone.is_empty() {
            self.shared.timer.expect(inner.next_deadline());
        } else {
            self.step(&mut inner, Event::TopicsDeleted(&gone));
        }
    }

    fn step(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>, event: Event<'_>) {
        let now = self.shared.now();
        let effects = inner.step(&self.shared.shell, now, event);
        self.carry_out(inner, now, effects);
        self.shared.timer.expect(inner.next_deadline());
    }

    /// Carries effects out, and what they lead to.
    fn carry_out(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>, now: Now, effects: Vec<Effect>) {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Reply { request, reply } => inner.answer(request, Ok(reply)),
                Effect::Refuse { request, error } => inner.answer(request, Err(error)),
                Effect::Reload => self.reload(inner, ErrorCode::CoordinatorNotAvailable),
                Effect::Append { write, records } => match self.append(now, &records) {
                    Written::All(last_offset) => {
                        effects.extend(inner.step(&self.shared.shell, now, Event::Appended));
                        let incarnation = inner.incarnation;
                        inner.uncommitted = Some(Uncommitted { incarnation, write, last_offset });
                        self.await_commit(inner);
                    }
                    Written::Nothing(error) => {
                        effects.extend(inner.step(&self.shared.shell, now, Event::NotAppended(error)))
                    }
                    Written::Unknown => self.reload(inner, ErrorCode::CoordinatorNotAvailable),
                },
            }
        }
    }

    fn append(&self, now: Now, records: &[Record]) -> Written {
        let batches = match batches::encode(records, now.wall, self.shared.config.max_record_bytes) {
            Ok(batches) => batches,
            Err(error) => {
                tracing::error!(partition = %self.at, "records of the group coordinator cannot be written: {error}");
                return Written::Nothing(ErrorCode::UnknownServerError);
            }
        };
        let mut last_offset = None;
        for batch in batches {
            match self.shared.log.append(self.at, self.leader_epoch, batch) {
                Ok(appended) => last_offset = Some(appended.last_offset),
                Err(error) => return self.not_appended(&error, records, last_offset.is_some()),
            }
        }
        last_offset.map_or(Written::Unknown, Written::All)
    }

    fn not_appended(&self, error: &AppendError, records: &[Record], is_partial: bool) -> Written {
        tracing::warn!(partition = %self.at, "the group coordinator could not write to {}: {error}", super::OFFSETS_TOPIC);
        match error {
            _ if is_partial => Written::Unknown,
            AppendError::NotLeaderOrFollower => Written::Nothing(ErrorCode::NotCoordinator),
            AppendError::NotEnoughReplicas { .. } | AppendError::DiskFull { .. } => {
                Written::Nothing(ErrorCode::CoordinatorNotAvailable)
            }
            AppendError::Invalid { code: ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge, .. }
                if records.iter().all(|record| matches!(record, Record::Offset { .. })) =>
            {
                Written::Nothing(ErrorCode::InvalidCommitOffsetSize)
            }
            AppendError::Invalid { .. } => Written::Nothing(ErrorCode::UnknownServerError),
            _ => Written::Unknown,
        }
    }

    /// Memory may differ from the log: everyone is refused, and the log is read again.
    fn reload(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>, error: ErrorCode) {
        self.drop_shard(inner, Phase::Loading, error);
        self.shared.shell.load(&self.shared, Arc::clone(self));
    }

    fn drop_shard(&self, inner: &mut MutexGuard<'_, Inner>, next: Phase, error: ErrorCode) {
        let effects = inner.step(&self.shared.shell, self.shared.now(), Event::Abandoned(error));
        inner.phase = next;
        inner.uncommitted = None;
        inner.incarnation += 1;
        for effect in effects {
            if let Effect::Refuse { request, error } = effect {
                inner.answer(request, Err(error));
            }
        }
        // A driver that is given up answers everyone, come what may.
        for (_, waiting) in inner.waiting.drain() {
            let _ = waiting.send(Err(error));
        }
    }

    /// Sees to it that somebody waits for the last write's commit.
    fn await_commit(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>) {
        if !std::mem::replace(&mut inner.is_committing, true) {
            self.shared.shell.follow_commits(Arc::clone(self));
        }
    }

    /// Runs while there are uncommitted writes: waits for the newest, which commits all before it.
    pub async fn follow_commits(self: Arc<Self>) {
        while let Some(newest) = self.next_uncommitted() {
            let log = &self.shared.log;
            let outcome = log.committed(self.at, self.leader_epoch, newest.last_offset, COMMIT_WAIT).await;
            if let Some(pause) = self.commit_ended(newest, outcome) {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The newest write, to wait for its commit; `None` if there is nothing to wait for until the shard says so.
    pub fn next_uncommitted(&self) -> Option<Uncommitted> {
        let mut inner = self.inner.lock();
        let next = inner.uncommitted.take();
        inner.is_committing = next.is_some();
        next
    }

    /// What came of a wait. The pause to make before the next one, if any.
    pub fn commit_ended(self: &Arc<Self>, newest: Uncommitted, outcome: Result<(), AppendError>) -> Option<Duration> {
        match outcome {
            Ok(()) => self.committed(newest),
            Err(AppendError::TimedOut | AppendError::NotEnoughReplicasAfterAppend) => {
                // It is in this leader's log and may commit yet: whoever waits has a deadline of their own.
                self.not_committed_yet(newest);
                return Some(COMMIT_RETRY);
            }
            Err(error) => {
                tracing::warn!(partition = %self.at, "group records were not committed: {error}");
                self.never_committed(newest);
            }
        }
        None
    }

    fn committed(self: &Arc<Self>, newest: Uncommitted) {
        let mut inner = self.inner.lock();
        if inner.incarnation == newest.incarnation {
            self.step(&mut inner, Event::Committed(newest.write));
        }
    }

    fn not_committed_yet(&self, newest: Uncommitted) {
        let mut inner = self.inner.lock();
        if inner.incarnation == newest.incarnation && inner.uncommitted.is_none() {
            inner.uncommitted = Some(newest);
        }
    }

    fn never_committed(self: &Arc<Self>, newest: Uncommitted) {
        let mut inner = self.inner.lock();
        if inner.incarnation == newest.incarnation {
            self.reload(&mut inner, ErrorCode::NotCoordinator);
        }
    }
}

impl Inner {
    fn step(&mut self, shell: &Shell, now: Now, event: Event<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Phase::Active(shard) = &mut self.phase {
            shell.with_rng(|rng| shard.step(now, event, rng, &mut effects));
        }
        effects
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        if let Some(waiting) = self.waiting.remove(&request) {
            // The client may have hung up.
            let _ = waiting.send(answer);
        }
    }

    fn next_deadline(&self) -> Option<MonotonicTime> {
        match &self.phase {
            Phase::Active(shard) => Some(shard.next_deadline()),
            Phase::Loading | Phase::Retired => None,
        }
    }
}

/// Topics with offsets that do not exist (any more): they were deleted while nobody here kept watch.
fn gone_topics(state: &State, image: &MetadataImage) -> Vec<DeletedTopic> {
    let is_gone = |(name, id): &(Str, raftsman_types::Uuid)| match image.topic_by_name(name) {
        Some(topic) => !id.is_zero() && topic.id != TopicId(*id),
        None => true,
    };
    state.topics().into_iter().filter(is_gone).map(|(name, id)| DeletedTopic { name, id }).collect()
}
