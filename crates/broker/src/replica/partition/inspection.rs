use bytes::Bytes;
use raftsman_log::ReadError;
use raftsman_types::Offset;

use super::{Partition, Role, Standing};
use crate::replica::ReplicaDescription;
use crate::replica::stepped::{LeaderInspection, ReplicaInspection};

impl Partition {
    /// What it takes of its disk; `None` for one that is there no more.
    pub fn describe(&self) -> Option<ReplicaDescription> {
        let state = self.state.lock();
        (state.standing == Standing::Online).then(|| ReplicaDescription {
            topic: std::sync::Arc::clone(&self.topic),
            partition: self.at.partition,
            size_bytes: state.log.size_in_bytes(),
            offset_lag: (state.high_watermark - state.log.log_end_offset()).max(0),
        })
    }

    /// The replica as it is, for whoever checks what must hold.
    pub fn inspect(&self) -> ReplicaInspection {
        let state = self.state.lock();
        let leader = match &state.role {
            Role::Leader(leader) => Some(LeaderInspection {
                leader_epoch: leader.machine.leader_epoch(),
                committed_isr: leader.machine.isr().committed().to_vec(),
                maximal_isr: leader.machine.isr().maximal().collect(),
                partition_epoch: leader.machine.isr().partition_epoch(),
            }),
            _ => None,
        };
        ReplicaInspection {
            leader,
            follows: match &state.role {
                Role::Follower(follower) => Some((follower.machine.leader(), follower.machine.leader_epoch())),
                _ => None,
            },
            leader_epoch: state.leader_epoch,
            log_epoch: state.latest_epoch(),
            high_watermark: state.high_watermark,
            log_start_offset: state.log.log_start_offset(),
            flushed_offset: state.log.flushed_offset(),
            log_end_offset: state.log.log_end_offset(),
            cuts: state.cuts,
            swaps: state.swaps,
            is_offline: state.standing == Standing::Offline || self.directory.is_offline(),
        }
    }

    /// Batches of the log from an offset on, committed or not; also of one that has just failed, for what was committed
    /// before that stays committed.
    pub fn inspect_log(&self, from: Offset, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        let state = self.state.lock();
        let end = state.log.log_end_offset();
        if from >= end { Ok(Vec::new()) } else { Ok(state.log.inspect(from, max_bytes)?.chunks) }
    }
}
