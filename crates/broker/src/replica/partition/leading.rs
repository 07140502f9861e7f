use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use raftsman_log::Log;
use raftsman_replication::{
    Durability, IsrAnswer, IsrProposal, Leader, LeaderEffect, LeaderEvent, LeaderSettings, LeadershipView,
    SubscribeRequest, SubscriptionKey,
};
use raftsman_rpc::replica as pb;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset, PartitionEpoch};
use tokio::sync::oneshot;

use super::{LeaderRole, Partition, Role, Standing, State};
use crate::replica::flush_queue::FlushUrgency;
use crate::replica::session::Session;
use crate::replica::waiters::CommitOutcome;
use crate::replica::{Acks, AppendError, AppendOrigin, Appended};

impl Partition {
    /// Leads, or goes on leading with a changed view.
    pub fn lead(self: &Arc<Self>, view: LeadershipView) {
        let mut state = self.state.lock();
        if state.standing != Standing::Online || view.leader_epoch < state.leader_epoch {
            return;
        }
        if let Role::Leader(leader) = &state.role
            && leader.machine.leader_epoch() == view.leader_epoch
        {
            let view = self.prepare_to_lead(&mut state, view);
            self.step_leader(&mut state, LeaderEvent::ViewChanged(view));
            return;
        }
        let epoch = view.leader_epoch;
        state.leader_epoch = epoch;
        self.leave_role(&mut state, &AppendError::NotLeaderOrFollower);
        if state.latest_epoch() >= epoch {
            // It led in this epoch before it registered anew, and its log may have lost what it sent to others.
            tracing::warn!(
                partition = %self.name(),
                "waits for a new leader epoch: its log knows epoch {} already, and it may not go on in epoch {epoch}",
                state.latest_epoch()
            );
            return;
        }
        let view = self.prepare_to_lead(&mut state, view);
        let end = state.log.log_end_offset();
        let write = self.directory.disk.write(self.core.now());
        let assigned = state.log.assign_epoch_start(epoch, end);
        drop(write);
        if let Err(error) = assigned {
            self.directory.fail(&self.core, &error);
            return;
        }
        let settings =
            LeaderSettings { replica_lag_time_max: self.core.config.replica_lag_time_max, ..Default::default() };
        let (position, high_watermark) = (state.position(), state.high_watermark);
        let mut effects = Vec::new();
        let now = self.core.now();
        let machine = Leader::new(settings, self.core.me(), view, position, high_watermark, now, &mut effects);
        tracing::debug!(partition = %self.name(), %epoch, start = end, "leads");
        state.role = Role::Leader(LeaderRole { machine, subscribers: Vec::new(), told_log_start: 0 });
        self.carry_out(&mut state, effects);
        self.log_start_moved(&mut state);
        drop(state);
        self.queue_flush();
    }

    /// Appends a client's or a coordinator's batch.
    pub fn append(self: &Arc<Self>, records: Bytes, acks: Acks, origin: AppendOrigin) -> Result<Appended, AppendError> {
        if !self.core.may_serve() {
            return Err(AppendError::NotLeaderOrFollower);
        }
        if !self.directory.has_room(records.len(), !matches!(origin, AppendOrigin::Coordinator(_))) {
            return Err(self.directory.no_room());
        }
        let now = self.core.wall_time();
        let records = match origin {
            AppendOrigin::Client | AppendOrigin::LegacyClient => {
                let settings = Arc::clone(&self.settings.read());
                settings.validate(records, origin, now)?
            }
            AppendOrigin::Coordinator(_) => records,
        };
        let mut state = self.state.lock();
        let epoch = state.writable_epoch(acks)?;
        if let AppendOrigin::Coordinator(known) = origin
            && known != epoch
        {
            // Others may have led in between: what it decided is not founded on what they wrote.
            return Err(AppendError::NotLeaderOrFollower);
        }
        // Any other ack than that for a commit is for what is written, and may not run ahead of that.
        let defers = acks == Acks::All && state.durability() == Durability::Flushed;
        state.log.defer_writes(defers);
        let write = self.directory.disk.write(self.core.now());
        let written = state.log.append_as_leader(records, epoch, now);
        drop(write);
        let info = match written {
            Ok(info) => info,
            Err(error) => return Err(self.append_failed(error)),
        };
        let (first, last) = info.duplicate_of.unwrap_or((info.first_offset, info.last_offset));
        let appended = Appended {
            base_offset: first,
            last_offset: last,
            log_append_time_ms: info.log_append_time.unwrap_or(-1),
            log_start_offset: state.log.log_start_offset(),
            leader_epoch: epoch,
            duplicate: info.duplicate_of.is_some(),
        };
        if !appended.duplicate {
            let log_end_offset = state.log.log_end_offset();
            self.step_leader(&mut state, LeaderEvent::Appended { log_end_offset });
            if let Role::Leader(leader) = &state.role {
                for (key, session) in &leader.subscribers {
                    session.has_data(key.subscription);
                }
            }
            // Whoever waits for a commit waits for the flush.
            let urgency = if acks == Acks::All { FlushUrgency::Hurried } else { FlushUrgency::Unhurried };
            self.flush_in_time(state, now, urgency);
        }
        Ok(appended)
    }

