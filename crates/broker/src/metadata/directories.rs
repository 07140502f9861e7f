//! How the controller hears in which log directory each replica is (KIP-858).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_rpc::{controller as pb, id_bytes};
use raftsman_types::{DirectoryId, TopicIdPartition};
use tokio::sync::Notify;

use super::ControllerClient;

/// The most replicas in one request, so that one metadata entry can hold what becomes of them.
const BATCH_MAX: usize = 1000;
/// After a controller that did not take a request.
const RETRY: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(4);

/// Replicas whose directory the metadata does not name yet, or names wrongly.
#[derive(Default)]
pub(super) struct UnknownPlaces {
    waiting: Mutex<BTreeMap<TopicIdPartition, DirectoryId>>,
    wake: Notify,
}

impl UnknownPlaces {
    /// Notes where a replica is and where the metadata has it; right again it need not be said.
    pub fn note(&self, at: TopicIdPartition, actual: DirectoryId, recorded: DirectoryId) {
        let mut waiting = self.waiting.lock();
        if actual == recorded {
            waiting.remove(&at);
        } else if waiting.insert(at, actual) != Some(actual) {
            self.wake.notify_one();
        }
    }

    fn batch(&self) -> BTreeMap<TopicIdPartition, DirectoryId> {
        self.waiting.lock().iter().take(BATCH_MAX).map(|(at, directory)| (*at, *directory)).collect()
    }

    /// They were said, or need not be any more; unless the replica has moved or its directory has failed meanwhile.
    fn said(&self, batch: &BTreeMap<TopicIdPartition, DirectoryId>, failed_since: &BTreeSet<DirectoryId>) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|at, directory| batch.get(at) != Some(directory) || failed_since.contains(directory));
    }
}

impl ControllerClient {
    /// Says where replicas are, as long as there is something to say. Runs for ever.
    pub(crate) async fn say_places(&self) {
        let unknown = self.unknown_places();
        loop {
            let batch = unknown.batch();
            if batch.is_empty() {
                unknown.wake.notified().await;
                continue;
            }
            let failed = self.identity().offline_directories();
            match self.assign_directories(request(self.sender(), &batch, &failed), TIMEOUT).await {
                Ok(()) => {
                    let now = self.identity().offline_directories();
                    unknown.said(&batch, &now.difference(&failed).copied().collect());
                }
                Err(error) => {
                    tracing::debug!("the controller was not told where {} replicas are: {error}", batch.len());
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

fn request(
    sender: pb::Sender,
    batch: &BTreeMap<TopicIdPartition, DirectoryId>,
    failed: &BTreeSet<DirectoryId>,
) -> pb::AssignDirectoriesRequest {
    let mut by_directory: BTreeMap<DirectoryId, Vec<TopicIdPartition>> = BTreeMap::new();
    for (at, directory) in batch {
        by_directory.entry(*directory).or_default().push(*at);
    }
    let assignments = by_directory.into_iter().map(|(directory, partitions)| pb::DirectoryAssignment {
        directory: id_bytes(directory.0),
        partitions: partitions.into_iter().map(Into::into).collect(),
        failed: failed.contains(&directory),
    });
    pb::AssignDirectoriesRequest { sender: Some(sender), assignments: assignments.collect() }
}

#[cfg(test)]
mod tests {
    use raftsman_types::{TopicId, Uuid};

    use super::*;

    fn at(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId(Uuid([1; 16])), partition }
    }

    fn directory(number: u8) -> DirectoryId {
        DirectoryId(Uuid([number; 16]))
    }

    #[test]
    fn what_the_metadata_has_wrong_is_said_once() {
        let unknown = UnknownPlaces::default();
        unknown.note(at(0), directory(1), directory(1));
        unknown.note(at(1), directory(1), DirectoryId::ZERO);
        unknown.note(at(2), directory(2), directory(1));
        let batch = unknown.batch();
        assert_eq!(batch, BTreeMap::from([(at(1), directory(1)), (at(2), directory(2))]));
        // While it is being said one moves, and the other one's directory fails.
        unknown.note(at(1), directory(3), DirectoryId::ZERO);
        unknown.said(&batch, &BTreeSet::from([directory(2)]));
        assert_eq!(unknown.batch(), BTreeMap::from([(at(1), directory(3)), (at(2), directory(2))]));
        unknown.said(&unknown.batch(), &BTreeSet::new());
        assert!(unknown.batch().is_empty());
    }

    #[test]
    fn failed_directories_are_said_as_such() {
        let batch = BTreeMap::from([(at(0), directory(1)), (at(1), directory(2)), (at(2), directory(1))]);
        let request = request(pb::Sender::default(), &batch, &BTreeSet::from([directory(2)]));
        let said: Vec<(usize, bool)> = request.assignments.iter().map(|a| (a.partitions.len(), a.failed)).collect();
        assert_eq!(said, [(2, false), (1, true)]);
    }
}
