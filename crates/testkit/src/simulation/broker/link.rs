use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use raftsman_broker::replica::{BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult};
use raftsman_types::{BrokerId, DirectoryId, TopicIdPartition};

/// What replicas tell the controller, kept until the process sends it.
#[derive(Debug, Default)]
pub(super) struct Link {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    unreachable: BTreeSet<BrokerId>,
    offline: BTreeSet<DirectoryId>,
    /// Replicas that are, or would be, in another directory than the metadata says.
    places: BTreeMap<TopicIdPartition, DirectoryId>,
}

impl Link {
    /// Whom a stream was lost to since the last call.
    pub fn take_unreachable(&self) -> BTreeSet<BrokerId> {
        self.said.lock().map(|mut said| std::mem::take(&mut said.unreachable)).unwrap_or_default()
    }

    /// Replicas of which the controller has to hear where they are.
    pub fn places(&self) -> BTreeMap<TopicIdPartition, DirectoryId> {
        self.said.lock().map(|said| said.places.clone()).unwrap_or_default()
    }

    /// It has heard of these.
    pub fn placed(&self, places: &BTreeMap<TopicIdPartition, DirectoryId>) {
        if let Ok(mut said) = self.said.lock() {
            said.places.retain(|at, directory| places.get(at) != Some(directory));
        }
    }

    /// The directories that failed since the process began.
    pub fn offline(&self) -> BTreeSet<DirectoryId> {
        self.said.lock().map(|said| said.offline.clone()).unwrap_or_default()
    }
}

impl ControllerLink for Link {
    /// Never called: stepped replicas hand their requests out.
    fn alter_partition(
        &self,
        _changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        let failure = IsrChangeFailure::NotTaken("a simulation asks by itself".to_owned());
        Box::pin(async move { Err(failure) })
    }

    fn report_unreachable(&self, broker: BrokerId) {
        if let Ok(mut said) = self.said.lock() {
            said.unreachable.insert(broker);
        }
    }

    fn replica_is_in(&self, at: TopicIdPartition, actual: DirectoryId, recorded: DirectoryId) {
        if let Ok(mut said) = self.said.lock() {
            match actual == recorded {
                true => said.places.remove(&at),
                false => said.places.insert(at, actual),
            };
        }
    }

    fn directory_offline(&self, directory: DirectoryId) {
        if let Ok(mut said) = self.said.lock() {
            said.offline.insert(directory);
        }
    }
}
