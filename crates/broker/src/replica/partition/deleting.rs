use std::sync::Arc;

use raftsman_replication::{FollowerEvent, LeaderEvent};
use raftsman_types::Offset;
use tokio::sync::oneshot;

use super::{Partition, Role, Standing, State};
use crate::replica::waiters::CommitOutcome;
use crate::replica::{DeleteRecordsError, RecordsDeleted};

/// The offset that stands for the high watermark in DeleteRecords.
const HIGH_WATERMARK: Offset = -1;

impl Partition {
    /// Moves the log's start up to an offset, or to the high watermark for -1 (KIP-107).
    pub fn delete_records(self: &Arc<Self>, offset: Offset) -> Result<RecordsDeleted, DeleteRecordsError> {
        if !self.settings.read().deletes_records {
            return Err(DeleteRecordsError::PolicyViolation);
        }
        let mut state = self.state.lock();
        if state.standing == Standing::Offline {
            return Err(DeleteRecordsError::Storage);
        }
        let leader_epoch = match &state.role {
            Role::Leader(leader) if self.core.may_serve() => leader.machine.leader_epoch(),
            _ => return Err(DeleteRecordsError::NotLeaderOrFollower),
        };
        let high_watermark = state.high_watermark;
        let before = if offset == HIGH_WATERMARK { high_watermark } else { offset };
        if before < 0 || before > high_watermark {
            return Err(DeleteRecordsError::OffsetOutOfRange { offset, high_watermark });
        }
        if let Err(error) = state.log.advance_log_start_offset(before, self.core.wall_time()) {
            self.directory.log_failed(&self.core, &error);
            return Err(DeleteRecordsError::Storage);
        }
        self.log_start_moved(&mut state);
        // Files were made or removed.
        drop(state);
        self.queue_flush();
        Ok(RecordsDeleted { before, leader_epoch })
    }

    /// A place in line for the low watermark; the low watermark itself if it is there.
    pub fn wait_for_deletion(
        &self,
        deleted: RecordsDeleted,
    ) -> Result<Result<Offset, oneshot::Receiver<CommitOutcome>>, DeleteRecordsError> {
        let mut state = self.state.lock();
        match (&state.role, state.standing) {
            (_, Standing::Offline) => Err(DeleteRecordsError::Storage),
            (Role::Leader(leader), _) if leader.machine.leader_epoch() == deleted.leader_epoch => {
                let low_watermark = leader.machine.low_watermark();
                if low_watermark >= deleted.before {
                    return Ok(Ok(low_watermark));
                }
                Ok(Err(state.deletions.wait(deleted.before - 1)))
            }
            _ => Err(DeleteRecordsError::NotLeaderOrFollower),
        }
    }

    /// No live replica has records below, while this broker leads.
    pub fn low_watermark(&self) -> Option<Offset> {
        match &self.state.lock().role {
            Role::Leader(leader) => Some(leader.machine.low_watermark()),
            _ => None,
        }
    }

    /// Tells the machine where the log starts, and the followers if it is a leader's. If a crash would leave an earlier
    /// start, that is mended soon.
    pub(super) fn log_start_moved(self: &Arc<Self>, state: &mut State) {
        let (log_start_offset, kept_log_start_offset) = (state.log.log_start_offset(), state.kept_log_start);
        if kept_log_start_offset < log_start_offset {
            self.directory.queue_checkpoint(&self.core);
        }
        match &mut state.role {
            Role::Idle => {}
            Role::Leader(leader) => {
                if std::mem::replace(&mut leader.told_log_start, log_start_offset) != log_start_offset {
                    for (key, session) in &leader.subscribers {
                        session.watermark_moved(key.subscription);
                    }
                }
                self.step_leader(state, LeaderEvent::LogStartMoved { log_start_offset, kept_log_start_offset });
            }
            Role::Follower(_) => {
                let event = FollowerEvent::LogStartMoved { log_start_offset, kept_log_start_offset };
                self.step_follower(state, event, None);
            }
        }
    }

    /// The checkpoint file was written, or what kept it from being heeded is gone for good: a crash may leave what it says now.
    pub(super) fn keep_start(self: &Arc<Self>, state: &mut State) {
        let start = state.checkpointed_start;
        if state.kept_log_start != start && state.log.heeds_checkpointed_start(start) {
            state.kept_log_start = start;
            self.log_start_moved(state);
        }
    }

    /// The leader deleted records: they go here too.
    pub(super) fn delete_as_leader_did(self: &Arc<Self>, state: &mut State, to: Offset) -> Option<FollowerEvent> {
        if let Err(error) = state.log.advance_log_start_offset(to, self.core.wall_time()) {
            self.directory.log_failed(&self.core, &error);
            return None;
        }
        if state.kept_log_start < state.log.log_start_offset() {
            self.directory.queue_checkpoint(&self.core);
        }
        self.queue_flush();
        Some(state.log_start_event())
    }

    /// The log was cut or begun anew: what the checkpoint file says of its start may hold no longer.
    pub(super) fn log_start_uncertain(self: &Arc<Self>, state: &mut State) -> FollowerEvent {
        if !state.log.heeds_checkpointed_start(state.kept_log_start) {
            state.kept_log_start = 0;
        }
        if state.log.log_start_offset() > 0 {
            self.directory.queue_checkpoint(&self.core);
        }
        state.log_start_event()
    }
}

impl State {
    fn log_start_event(&self) -> FollowerEvent {
        let (log_start_offset, kept_log_start_offset) = (self.log.log_start_offset(), self.kept_log_start);
        FollowerEvent::LogStartMoved { log_start_offset, kept_log_start_offset }
    }
}
