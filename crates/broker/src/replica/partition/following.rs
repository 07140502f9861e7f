use std::sync::Arc;

use bytes::Bytes;
use raftsman_metadata::ThrottledSide;
use raftsman_records::split_batches;
use raftsman_replication::{Durability, Follower, FollowerEffect, FollowerEvent};
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerId, ErrorCode, LeaderEpoch};

use super::{FollowerRole, Partition, Role, Standing, State};
use crate::replica::AppendError;
use crate::replica::fetch_stream::FetchStream;
use crate::replica::flush_queue::FlushUrgency;

impl Partition {
    /// Follows a leader, or goes on following it.
    pub fn follow(
        self: &Arc<Self>,
        leader: BrokerId,
        epoch: LeaderEpoch,
        durability: Durability,
        stream: &Arc<FetchStream>,
    ) {
        let mut state = self.state.lock();
        if state.standing != Standing::Online || epoch < state.leader_epoch {
            return;
        }
        if let Role::Follower(follower) = &mut state.role
            && follower.machine.leader_epoch() == epoch
            && Arc::ptr_eq(&follower.stream, stream)
        {
            follower.machine.set_durability(durability);
            self.prepare_for(&mut state, durability);
            return;
        }
        state.leader_epoch = epoch;
        self.leave_role(&mut state, &AppendError::NotLeaderOrFollower);
        if state.latest_epoch() > epoch {
            tracing::warn!(
                partition = %self.name(),
                "waits for newer metadata: its log knows leader epoch {}, the metadata {epoch}",
                state.latest_epoch()
            );
            return;
        }
        self.prepare_for(&mut state, durability);
        let epochs = (state.latest_epoch(), state.last_record_epoch());
        let machine = Follower::new(leader, epoch, durability, state.position(), epochs, state.high_watermark);
        tracing::debug!(partition = %self.name(), %leader, %epoch, "follows");
        state.role = Role::Follower(FollowerRole { machine, stream: Arc::clone(stream) });
        self.log_start_moved(&mut state);
        if stream.add(self) {
            self.step_follower(&mut state, FollowerEvent::Connected, None);
        }
        drop(state);
        self.queue_flush();
    }

    /// The stream to the leader came up or broke, or time passed. Says whether the follower waits for time to pass.
    pub fn stream_event(self: &Arc<Self>, stream: &Arc<FetchStream>, event: FollowerEvent) -> bool {
        let mut state = self.state.lock();
        if state.follows_over(stream) {
            self.step_follower(&mut state, event, None);
        }
        matches!(&state.role, Role::Follower(follower) if follower.machine.waits())
    }

    /// Records came from the leader. Says whether the follower now waits for time to pass.
    pub fn data(self: &Arc<Self>, stream: &Arc<FetchStream>, data: pb::Data) -> bool {
        let mut state = self.state.lock();
        if !state.follows_over(stream) {
            return false;
        }
        let event = FollowerEvent::Data {
            subscription: data.subscription,
            previous_offset: data.previous_offset,
            previous_epoch: LeaderEpoch(data.previous_epoch),
            high_watermark: data.high_watermark,
            log_start_offset: data.log_start_offset,
        };
        self.step_follower(&mut state, event, Some(data.records));
        let waits = matches!(&state.role, Role::Follower(follower) if follower.machine.waits());
        let now = self.core.wall_time();
        // Whether its leader has somebody wait for the ack is not known here.
        self.flush_in_time(state, now, FlushUrgency::Hurried);
        waits
    }

    /// Whether what it takes in counts against the follower's quota (KIP-73): as long as it is not in sync.
    pub fn is_throttled_follower(&self) -> bool {
        let me = self.core.me();
        self.core.throttle.is_set(ThrottledSide::Follower)
            && self.settings.read().throttled_followers.contains(self.at.partition, me)
            && self.core.image().partition(self.at).is_some_and(|state| !state.isr.contains(&me))
    }

