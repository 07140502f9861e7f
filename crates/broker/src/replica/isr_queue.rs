use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use raftsman_replication::{IsrAnswer, IsrProposal};
use raftsman_types::{ErrorCode, TopicIdPartition};
use tokio::sync::Notify;

use super::core::Core;
use super::link::{IsrChange, IsrChangeFailure, IsrChangeResult};
use super::partition::Partition;

/// The most changes in one request, so that one metadata entry can hold them.
const BATCH_MAX: usize = 1000;

/// Changes of in-sync replicas on their way to the controller: sent at once when none is under way, else together as
/// soon as the answer has come.
#[derive(Default)]
pub(super) struct IsrQueue {
    waiting: Mutex<BTreeMap<TopicIdPartition, (Arc<Partition>, IsrProposal)>>,
    wake: Notify,
}

impl IsrQueue {
    /// Queues a leader's proposal, in the place of an older one of the same partition.
    pub fn push(&self, partition: Arc<Partition>, proposal: IsrProposal) {
        let at = partition.at;
        self.waiting.lock().insert(at, (partition, proposal));
        self.wake.notify_one();
    }

    /// Lets go of what was not sent.
    pub fn clear(&self) {
        self.waiting.lock().clear();
    }

    /// The next request; `None` if there is nothing to ask for.
    pub fn take(&self) -> Option<IsrBatch> {
        let mut waiting = self.waiting.lock();
        let keys: Vec<TopicIdPartition> = waiting.keys().take(BATCH_MAX).copied().collect();
        let proposals: Vec<_> = keys.iter().filter_map(|at| waiting.remove(at)).collect();
        (!proposals.is_empty()).then_some(IsrBatch(proposals))
    }
}

/// What one request asks of the controller.
pub(super) struct IsrBatch(Vec<(Arc<Partition>, IsrProposal)>);

impl IsrBatch {
    /// The request.
    pub fn changes(&self) -> Vec<IsrChange> {
        self.0.iter().map(|(partition, proposal)| change(partition.at, proposal)).collect()
    }

    /// Tells the leaders what became of it.
    pub fn answered(self, answer: Result<Vec<IsrChangeResult>, IsrChangeFailure>) {
        match answer {
            Ok(results) => deliver(self.0, &results),
            Err(failure) => {
                tracing::warn!(partitions = self.0.len(), "changing in-sync replicas: {failure}");
                let answer = match failure {
                    IsrChangeFailure::NotTaken(_) => IsrAnswer::NotTaken,
                    IsrChangeFailure::Unknown(_) => IsrAnswer::Unknown,
                };
                for (partition, proposal) in self.0 {
                    partition.isr_answered(proposal.leader_epoch, proposal.partition_epoch, answer);
                }
            }
        }
    }
}

/// Carries proposals to the controller and answers back, for as long as the broker runs.
pub(super) async fn drive(core: Arc<Core>) {
    loop {
        let Some(batch) = core.isr_queue.take() else {
            core.isr_queue.wake.notified().await;
            continue;
        };
        let answer = core.link.alter_partition(batch.changes()).await;
        batch.answered(answer);
    }
}

fn change(at: TopicIdPartition, proposal: &IsrProposal) -> IsrChange {
    IsrChange {
        at,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        new_isr: proposal.new_isr.clone(),
        recovered: proposal.recovered,
    }
}

fn deliver(batch: Vec<(Arc<Partition>, IsrProposal)>, results: &[IsrChangeResult]) {
    let results: HashMap<TopicIdPartition, ErrorCode> = results.iter().map(|r| (r.at, r.error)).collect();
    for (partition, proposal) in batch {
        let answer = match results.get(&partition.at) {
            Some(ErrorCode::None) => IsrAnswer::Committed,
            Some(error) => IsrAnswer::Refused(*error),
            // An answer that leaves a partition out says nothing about it.
            None => IsrAnswer::Unknown,
        };
        partition.isr_answered(proposal.leader_epoch, proposal.partition_epoch, answer);
    }
}
