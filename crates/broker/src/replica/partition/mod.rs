//! One replica: its log, its role, and those who wait on it, behind one lock.
//!
//! The lock is held for one step: appends and tail reads happen inline on whatever thread asks, and only flushes leave
//! it. Locks are taken in one order, a partition's before a stream's or a queue's and these before that of its settings, never
//! two partitions' at once.

mod cleaning;
mod deleting;
mod following;
mod inspection;
mod leading;
mod listing;
mod reading;
mod sending;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use raftsman_log::{FlushTicket, Log, LogError};
use raftsman_replication::SubscriptionKey;
use raftsman_replication::{Durability, Follower, FollowerEvent, Leader, LeaderEvent, LeadershipView, LogPosition};
use raftsman_types::{LeaderEpoch, Offset, TopicIdPartition, WallTime};

pub(super) use self::cleaning::CompactionRun;
pub(super) use self::reading::COLD_READS_MAX;
pub(super) use self::sending::{FollowerRead, NotNow};

use super::core::Core;
use super::directory::Directory;
use super::fetch_stream::FetchStream;
use super::flush_queue::FlushUrgency;
use super::session::Session;
use super::settings::TopicSettings;
use super::waiters::{CommitWaiters, ReadWaiters};
use super::{AppendError, FetchTerms, PartitionState, ReplicaRole};

/// A replica on this broker.
pub(super) struct Partition {
    pub at: TopicIdPartition,
    pub topic: Arc<str>,
    pub directory: Arc<Directory>,
    core: Arc<Core>,
    settings: RwLock<Arc<TopicSettings>>,
    state: Mutex<State>,
    /// Apart from the state: who waits can be told even while a write that does not return holds that.
    commits: Mutex<CommitWaiters>,
    flush_queued: AtomicBool,
    attention_queued: AtomicBool,
}

struct State {
    log: Log,
    role: Role,
    /// The newest leader epoch the metadata told.
    leader_epoch: LeaderEpoch,
    high_watermark: Offset,
    /// The log end when checkpoints were last written.
    end_at_checkpoint: Offset,
    readers: ReadWaiters,
    /// Requests that wait for the low watermark.
    deletions: CommitWaiters,
    /// The log start that a crash would leave, by the checkpoint file.
    kept_log_start: Offset,
    /// The log start that the checkpoint file says, whether a crash would leave it or not.
    checkpointed_start: Offset,
    standing: Standing,
    /// How often the log was cut or begun anew.
    cuts: u64,
    /// How often compacted segments were swapped in.
    swaps: u64,
    /// What the metadata says of this leader's partition, where an ack of records that are written has to wait for them to be.
    put_off_view: Option<Box<LeadershipView>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Online,
    /// Its directory failed.
    Offline,
    /// It was deleted or the broker stopped: the log is closed.
    Closed,
}

enum Role {
    Idle,
    Leader(LeaderRole),
    Follower(FollowerRole),
}

struct LeaderRole {
    machine: Leader,
    subscribers: Vec<(SubscriptionKey, Arc<Session>)>,
    /// The log start that followers were told, or are about to be.
    told_log_start: Offset,
}

struct FollowerRole {
    machine: Follower,
    stream: Arc<FetchStream>,
}

impl Partition {
    pub fn new(
        core: Arc<Core>,
        at: TopicIdPartition,
        topic: Arc<str>,
        directory: Arc<Directory>,
        log: Log,
        high_watermark: Offset,
        settings: TopicSettings,
    ) -> Arc<Partition> {
        let high_watermark = high_watermark.clamp(log.log_start_offset(), log.log_end_offset());
        // What was just read from the disk; but a note may stand in the way of what the file says next time.
        let kept_log_start =
            if log.heeds_checkpointed_start(log.log_start_offset()) { log.log_start_offset() } else { 0 };
        Arc::new(Partition {
            at,
            topic,
            directory,
            core,
            settings: RwLock::new(Arc::new(settings)),
            state: Mutex::new(State {
                log,
                role: Role::Idle,
                leader_epoch: LeaderEpoch::NONE,
                high_watermark,
                end_at_checkpoint: -1,
                readers: ReadWaiters::default(),
                deletions: CommitWaiters::default(),
                kept_log_start,
                checkpointed_start: kept_log_start,
                standing: Standing::Online,
                cuts: 0,
                swaps: 0,
                put_off_view: None,
            }),
            commits: Mutex::default(),
            flush_queued: AtomicBool::new(false),
            attention_queued: AtomicBool::new(false),
        })
    }