    fn append_failed(&self, error: raftsman_log::AppendError) -> AppendError {
        use raftsman_log::AppendError as Log;
        let message = error.to_string();
        match error {
            Log::OutOfOrderSequence { .. } => AppendError::OutOfOrderSequence(message),
            Log::InvalidProducerEpoch { .. } => AppendError::InvalidProducerEpoch(message),
            Log::Storage(error) if error.is_out_of_space() => {
                self.directory.out_of_space();
                self.directory.no_room()
            }
            Log::Storage(error) if error.is_out_of_files() => {
                self.directory.out_of_files(&self.core, &error);
                AppendError::TooManyOpenFiles
            }
            Log::Storage(_) => {
                self.directory.fail(&self.core, &message);
                AppendError::Storage
            }
            other => AppendError::Invalid { code: other.error_code(), message, records: Vec::new() },
        }
    }

    /// A place in line for a commit; `None` if it is committed already.
    pub fn wait_for_commit(
        &self,
        leader_epoch: LeaderEpoch,
        last_offset: Offset,
    ) -> Result<Option<oneshot::Receiver<CommitOutcome>>, AppendError> {
        let state = self.state.lock();
        match (&state.role, state.standing) {
            (_, Standing::Offline) => Err(AppendError::Storage),
            (Role::Leader(leader), _) if leader.machine.leader_epoch() == leader_epoch => {
                if state.high_watermark > last_offset {
                    return Ok(None);
                }
                if !self.core.may_wait() {
                    return Err(AppendError::NotLeaderOrFollower);
                }
                if leader.machine.check_append().is_err() {
                    return Err(AppendError::NotEnoughReplicasAfterAppend);
                }
                Ok(Some(self.commits.lock().wait(last_offset)))
            }
            _ => Err(AppendError::NotLeaderOrFollower),
        }
    }

    /// A follower asks to be sent records.
    pub fn subscribe(self: &Arc<Self>, session: &Arc<Session>, request: SubscribeRequest) {
        let mut state = self.state.lock();
        let log_start_offset = state.log.log_start_offset();
        let serves = state.standing == Standing::Online && self.core.may_serve();
        let Role::Leader(leader) = &mut state.role else {
            session.refuse(request.key.subscription, ErrorCode::NotLeaderOrFollower, log_start_offset);
            return;
        };
        if !serves {
            session.refuse(request.key.subscription, ErrorCode::NotLeaderOrFollower, log_start_offset);
            return;
        }
        leader.subscribers.push((request.key, Arc::clone(session)));
        let epoch_end = state.log.known_end_offset_for(request.last_epoch);
        self.step_leader(&mut state, LeaderEvent::Subscribed { request, log_start_offset, epoch_end });
    }

    /// A follower says how far it is.
    pub fn acked(self: &Arc<Self>, key: SubscriptionKey, ack: &pb::Ack) {
        let mut state = self.state.lock();
        if matches!(state.role, Role::Leader(_)) {
            let event = LeaderEvent::Acked {
                key,
                written_offset: ack.written_offset,
                flushed_offset: ack.flushed_offset,
                log_start_offset: ack.log_start_offset,
            };
            self.step_leader(&mut state, event);
        }
    }

    /// A follower's subscription is over.
    pub fn unsubscribed(self: &Arc<Self>, key: SubscriptionKey) {
        let mut state = self.state.lock();
        if let Role::Leader(leader) = &mut state.role {
            leader.subscribers.retain(|(other, _)| *other != key);
            self.step_leader(&mut state, LeaderEvent::Unsubscribed { key });
        }
    }

    /// A follower's subscription is over because its disk is full.
    pub fn follower_without_room(self: &Arc<Self>, key: SubscriptionKey) {
        let mut state = self.state.lock();
        if matches!(state.role, Role::Leader(_)) {
            self.step_leader(&mut state, LeaderEvent::WithoutRoom { key });
        }
    }

    /// The controller answered, or no answer will come.
    pub fn isr_answered(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        answer: IsrAnswer,
    ) {
        let mut state = self.state.lock();
        if let Role::Leader(leader) = &state.role
            && leader.machine.leader_epoch() == leader_epoch
        {
            self.step_leader(&mut state, LeaderEvent::IsrAnswered { partition_epoch, answer });
        }
    }

    /// Time passed.
    pub fn tick(self: &Arc<Self>) {
        let mut state = self.state.lock();
        self.attention_queued.store(false, Ordering::Release);
        if matches!(state.role, Role::Leader(_)) {
            self.step_leader(&mut state, LeaderEvent::Tick);
        }
        if state.log.flushed_offset() < state.log.log_end_offset() {
            let now = self.core.wall_time();
            self.flush_in_time(state, now, FlushUrgency::Hurried);
        }
    }