    /// The leader says something else of the subscription. Says whether the follower now waits for time to pass.
    pub fn subscription_state(self: &Arc<Self>, stream: &Arc<FetchStream>, said: pb::SubscriptionState) -> bool {
        use pb::subscription_state::State as Said;
        let mut state = self.state.lock();
        if !state.follows_over(stream) {
            return false;
        }
        let subscription = said.subscription;
        let mut producers = None;
        let event = match said.state {
            Some(Said::Diverging(diverging)) => {
                let (epoch, leader_end) = (LeaderEpoch(diverging.epoch), diverging.end_offset);
                FollowerEvent::Diverging { subscription, leader_end, own: state.log.end_offset_for(epoch) }
            }
            Some(Said::Refused(refused)) => {
                producers = Some(refused.producers);
                let (error, log_start_offset) = (error_code(refused.error_code), refused.log_start_offset);
                FollowerEvent::Refused { subscription, error, log_start_offset }
            }
            Some(Said::Watermarks(watermarks)) => FollowerEvent::Watermark {
                subscription,
                high_watermark: watermarks.high_watermark,
                log_start_offset: watermarks.log_start_offset,
            },
            // A newer leader says something this version does not know; it concerns nothing that was asked for.
            None => return false,
        };
        self.step_follower(&mut state, event, producers);
        let waits = matches!(&state.role, Role::Follower(follower) if follower.machine.waits());
        // A cut may have made a flush under way worthless.
        let unflushed = state.log.flushed_offset() < state.log.log_end_offset();
        let flush = unflushed && state.wants_flush(self.core.wall_time());
        drop(state);
        if flush {
            self.queue_flush();
        }
        waits
    }