    /// Takes a topic's changed settings.
    pub fn set_settings(&self, settings: TopicSettings) {
        if **self.settings.read() != settings {
            let mut state = self.state.lock();
            state.log.set_config(settings.log.clone());
            *self.settings.write() = Arc::new(settings);
        }
    }

    /// What its topic says about old fetchers.
    pub fn fetch_terms(&self) -> FetchTerms {
        self.settings.read().fetch_terms
    }

    /// Where it stands, for handlers, health and tests.
    pub fn snapshot(&self) -> PartitionState {
        let state = self.state.lock();
        PartitionState {
            role: match &state.role {
                Role::Idle => ReplicaRole::Idle,
                Role::Leader(_) => ReplicaRole::Leader,
                Role::Follower(_) => ReplicaRole::Follower,
            },
            leader_epoch: state.leader_epoch,
            high_watermark: state.high_watermark,
            log_end_offset: state.log.log_end_offset(),
            flushed_offset: state.log.flushed_offset(),
            log_start_offset: state.log.log_start_offset(),
            in_sync: if let Role::Leader(leader) = &state.role { leader.machine.isr().committed().len() } else { 0 },
        }
    }

    /// Nobody leads, or the metadata does not say who: serve and follow nobody.
    pub fn become_idle(self: &Arc<Self>, leader_epoch: LeaderEpoch) {
        let mut state = self.state.lock();
        if leader_epoch >= state.leader_epoch && state.standing == Standing::Online {
            state.leader_epoch = leader_epoch;
            self.leave_role(&mut state, &AppendError::NotLeaderOrFollower);
        }
    }

    /// This broker's registration is not the one the metadata shows: whatever it was, it is not now.
    pub fn resign(self: &Arc<Self>) {
        self.leave_role(&mut self.state.lock(), &AppendError::NotLeaderOrFollower);
    }

    /// The controller has not been heard of for a session and a half: another broker may lead by now. Who waits for a commit would
    /// wait in vain until its deadline, and who waits for records would be kept from the new leader.
    pub fn contact_lost(&self) {
        let mut state = self.state.lock();
        if matches!(state.role, Role::Leader(_)) {
            self.commits.lock().fail(&AppendError::NotLeaderOrFollower);
            state.deletions.fail(&AppendError::NotLeaderOrFollower);
            state.readers.wake();
        }
    }

    /// A write of its directory does not return, and may hold this replica's state: who waits is told to look elsewhere.
    pub fn turn_away(&self) {
        self.commits.lock().fail(&AppendError::NotLeaderOrFollower);
        if let Some(mut state) = self.state.try_lock() {
            state.deletions.fail(&AppendError::NotLeaderOrFollower);
            state.readers.wake();
        }
    }

    /// The directory failed: everybody who waits is told, and nothing is served until the broker restarts.
    pub fn go_offline(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.standing == Standing::Online {
            state.standing = Standing::Offline;
            self.leave_role(&mut state, &AppendError::Storage);
            state.log.abandon_files();
        }
    }

    /// Ends the replica's work, for its deletion: who waits is told, and nothing is written any more.
    pub fn end(self: &Arc<Self>) {
        let mut state = self.state.lock();
        self.leave_role(&mut state, &AppendError::NotLeaderOrFollower);
        state.standing = Standing::Closed;
        state.log.release_files();
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.directory.files.partition_path(&self.topic, self.at.partition)
    }