    pub(super) fn step_leader(self: &Arc<Self>, state: &mut State, event: LeaderEvent) {
        let Role::Leader(leader) = &mut state.role else { return };
        let mut effects = Vec::new();
        leader.machine.step(self.core.now(), event, &mut effects);
        self.carry_out(state, effects);
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, effects: Vec<LeaderEffect>) {
        let Role::Leader(leader) = &mut state.role else { return };
        let mut gone = None;
        for effect in effects {
            match effect {
                LeaderEffect::Accept { key, from } => {
                    if let Some(session) = leader.subscriber(key)
                        && !session.accept(key.subscription, self, from)
                    {
                        gone = Some(key);
                    }
                }
                LeaderEffect::Diverge { key, epoch, end_offset } => {
                    if let Some(session) = leader.end(key) {
                        session.diverge(key.subscription, epoch, end_offset);
                    }
                }
                LeaderEffect::Refuse { key, error, log_start_offset } => {
                    if let Some(session) = leader.end(key) {
                        let producers = producers_for(&state.log, error, log_start_offset);
                        session.refuse_knowing(key.subscription, error, log_start_offset, producers);
                    }
                }
                LeaderEffect::Forget { key } => {
                    if let Some(session) = leader.end(key) {
                        session.forget(key.subscription);
                    }
                }
                LeaderEffect::HighWatermarkAdvanced { to } => {
                    assert!(to >= state.high_watermark, "high watermark fell from {} to {to}", state.high_watermark);
                    state.high_watermark = to;
                    state.log.transactions_replicated(to);
                    self.commits.lock().committed(to);
                    state.readers.wake();
                    for (key, session) in &leader.subscribers {
                        session.watermark_moved(key.subscription);
                    }
                }
                LeaderEffect::LowWatermarkMoved { to } => state.deletions.committed(to),
                LeaderEffect::TooFewInSync => self.commits.lock().fail(&AppendError::NotEnoughReplicasAfterAppend),
                LeaderEffect::AlterPartition(proposal) => {
                    // Acks wait for them from now on.
                    for session in leader.sessions_of(&proposal) {
                        session.look_at_throttled();
                    }
                    self.core.isr_queue.push(Arc::clone(self), proposal);
                }
            }
        }
        if let Some(key) = gone {
            leader.subscribers.retain(|(other, _)| *other != key);
            return self.step_leader(state, LeaderEvent::Unsubscribed { key });
        }
        if leader.machine.needs_tick() && !self.attention_queued.swap(true, Ordering::AcqRel) {
            self.core.attention.leader(Arc::clone(self));
        }
    }

    pub(super) fn stop_leading(&self, leader: LeaderRole) {
        for (key, session) in leader.subscribers {
            session.refuse(key.subscription, ErrorCode::NotLeaderOrFollower, 0);
        }
    }

    /// `<topic>-<partition>`, for logs.
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.at.partition)
    }
}

impl LeaderRole {
    fn subscriber(&self, key: SubscriptionKey) -> Option<&Arc<Session>> {
        self.subscribers.iter().find(|(other, _)| *other == key).map(|(_, session)| session)
    }

    /// The streams of those who are to be in sync.
    fn sessions_of<'a>(&'a self, proposal: &'a IsrProposal) -> impl Iterator<Item = &'a Arc<Session>> {
        let joins = |broker| proposal.new_isr.iter().any(|(id, _)| *id == broker);
        self.subscribers.iter().filter(move |(key, _)| joins(key.broker)).map(|(_, session)| session)
    }

    fn end(&mut self, key: SubscriptionKey) -> Option<Arc<Session>> {
        let position = self.subscribers.iter().position(|(other, _)| *other == key)?;
        Some(self.subscribers.swap_remove(position).1)
    }
}

impl State {
    /// The epoch in which records may be appended now.
    fn writable_epoch(&self, acks: Acks) -> Result<LeaderEpoch, AppendError> {
        if self.standing == Standing::Offline {
            return Err(AppendError::Storage);
        }
        let Role::Leader(leader) = &self.role else { return Err(AppendError::NotLeaderOrFollower) };
        if acks == Acks::All {
            let not_enough = |too_few: raftsman_replication::NotEnoughReplicas| AppendError::NotEnoughReplicas {
                in_sync: too_few.in_sync,
                required: too_few.required,
            };
            leader.machine.check_append().map_err(not_enough)?;
        }
        Ok(leader.machine.leader_epoch())
    }
}

/// What a follower that has to begin at the log's start is told of producers: else it would take a repeated batch for a new one that
/// was committed and deleted before.
pub(super) fn producers_for(log: &Log, error: ErrorCode, log_start_offset: Offset) -> Bytes {
    if error == ErrorCode::OffsetOutOfRange { log.producers_below(log_start_offset) } else { Bytes::new() }
}