    /// Steps the follower and carries its effects out, of which some are steps again. `payload` is what came with the event: records,
    /// or what a leader that refuses says of producers.
    pub(super) fn step_follower(self: &Arc<Self>, state: &mut State, event: FollowerEvent, mut payload: Option<Bytes>) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = self.core.now();
            let Role::Follower(FollowerRole { machine, stream }) = &mut state.role else { return };
            let mut effects = Vec::new();
            machine.step(now, event, &mut effects);
            let leader_epoch = machine.leader_epoch();
            let stream = Arc::clone(stream);
            for effect in effects {
                match effect {
                    FollowerEffect::Subscribe { log_end_offset, last_epoch, flushed_offset, log_start_offset } => {
                        // The leader takes for written what it is told of here.
                        if !self.write_out(state) {
                            // Without room or a file it is told later.
                            events.push(FollowerEvent::AppendRefused);
                            continue;
                        }
                        let position = (log_end_offset, last_epoch, flushed_offset);
                        let subscription = stream.subscribe(self, leader_epoch, position, log_start_offset);
                        events.push(FollowerEvent::Named { subscription });
                    }
                    FollowerEffect::Append => {
                        let records = payload.take().unwrap_or_default();
                        events.extend(self.append_from_leader(state, leader_epoch, records));
                    }
                    FollowerEffect::Truncate { to } => {
                        tracing::info!(
                            partition = %self.name(),
                            "cuts its log from {} to {to}: it diverges from the leader's",
                            state.log.log_end_offset()
                        );
                        let done = state.log.truncate_to(to).map(|_| ());
                        events.extend(self.cut(state, done));
                    }
                    FollowerEffect::Restart { at } => {
                        tracing::warn!(
                            partition = %self.name(),
                            "starts its log anew at {at}: nothing of {}..{} is in the leader's",
                            state.log.log_start_offset(),
                            state.log.log_end_offset()
                        );
                        let producers = payload.take().unwrap_or_default();
                        let done = state.log.reset_to(at).and_then(|()| state.log.adopt_producers(&producers));
                        events.extend(self.cut(state, done));
                    }
                    FollowerEffect::Ack { subscription, written_offset, flushed_offset, log_start_offset } => {
                        // What waits for a flush is in the log, and would not outlive this process.
                        let written_offset = written_offset.min(state.log.written_offset());
                        stream.ack(pb::Ack { subscription, written_offset, flushed_offset, log_start_offset });
                    }
                    FollowerEffect::WithoutRoom { subscription } => stream.without_room(subscription),
                    FollowerEffect::LookForRoom => {
                        // As much as clients are given again: else it would be back only to fail with the next record.
                        let room = self.directory.has_room(1, true);
                        events.push(if room { FollowerEvent::Room } else { FollowerEvent::NoRoom });
                    }
                    FollowerEffect::HighWatermarkAdvanced { to } => {
                        state.high_watermark = to;
                        state.log.transactions_replicated(to);
                    }
                    FollowerEffect::AdvanceLogStart { to } => events.extend(self.delete_as_leader_did(state, to)),
                }
            }
        }
    }

    fn append_from_leader(
        self: &Arc<Self>,
        state: &mut State,
        leader_epoch: LeaderEpoch,
        records: Bytes,
    ) -> Vec<FollowerEvent> {
        if let Err(reason) = check(&records, leader_epoch) {
            tracing::error!(partition = %self.name(), "refuses what its leader sent: {reason}");
            return vec![FollowerEvent::AppendRefused];
        }
        if !self.directory.has_room(records.len(), false) {
            return vec![FollowerEvent::NoRoom];
        }
        let defers = state.durability() == Durability::Flushed;
        state.log.defer_writes(defers);
        let generation = state.log.generation();
        let write = self.directory.disk.write(self.core.now());
        let written = state.log.append_as_follower(records, self.core.wall_time());
        drop(write);
        match written {
            Ok(_) => {
                let appended = FollowerEvent::Appended {
                    log_end_offset: state.log.log_end_offset(),
                    last_epoch: state.latest_epoch(),
                };
                // The leader's log starts in the middle of the first batch: this one was begun anew with the whole of it.
                let begun_anew = state.log.generation() != generation;
                // The last one is taken up first.
                begun_anew.then(|| self.log_start_uncertain(state)).into_iter().chain([appended]).collect()
            }
            Err(raftsman_log::AppendError::Storage(error)) if error.is_passing() => {
                let put_off = match error.is_out_of_space() {
                    true => {
                        self.directory.out_of_space();
                        FollowerEvent::NoRoom
                    }
                    false => {
                        self.directory.out_of_files(&self.core, &error);
                        FollowerEvent::AppendRefused
                    }
                };
                let begun_anew = state.log.generation() != generation;
                // Begun anew, as above, but for the batch: until it is there the log begins and ends in front of it.
                let moved = begun_anew.then(|| self.log_start_uncertain(state));
                state.high_watermark = state.high_watermark.min(state.log.log_end_offset());
                [put_off].into_iter().chain(moved).collect()
            }
            Err(error @ raftsman_log::AppendError::Storage(_)) => {
                self.directory.fail(&self.core, &error);
                Vec::new()
            }
            Err(error) => {
                tracing::error!(partition = %self.name(), "refuses what its leader sent: {error}");
                vec![FollowerEvent::AppendRefused]
            }
        }
    }

    fn cut(self: &Arc<Self>, state: &mut State, done: Result<(), raftsman_log::LogError>) -> Vec<FollowerEvent> {
        match done {
            // Nothing was begun. It subscribes anew after a while, and is told again where its log diverges.
            Err(error) if error.is_out_of_files() => {
                self.directory.out_of_files(&self.core, &error);
                return vec![FollowerEvent::AppendRefused];
            }
            // The log is as it was: it says so to the leader again once there is room, and is told again what to cut.
            Err(error) if error.is_out_of_space() => {
                tracing::warn!(partition = %self.name(), "cannot cut its log before there is room: {error}");
                self.directory.out_of_space();
                return vec![FollowerEvent::NoRoom];
            }
            Err(error) => {
                self.directory.fail(&self.core, &error);
                return Vec::new();
            }
            Ok(()) => {}
        }
        state.cuts += 1;
        let log = state.position();
        state.high_watermark = state.high_watermark.clamp(log.start, log.end);
        let (last_epoch, last_record_epoch) = (state.latest_epoch(), state.last_record_epoch());
        // The last one is taken up first.
        vec![self.log_start_uncertain(state), FollowerEvent::Cut { log, last_epoch, last_record_epoch }]
    }
}

impl State {
    fn follows_over(&self, stream: &Arc<FetchStream>) -> bool {
        self.standing == Standing::Online
            && matches!(&self.role, Role::Follower(follower) if Arc::ptr_eq(&follower.stream, stream))
    }
}

/// What a follower checks of a leader's bytes before they enter its log: whole batches, of no later epoch. That they are
/// intact is for the log to check.
fn check(records: &Bytes, leader_epoch: LeaderEpoch) -> Result<(), String> {
    for batch in split_batches(records.clone(), false) {
        let batch = batch.map_err(|e| e.to_string())?;
        let epoch = batch.header().partition_leader_epoch;
        if epoch > leader_epoch {
            return Err(format!("a batch at offset {} of epoch {epoch:?}, later than its own", batch.base_offset()));
        }
    }
    Ok(())
}

fn error_code(code: i32) -> ErrorCode {
    i16::try_from(code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code)
}