    /// How long its files stay when it is deleted (`file.delete.delay.ms`).
    pub fn file_delete_delay(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.settings.read().log.file_delete_delay_ms).unwrap_or(0))
    }

    /// Ends the replica's work because the broker stops. What is left to sync comes back, to be synced together with
    /// that of others and handed to [`complete_close`](Partition::complete_close).
    ///
    /// # Errors
    /// If something could not be written.
    pub fn begin_close(self: &Arc<Self>) -> Result<Option<FlushTicket>, LogError> {
        let mut state = self.state.lock();
        self.leave_role(&mut state, &AppendError::NotLeaderOrFollower);
        if std::mem::replace(&mut state.standing, Standing::Closed) != Standing::Online {
            return Ok(None);
        }
        state.log.begin_close()?;
        Ok(state.log.begin_flush())
    }

    /// Closes the log after its last sync.
    ///
    /// # Errors
    /// If that failed.
    pub fn complete_close(&self, ticket: FlushTicket) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.log.complete_flush(ticket)?;
        state.log.release_files();
        Ok(())
    }

    /// Now and then: a log that was not written to since the last time lets go of its files; one that was is flushed
    /// soon, whatever its durability, so that little has to be checked after a crash.
    pub fn rest(self: &Arc<Self>) {
        self.remove_deleted_files();
        let mut state = self.state.lock();
        if state.standing != Standing::Online {
            return;
        }
        let end = state.log.log_end_offset();
        let idle = std::mem::replace(&mut state.end_at_checkpoint, end) == end;
        if state.log.recovery_point() < end {
            self.queue_flush();
        } else if idle {
            state.log.release_files();
        }
    }

    /// What the checkpoint files of its directory say of it: recovery point, log start, high watermark.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let state = self.state.lock();
        (state.standing != Standing::Offline).then(|| Checkpoint {
            recovery_point: state.log.recovery_point(),
            log_start_offset: state.log.log_start_offset(),
            high_watermark: state.high_watermark,
            compacted_upto: state.log.compacted_upto(),
            generation: state.log.generation(),
        })
    }

    /// What [`checkpoint`](Partition::checkpoint) told is on the disk.
    pub fn checkpointed(self: &Arc<Self>, checkpoint: Checkpoint) {
        let mut state = self.state.lock();
        // What was told of the log before it was cut is no more.
        if state.standing == Standing::Offline || state.log.generation() != checkpoint.generation {
            return;
        }
        let start = checkpoint.log_start_offset;
        let heeded = state.log.heeds_checkpointed_start(start);
        if let Err(error) = state.log.recovery_point_checkpointed(checkpoint.recovery_point) {
            return self.directory.log_failed(&self.core, &error);
        }
        if !heeded && start > 0 {
            // The note that kept the file from being heeded is gone; until that is synced a power cut would bring it back.
            self.queue_flush();
        }
        state.checkpointed_start = start;
        self.keep_start(&mut state);
    }

    /// Rolls and deletes segments as the topic's settings say; never past the high watermark.
    pub fn clean_up(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.standing != Standing::Online {
            return;
        }
        let (now, upto) = (self.core.wall_time(), state.high_watermark);
        let rolled = state.log.roll_if_due(now).map(drop);
        // Whatever became of that: what is deleted makes the room that a new segment may have lacked.
        let deleted = state.log.delete_old_segments(upto, now).map(drop);
        for error in [rolled, deleted].into_iter().filter_map(Result::err) {
            self.directory.log_failed(&self.core, &error);
        }
        self.log_start_moved(&mut state);
        drop(state);
        self.queue_flush();
    }

    /// The flusher begins: what is written until now goes to the disk.
    pub fn begin_flush(&self) -> Option<FlushTicket> {
        let mut state = self.state.lock();
        self.flush_queued.store(false, Ordering::Release);
        if state.standing == Standing::Online { state.log.begin_flush() } else { None }
    }

    /// The flusher is done.
    pub fn flushed(self: &Arc<Self>, ticket: FlushTicket) {
        let mut state = self.state.lock();
        if state.standing != Standing::Online {
            return;
        }
        let was_empty = state.log.recovery_point() == 0;
        let flushed_offset = match state.log.complete_flush(ticket) {
            Ok(flushed_offset) => flushed_offset,
            Err(error) => {
                self.directory.log_failed(&self.core, &error);
                if error.is_passing() && !self.attention_queued.swap(true, Ordering::AcqRel) {
                    // An ack may wait for it: it is tried again at the next tick.
                    self.core.attention.leader(Arc::clone(self));
                }
                return;
            }
        };
        self.keep_start(&mut state);
        match &state.role {
            Role::Idle => {}
            Role::Leader(_) => self.step_leader(&mut state, LeaderEvent::Flushed { flushed_offset }),
            Role::Follower(_) => self.step_follower(&mut state, FollowerEvent::Flushed { flushed_offset }, None),
        }
        if was_empty && flushed_offset > 0 {
            // From here on the checkpoint shows, should the replica be gone, that it was there.
            self.directory.queue_checkpoint(&self.core);
        }
        // A ticket from before a truncation flushes nothing: what it was for still waits.
        let left = flushed_offset < state.log.log_end_offset() && state.wants_flush(self.core.wall_time());
        let view = state.put_off_view.take();
        drop(state);
        if let Some(view) = view {
            self.lead(*view);
        }
        if left {
            // Mostly it is queued already, as urgently as it should be.
            self.queue_flush_with(FlushUrgency::Unhurried);
        }
    }

    /// After a write: has it flushed now if that is asked for, or looked at again in time where `flush.ms` is set.
    fn flush_in_time(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: WallTime, urgency: FlushUrgency) {
        let flush = state.wants_flush(now);
        let later = !flush && state.log.config().flush_ms != i64::MAX;
        drop(state);
        if flush {
            self.queue_flush_with(urgency);
        } else if later && !self.attention_queued.swap(true, Ordering::AcqRel) {
            self.core.attention.leader(Arc::clone(self));
        }
    }

    /// Before a follower's acks mean what `durability` says: where they are for written records, none should wait for a
    /// flush to be written. What waits all the same is not acked.
    fn prepare_for(self: &Arc<Self>, state: &mut State, durability: Durability) {
        if durability == Durability::Written {
            self.write_out(state);
        }
    }

    /// The same for a leader, which acks what is in its log: if that cannot be written now, acks are for flushed records until it is.
    fn prepare_to_lead(self: &Arc<Self>, state: &mut State, view: LeadershipView) -> LeadershipView {
        let is_ready = view.durability != Durability::Written || self.write_out(state);
        state.put_off_view = (!is_ready).then(|| Box::new(view.clone()));
        let durability = if is_ready { view.durability } else { Durability::Flushed };
        LeadershipView { durability, ..view }
    }

    /// Writes what waits for a flush. Says whether all is written.
    fn write_out(self: &Arc<Self>, state: &mut State) -> bool {
        let write = self.directory.disk.write(self.core.now());
        let written = state.log.write_out();
        drop(write);
        if let Err(error) = &written {
            self.directory.log_failed(&self.core, error);
        }
        written.is_ok()
    }

    /// Has the flusher look at this log soon.
    fn queue_flush(self: &Arc<Self>) {
        self.queue_flush_with(FlushUrgency::Hurried);
    }

    fn queue_flush_with(self: &Arc<Self>, urgency: FlushUrgency) {
        if !self.flush_queued.swap(true, Ordering::AcqRel) {
            self.directory.flushes.push(Arc::clone(self), urgency);
        } else if urgency == FlushUrgency::Hurried {
            self.directory.flushes.hurry();
        }
    }

    fn leave_role(self: &Arc<Self>, state: &mut State, error: &AppendError) {
        state.put_off_view = None;
        match std::mem::replace(&mut state.role, Role::Idle) {
            Role::Idle => {}
            Role::Leader(leader) => self.stop_leading(leader),
            Role::Follower(follower) => follower.stream.remove(self.at),
        }
        self.commits.lock().fail(error);
        state.deletions.fail(error);
        state.readers.wake();
    }
}

impl State {
    /// Whether an ack or the topic's settings wait for a flush, or so many logs have something to flush that their files are too
    /// many.
    fn wants_flush(&mut self, now: WallTime) -> bool {
        self.durability() == Durability::Flushed || self.log.flush_is_due(now) || self.log.wants_files_flushed()
    }

    /// What its acks promise.
    fn durability(&self) -> Durability {
        match &self.role {
            Role::Idle => Durability::Flushed,
            Role::Leader(leader) => leader.machine.durability(),
            Role::Follower(follower) => follower.machine.durability(),
        }
    }

    fn position(&self) -> LogPosition {
        LogPosition {
            start: self.log.log_start_offset(),
            end: self.log.log_end_offset(),
            flushed: self.log.flushed_offset(),
        }
    }

    fn latest_epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().unwrap_or(LeaderEpoch::NONE)
    }

    /// The epoch of the log's last record.
    fn last_record_epoch(&self) -> LeaderEpoch {
        self.epoch_before(self.log.log_end_offset())
    }

    /// The epoch of the record before an offset, if the log has one there.
    fn epoch_before(&self, offset: Offset) -> LeaderEpoch {
        if offset <= self.log.log_start_offset() {
            return LeaderEpoch::NONE;
        }
        self.log.epoch_of(offset - 1).unwrap_or(LeaderEpoch::NONE)
    }
}

/// What of a replica is written into its directory's checkpoint files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpoint {
    pub recovery_point: Offset,
    pub log_start_offset: Offset,
    pub high_watermark: Offset,
    pub compacted_upto: Offset,
    /// Which log it was told of.
    pub generation: u64,
}
